"""The clients that the load acts as: one for opaque tokens, one for JWTs."""

import base64
import hashlib
import json
from pathlib import Path

OPAQUE = "bench-opaque"
JWT = "bench-jwt"
_SECRETS = {name: f"{name}-0123456789abcdef0123456789abcdef0123456789" for name in (OPAQUE, JWT)}
"""Not secret: the servers that know them live as long as a measurement, on loopback."""

REQUESTS_PER_MINUTE = 100_000_000
"""A limit that is on, counts every request, and is never reached."""


def authorization(client: str) -> str:
    """The Authorization header of a client (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{client}:{_SECRETS[client]}".encode()).decode()


def secret(client: str) -> str:
    """The secret of a client, for a server that must be told it."""
    return _SECRETS[client]


def clients_document(per_minute: int | str = REQUESTS_PER_MINUTE) -> dict[str, object]:
    """The clients file as a document. Both may read and write, for one audience, like a service's usual client."""
    return {"version": 1, "clients": [_client(OPAQUE, "opaque", per_minute), _client(JWT, "jwt", per_minute)]}


def write_clients(folder: Path, per_minute: int | str = REQUESTS_PER_MINUTE) -> Path:
    """Write the clients file into a folder; JSON is YAML too. ``per_minute``: the limit, or ``unlimited``."""
    path = folder / "clients.yaml"
    path.write_text(json.dumps(clients_document(per_minute)))
    path.chmod(0o600)
    return path


def _client(name: str, token_format: str, per_minute: int | str) -> dict[str, object]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(_SECRETS[name].encode()).digest()).rstrip(b"=").decode()
    return {
        "id": name,
        "auth_method": "client_secret_basic",
        "secrets": [{"hash": f"sha256:{digest}"}],
        "grants": ["client_credentials"],
        "scopes": ["read", "write"],
        "audiences": ["https://api.example.com"],
        "introspect": "own",
        "access_token": {"format": token_format, "seconds": 3600},
        "rate_limit_per_minute": per_minute,
    }
