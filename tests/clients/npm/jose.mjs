// jose as a resource server: verifies TOKENS (JSON) by the service's JWKS; prints claims, or the code of the error.
// ISSUER and AUDIENCE come from the environment.
import { createRemoteJWKSet, jwtVerify } from "jose";

const keys = createRemoteJWKSet(new URL(`${process.env.ISSUER}/jwks.json`));
const checks = {
  issuer: process.env.ISSUER,
  audience: process.env.AUDIENCE,
  typ: "at+jwt",
  requiredClaims: ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"],
};
const seen = [];
for (const token of JSON.parse(process.env.TOKENS)) {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, checks);
    seen.push({ payload, algorithm: protectedHeader.alg });
  } catch (error) {
    seen.push({ error: error.code });
  }
}
console.log(JSON.stringify(seen));
