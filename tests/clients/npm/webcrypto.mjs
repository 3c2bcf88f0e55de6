// Node 18, the oldest that distributions still ship, has WebCrypto in a module only; the libraries expect the global.
// May go when Debian 12 does.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
