// Prints which client libraries are installed: shows that they load, before a test of the service depends on them.
import { readFileSync } from "node:fs";
import * as oauth from "oauth4webapi";
import * as client from "openid-client";
import * as jose from "jose";

const usable = {
  jose: typeof jose.jwtVerify,
  oauth4webapi: typeof oauth.clientCredentialsGrantRequest,
  "openid-client": typeof client.clientCredentialsGrant,
};
const installed = {};
for (const [name, type] of Object.entries(usable)) {
  if (type !== "function") throw new Error(`${name} lacks the function that the tests use`);
  const manifest = new URL(`node_modules/${name}/package.json`, import.meta.url);
  installed[name] = JSON.parse(readFileSync(manifest)).version;
}
await crypto.subtle.digest("SHA-256", new Uint8Array());
console.log(JSON.stringify(installed));
