"""The clients that the service under test has registered, and what each is there to show.

Every secret begins with ``canary``: found anywhere it does not belong, it gives itself away.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

API = "https://api.example.com"
OTHER_API = "https://other.example.com"
CANARY = "canary"


class RegisteredClient(NamedTuple):
    """A client as a test uses it and as the clients file has it."""

    id: str
    secret: str
    entry: dict[str, Any]

    @property
    def basic(self) -> tuple[str, str]:
        """For HTTP libraries that take a user and a password."""
        return self.id, self.secret


def sha256_hash(secret: str) -> str:
    """A generated secret as the clients file keeps it."""
    return "sha256:" + base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=").decode()


def with_secret(client_id: str, secret: str | None = None, **settings: Any) -> RegisteredClient:
    """A client that authenticates with a secret."""
    secret = secret or f"{CANARY}-secret-of-{client_id}-{hashlib.sha256(client_id.encode()).hexdigest()}"
    entry = {"id": client_id, "secrets": [{"hash": sha256_hash(secret)}], "scopes": ["read", "write"], **settings}
    return RegisteredClient(client_id, secret, entry)


ASSERTION_KEY = ec.generate_private_key(ec.SECP256R1())
"""Signs the assertions of :data:`SIGNED`."""
_PUBLIC_JWK = {**json.loads(ECAlgorithm.to_jwk(ASSERTION_KEY.public_key())), "kid": "assertion-key", "alg": "ES256"}
# As little work as the algorithm allows: its cost is the library's business, not these tests'.
_CHEAP_ARGON2ID = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

BASIC = with_secret("basic", scopes=["read", "write", "delete"], default_scopes=["read", "write"])
OTHER = with_secret("other")
POST = with_secret("post", auth_method="client_secret_post")
AWKWARD = with_secret("awkward:id 100%+&", secret=f"{CANARY}:se cret+100%&=ü")
"""Its id and secret need the percent-encoding of RFC 6749 section 2.3.1."""
TWO_SECRETS = with_secret("two-secrets")
SECOND_SECRET = f"{CANARY}-the-second-secret-of-a-client"
OUTDATED_SECRET = f"{CANARY}-a-secret-that-has-had-its-time"
TWO_SECRETS.entry["secrets"] += [
    {"hash": sha256_hash(SECOND_SECRET)},
    {"hash": sha256_hash(OUTDATED_SECRET), "not_after": "2020-01-01T00:00:00Z"},
]
CHOSEN = with_secret("chosen", secret=f"{CANARY}-a person chose this")
CHOSEN.entry["secrets"] = [{"hash": _CHEAP_ARGON2ID.hash(CHOSEN.secret)}]
SIGNED = RegisteredClient(
    "signed",
    "",
    {
        "id": "signed",
        "auth_method": "private_key_jwt",
        "jwks": {"keys": [_PUBLIC_JWK]},
        "scopes": ["read", "write"],
        "grants": ["client_credentials", "refresh_token"],
        "refresh_token": {"enabled": True},
    },
)
PUBLIC = RegisteredClient(
    "public",
    "",
    {"id": "public", "auth_method": "none", "grants": ["refresh_token"], "refresh_token": {"enabled": True}},
)
JWT = with_secret("jwt", access_token={"format": "jwt"}, audiences=[API, OTHER_API])
OPAQUE_FOR_API = with_secret("opaque-for-api", audiences=[API, OTHER_API])
_REFRESHING: dict[str, Any] = {
    "grants": ["client_credentials", "refresh_token"],
    "refresh_token": {"enabled": True, "seconds": 7200},
}
REFRESHER = with_secret("refresher", **_REFRESHING, audiences=[API, OTHER_API])
REFRESHER_JWT = with_secret("refresher-jwt", **_REFRESHING, access_token={"format": "jwt"})
NO_GRANT = with_secret("no-grant", grants=["refresh_token"], refresh_token={"enabled": True})
AUDITOR = with_secret("auditor", introspect="all")
RESOURCE = with_secret("resource-server", introspect="audience", audiences=[API])
SHORT = with_secret("short", access_token={"seconds": 1})
SHORT_JWT = with_secret("short-jwt", access_token={"format": "jwt", "seconds": 1})
LIMITED = with_secret("limited", rate_limit_per_minute=5)
ADMIN = with_secret("admin", scopes=["auth-service:admin", "read"], default_scopes=["read"])

EVERY_CLIENT = (
    BASIC,
    OTHER,
    POST,
    AWKWARD,
    TWO_SECRETS,
    CHOSEN,
    SIGNED,
    PUBLIC,
    JWT,
    OPAQUE_FOR_API,
    REFRESHER,
    REFRESHER_JWT,
    NO_GRANT,
    AUDITOR,
    RESOURCE,
    SHORT,
    SHORT_JWT,
    LIMITED,
    ADMIN,
)


def write_clients(path: Path, clients: tuple[RegisteredClient, ...] = EVERY_CLIENT) -> Path:
    """Write a clients file and return its path."""
    path.write_text(yaml.safe_dump({"version": 1, "clients": [client.entry for client in clients]}))
    return path
