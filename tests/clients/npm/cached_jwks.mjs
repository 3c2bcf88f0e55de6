// Verifies JWTs as a resource server does that caches the JWKS for all of max-age and fetches nothing sooner, not even
// for a key that it does not know. Arguments: the JWKS' URL, the issuer, max-age in milliseconds. One token a line on
// stdin; at its end one JSON line: how many were good, by key, and what was wrong with the others.
import { createInterface } from "node:readline";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";

const [url, issuer, maxAge] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(url), { cacheMaxAge: Number(maxAge), cooldownDuration: 3_600_000 });
const good = {};
const failures = [];
for await (const token of createInterface({ input: process.stdin })) {
  try {
    await jwtVerify(token, keys, { issuer, typ: "at+jwt" });
    const { kid } = decodeProtectedHeader(token);
    good[kid] = (good[kid] ?? 0) + 1;
  } catch (error) {
    failures.push(`${error.code}: ${error.message}`);
  }
}
console.log(JSON.stringify({ good, failures }));
