// oauth4webapi against the service: discovery, client credentials, introspection, refreshing, revocation.
// ISSUER, CLIENTS (JSON: id, secret, method, jwk) and AUDIENCE come from the environment; prints what it saw as JSON.
import * as oauth from "oauth4webapi";
import { importJWK } from "jose";

const insecure = { [oauth.allowInsecureRequests]: true }; // the service is on loopback
const issuer = new URL(process.env.ISSUER);
const seen = {};

async function authentication({ secret, method, jwk }) {
  if (method === "client_secret_basic") return oauth.ClientSecretBasic(secret);
  if (method === "client_secret_post") return oauth.ClientSecretPost(secret);
  return oauth.PrivateKeyJwt({ key: await importJWK(jwk, jwk.alg), kid: jwk.kid });
}

async function discover(algorithm) {
  const response = await oauth.discoveryRequest(issuer, { algorithm, ...insecure });
  return oauth.processDiscoveryResponse(issuer, response);
}

async function useAllEndpoints(server, registered) {
  const client = { client_id: registered.id };
  const auth = await authentication(registered);
  const request = () => [server, client, auth];
  const granted = await oauth.processClientCredentialsResponse(
    server,
    client,
    await oauth.clientCredentialsGrantRequest(...request(), { scope: "read" }, insecure),
  );
  const introspect = async (token) =>
    oauth.processIntrospectionResponse(
      server,
      client,
      await oauth.introspectionRequest(...request(), token, insecure),
    );
  const result = { granted: { ...granted, access_token: undefined, refresh_token: undefined } };
  result.active = await introspect(granted.access_token);
  let token = granted.access_token;
  if (granted.refresh_token) {
    const refreshed = await oauth.processRefreshTokenResponse(
      server,
      client,
      await oauth.refreshTokenGrantRequest(...request(), granted.refresh_token, insecure),
    );
    result.refreshed = refreshed.refresh_token !== granted.refresh_token;
    token = refreshed.refresh_token;
  }
  await oauth.processRevocationResponse(await oauth.revocationRequest(...request(), token, insecure));
  result.afterwards = await introspect(granted.access_token);
  return result;
}

// RFC 9068 as this library checks it on a resource server.
async function validateAsResourceServer(server, registered) {
  const client = { client_id: registered.id };
  const response = await oauth.clientCredentialsGrantRequest(
    server,
    client,
    await authentication(registered),
    {},
    insecure,
  );
  const { access_token: token } = await oauth.processClientCredentialsResponse(server, client, response);
  const request = new Request("https://api.example.com/", { headers: { authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(server, request, process.env.AUDIENCE, insecure);
}

const server = await discover("oauth2");
seen.sameIssuer = (await discover("oidc")).issuer === server.issuer;
for (const registered of JSON.parse(process.env.CLIENTS)) {
  seen[registered.id] = await useAllEndpoints(server, registered);
  if (registered.id === "jwt") seen.validated = await validateAsResourceServer(server, registered);
}
try {
  await useAllEndpoints(server, { id: "basic", secret: "wrong", method: "client_secret_basic" });
} catch (error) {
  seen.refusal = { name: error.name, code: error.code, status: error.status, scheme: error.cause?.[0]?.scheme };
}
console.log(JSON.stringify(seen));
