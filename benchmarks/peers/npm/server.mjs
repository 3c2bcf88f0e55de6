// oidc-provider (https://github.com/panva/node-oidc-provider) with its own store in memory, for a measurement.
// PORT, CLIENT_ID and CLIENT_SECRET are taken from the environment; nothing is kept when it ends.
import { Provider } from "oidc-provider";

const { PORT, CLIENT_ID, CLIENT_SECRET } = process.env;
const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
      scope: "read write",
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  scopes: ["read", "write"],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
  },
  ttl: { ClientCredentials: 3600 },
});
provider.listen(Number(PORT), "127.0.0.1");
