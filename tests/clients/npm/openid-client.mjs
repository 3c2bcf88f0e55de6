// openid-client against the service: discovery, client credentials, introspection, refreshing, revocation.
// ISSUER and CLIENTS (JSON: id, secret, method, jwk) come from the environment; prints what it saw as JSON.
import * as client from "openid-client";
import { importJWK } from "jose";

const issuer = new URL(process.env.ISSUER);
const seen = {};

async function authentication({ secret, method, jwk }) {
  if (method === "client_secret_basic") return client.ClientSecretBasic(secret);
  if (method === "client_secret_post") return client.ClientSecretPost(secret);
  return client.PrivateKeyJwt({ key: await importJWK(jwk, jwk.alg), kid: jwk.kid });
}

async function configure(registered, algorithm) {
  return client.discovery(issuer, registered.id, undefined, await authentication(registered), {
    algorithm,
    execute: [client.allowInsecureRequests], // the service is on loopback
  });
}

for (const registered of JSON.parse(process.env.CLIENTS)) {
  const config = await configure(registered, "oauth2");
  const granted = await client.clientCredentialsGrant(config, { scope: "read" });
  const result = { expiresIn: granted.expiresIn(), scope: granted.scope };
  result.active = await client.tokenIntrospection(config, granted.access_token);
  let token = granted.access_token;
  if (granted.refresh_token) {
    const refreshed = await client.refreshTokenGrant(config, granted.refresh_token);
    result.refreshed = refreshed.refresh_token !== granted.refresh_token;
    token = refreshed.refresh_token;
  }
  await client.tokenRevocation(config, token);
  result.afterwards = await client.tokenIntrospection(config, granted.access_token);
  seen[registered.id] = result;
}

const [first] = JSON.parse(process.env.CLIENTS);
const openid = await configure(first, "oidc");
seen.metadata = openid.serverMetadata();
seen.supportsPKCE = openid.serverMetadata().supportsPKCE();
try {
  await client.clientCredentialsGrant(openid, { scope: "root" });
} catch (error) {
  seen.refusal = { name: error.name, error: error.error, status: error.status };
}
console.log(JSON.stringify(seen));
