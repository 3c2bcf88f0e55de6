"""Who takes part in the soak: the load's three clients, and those that act beside it every now and then."""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from benchmarks.servers import Server, ServerError, ask

ADMIN_TOKEN = "soak-operators-token-0123456789abcdef0123456789abcdef"
"""Not secret, as the others here: the service that knows them lives as long as the run, on loopback."""
CHANGES_EVERY = 12
"""The clients file is changed in every so manyth turn."""

_SECRETS = {name: f"{name}-0123456789abcdef0123456789abcdef0123456789" for name in ("opaque", "jwt", "refreshing")}
_CHOSEN_SECRET = "a person chose this"
_KEY = ec.generate_private_key(ec.SECP256R1())
_SIGNED_REQUEST = (
    "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)


def basic(name: str, secret: str) -> str:
    """The Authorization header of a client (RFC 7617); both are encoded where they must be (RFC 6749 section 2.3.1)."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


AUTHORIZATIONS = tuple(basic(name, secret) for name, secret in _SECRETS.items())
"""The Authorization headers of the load's clients, in the order of ``lives.lua``."""


def write_clients(path: Path, life_seconds: int, extra: int = 0) -> Path:
    """Write the clients file, with so many clients more that nobody uses; JSON is YAML too."""
    opaque, signed = ({"format": name, "seconds": life_seconds} for name in ("opaque", "jwt"))
    refreshing = {
        "grants": ["client_credentials", "refresh_token"],
        "refresh_token": {"enabled": True, "seconds": 2 * life_seconds},
    }
    chosen = [{"hash": PasswordHasher(memory_cost=8192).hash(_CHOSEN_SECRET)}]
    clients = [
        _client("opaque", access_token=opaque),
        _client("jwt", access_token=signed),
        _client("refreshing", access_token=opaque, **refreshing),
        _client("chosen", access_token=opaque, secrets=chosen),
        _client("signed", access_token=opaque, auth_method="private_key_jwt", secrets=[], jwks=_public_jwks()),
        *(_client(f"extra-{number}", secrets=_hash(f"extra-{number}")) for number in range(extra)),
    ]
    written = path.with_suffix(".new")
    written.write_text(json.dumps({"version": 1, "clients": clients}))
    written.chmod(0o600)
    written.replace(path)
    return path


def _client(name: str, **settings: Any) -> dict[str, Any]:
    entry = {
        "id": name,
        "auth_method": "client_secret_basic",
        "secrets": _hash(_SECRETS.get(name, "")),
        "grants": ["client_credentials"],
        "scopes": ["read", "write"],
        "introspect": "own",
        "rate_limit_per_minute": 100_000_000,  # on, and never reached
        **settings,
    }
    return {name: value for name, value in entry.items() if value != []}


def _hash(secret: str) -> list[dict[str, str]]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).rstrip(b"=").decode()
    return [{"hash": f"sha256:{digest}"}]


def _public_jwks() -> dict[str, Any]:
    return {"keys": [{**json.loads(ECAlgorithm.to_jwk(_KEY.public_key())), "kid": "soak", "alg": "ES256"}]}


class Beside:
    """What happens beside the load, a little of everything in each turn. Raises ServerError for a wrong answer."""

    def __init__(self, server: Server, admin_port: int, clients_file: Path, life_seconds: int) -> None:
        self._server = server
        self._admin_port = admin_port
        self._clients_file = clients_file
        self._life_seconds = life_seconds
        self._turns = 0
        self._issuer = str(json.loads(server.ask("GET", "/.well-known/oauth-authorization-server")[1])["issuer"])
        self._acts: tuple[tuple[str, Callable[[], tuple[int, bytes]]], ...] = (
            ("an assertion", self._sign),
            ("a chosen secret", self._choose),
            ("the operators' page", lambda: self._operate("/admin/")),
            ("the operators' figures", lambda: self._operate("/admin/stats")),
            ("the metadata", lambda: server.ask("GET", "/.well-known/openid-configuration")),
            ("the API's description", lambda: server.ask("GET", "/openapi.json")),
        )

    def act(self) -> None:
        """One turn."""
        self._turns += 1
        for what, do in self._acts:
            status, body = do()
            if status != 200:
                raise ServerError(f"{what} got {status}: {body[:200]!r}")
        if self._turns % CHANGES_EVERY == 0:
            write_clients(self._clients_file, self._life_seconds, extra=self._turns // CHANGES_EVERY % 2 * 50)

    def _sign(self) -> tuple[int, bytes]:
        now = int(time.time())
        claims = {"iss": "signed", "sub": "signed", "aud": self._issuer, "iat": now, "exp": now + 60}
        assertion = jwt.encode({**claims, "jti": str(time.monotonic_ns())}, _KEY, "ES256", headers={"kid": "soak"})
        return self._server.ask("POST", "/oauth/token", form=f"{_SIGNED_REQUEST}&client_assertion={assertion}")

    def _choose(self) -> tuple[int, bytes]:
        authorization = basic("chosen", _CHOSEN_SECRET.replace(" ", "+"))
        return self._server.ask(
            "POST", "/oauth/token", authorization=authorization, form="grant_type=client_credentials"
        )

    def _operate(self, path: str) -> tuple[int, bytes]:
        return ask(self._admin_port, "GET", path, authorization=f"Bearer {ADMIN_TOKEN}")
