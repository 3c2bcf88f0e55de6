"""Tokens that this service did not make, or did not make as access tokens: inactive, refused, and never a 5xx."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tests.programs.service_calls import JsonObject, ServiceCalls, good_json
from tests.programs.service_clients import ADMIN, AUDITOR, BASIC, JWT
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess

INACTIVE = b'{"active":false}'


class OwnKey:
    """A signing key of the service itself, as whoever stole its key file would have it."""

    def __init__(self, keyring: Path, algorithm: str) -> None:
        document = json.loads(keyring.read_text())
        entry = next(key for key in document["keys"] if key["algorithm"] == algorithm and "pkcs8" in key["private"])
        self.kid: str = entry["kid"]
        self.algorithm = algorithm
        der = base64.urlsafe_b64decode(entry["private"]["pkcs8"] + "==")
        self.private: PrivateKeyTypes = serialization.load_der_private_key(der, None)

    def sign(self, claims: JsonObject, **header: Any) -> str:
        headers = {"kid": self.kid, "typ": "at+jwt", **header}
        return jwt.encode(claims, self.private, self.algorithm, headers=headers)  # type: ignore[arg-type]


def claims_of(issuer: str, **changed: Any) -> JsonObject:
    """The claims of a good access token; those that are None are left out."""
    now = int(time.time())
    good = {
        "iss": issuer,
        "sub": "jwt",
        "aud": "https://api.example.com",
        "client_id": "jwt",
        "jti": "0000" + secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + 600,
        "scope": "read auth-service:admin",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def part(content: bytes | JsonObject) -> str:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(header: JsonObject, claims: JsonObject, key: bytes) -> str:
    signing_input = f"{part(header)}.{part(claims)}"
    return f"{signing_input}.{part(hmac.digest(key, signing_input.encode(), hashlib.sha256))}"


def forged_by_outsiders(issuer: str, jwks: list[JsonObject]) -> dict[str, str]:
    """Tokens that anyone can make who has read the JWKS."""
    claims = claims_of(issuer)
    of = {key["alg"]: key for key in jwks}
    kid, rsa_kid = of["ES256"]["kid"], of["RS256"]["kid"]
    stranger = ec.generate_private_key(ec.SECP256R1())
    stranger_jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(stranger.public_key()))
    strange_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    rsa_public = jwt.PyJWK(of["RS256"]).key
    pem = rsa_public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def by_stranger(**header: Any) -> str:
        return jwt.encode(claims, stranger, "ES256", headers={"typ": "at+jwt", "kid": kid, **header})

    return {
        "alg none": f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': kid})}.{part(claims)}.",
        "alg None": f"{part({'alg': 'None', 'typ': 'at+jwt', 'kid': kid})}.{part(claims)}.",
        "alg none without kid": f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{part(claims)}.",
        "HS256 with the public key": hs256({"alg": "HS256", "typ": "at+jwt", "kid": rsa_kid}, claims, pem),
        "HS256 with the JWK": hs256(
            {"alg": "HS256", "typ": "at+jwt", "kid": rsa_kid}, claims, json.dumps(of["RS256"]).encode()
        ),
        "HS256 with nothing": hs256({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims, b""),
        "another key, our kid": by_stranger(),
        "another key, its kid": by_stranger(kid="stranger"),
        "another kind of key": jwt.encode(claims, strange_rsa, "RS256", headers={"typ": "at+jwt", "kid": kid}),
        "its key inside": by_stranger(kid="stranger", jwk=stranger_jwk),
        "its key inside, our kid": by_stranger(jwk=stranger_jwk),
        "its key elsewhere": by_stranger(jku="https://evil.example.com/jwks.json"),
        "its certificate elsewhere": by_stranger(x5u="https://evil.example.com/cert.pem"),
        "its certificate inside": by_stranger(x5c=["MIIB"]),
        "kid is a path": by_stranger(kid="../../../../dev/null"),
        "kid is SQL": by_stranger(kid="' OR 1=1 --"),
        "kid is a NUL": by_stranger(kid="\0"),
        "kid is long": by_stranger(kid="k" * 5000),
        "kid is a number": f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 7})}.{part(claims)}.{part(b'x' * 64)}",
        "kid is an object": f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': {}})}.{part(claims)}.{part(b'x' * 64)}",
        "an empty signature": f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': kid})}.{part(claims)}.",
        "a signature of zeros": ".".join(
            [part({"alg": "ES256", "typ": "at+jwt", "kid": kid}), part(claims), part(bytes(64))]
        ),
        "an encrypted one": ".".join([part({"alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF"}), *["AAAA"] * 4]),
        "no JSON": f"{part(b'nonsense')}.{part(b'nonsense')}.{part(b'nonsense')}",
        "a list": f"{part(b'[]')}.{part(b'[]')}.AAAA",
        "deep JSON": f"{part(b'[' * 30_000)}.{part(claims)}.AAAA",
        "two parts": f"{part({'alg': 'ES256'})}.{part(claims)}",
        "four parts": f"{part({'alg': 'ES256'})}.{part(claims)}.AAAA.AAAA",
        "dots": "." * 1000,
    }


def misused(own: OwnKey, own_rsa: OwnKey, issuer: str) -> dict[str, str]:
    """Tokens with a good signature of this service, which are no access tokens, or not any more, or of another."""
    now = int(time.time())
    claims = claims_of(issuer)
    return {
        "an ID token": own_rsa.sign({**claims, "aud": "jwt", "nonce": "x", "auth_time": now}, typ="JWT"),
        "an ID token by another algorithm": own.sign(claims, typ="JWT"),
        "no typ": own.sign(claims, typ=None),
        "a logout token": own.sign(claims, typ="logout+jwt"),
        "a DPoP proof": own.sign(claims, typ="dpop+jwt"),
        "an assertion": own.sign(claims, typ="client-authentication+jwt"),
        "another issuer": own.sign(claims_of("https://elsewhere.example.com")),
        "the issuer with a slash": own.sign(claims_of(issuer + "/")),
        "no issuer": own.sign(claims_of(issuer, iss=None)),
        "expired": own.sign(claims_of(issuer, exp=now - 1)),
        "no exp": own.sign(claims_of(issuer, exp=None)),
        "exp is text": own.sign(claims_of(issuer, exp="never")),
        "exp is a list": own.sign(claims_of(issuer, exp=[now + 600])),
        "not yet": own.sign(claims_of(issuer, nbf=now + 600)),
        "no client": own.sign(claims_of(issuer, client_id=None)),
        "client is a list": own.sign(claims_of(issuer, client_id=["jwt"])),
        "no subject": own.sign(claims_of(issuer, sub=None)),
        "no audience": own.sign(claims_of(issuer, aud=None)),
        "no jti": own.sign(claims_of(issuer, jti=None)),
        "a critical extension": own.sign(claims, crit=["x"], x=True),
        "detached payload": own.sign(claims, b64=True, crit=["b64"]),
        "the kid of another key": own_rsa.sign(claims, kid=own.kid),
    }


@pytest.fixture
def service_and_keys(
    start_service: StartService, calls_of: Callable[[ServiceProcess], ServiceCalls], tmp_path: Path
) -> tuple[ServiceCalls, OwnKey, OwnKey]:
    keyring = tmp_path / "keyring.json"
    service = calls_of(start_service(KEYS_FILE=str(keyring), LOG_LEVEL="debug"))
    return service, OwnKey(keyring, "ES256"), OwnKey(keyring, "RS256")


def test_no_forged_token_is_taken_for_one_of_ours(service_and_keys: tuple[ServiceCalls, OwnKey, OwnKey]) -> None:
    service, own, own_rsa = service_and_keys
    issuer = service.process.base_url
    # The forger's tools work: what is right in every way is accepted.
    for key in (own, own_rsa):
        assert service.introspect(AUDITOR, key.sign(claims_of(issuer)))["active"]
    jwks = good_json(service.http.get("/jwks.json"))["keys"]
    tokens = forged_by_outsiders(issuer, jwks) | misused(own, own_rsa, issuer)
    for name, token in tokens.items():
        introspected = service.request_introspection(AUDITOR, token)
        assert (introspected.status_code, introspected.content) == (200, INACTIVE), name
        assert service.revoke(JWT, token).status_code == 200, name
        admin = httpx.get(f"{service.process.admin_url}/admin/stats", headers={"authorization": f"Bearer {token}"})
        assert admin.status_code in (400, 401, 431), name
    assert service.metric("token_operation_duration_seconds_count", outcome="error") == 0


def test_revoking_a_forged_copy_leaves_the_token_alone(service: ServiceCalls) -> None:
    token = service.access_token(JWT)
    header, payload, _ = token.split(".")
    assert service.revoke(JWT, f"{header}.{payload}.{part(bytes(64))}").status_code == 200
    assert service.is_active(JWT, token)


def test_unknown_kids_are_counted_and_fetched_from_nowhere(
    start_service: StartService, calls_of: Callable[[ServiceProcess], ServiceCalls]
) -> None:
    service = calls_of(start_service(clients=(BASIC, ADMIN)))
    stranger = ec.generate_private_key(ec.SECP256R1())
    claims = claims_of(service.process.base_url)
    for number in range(50):
        headers = {"typ": "at+jwt", "kid": f"kid-{number}"}
        assert not service.is_active(BASIC, jwt.encode(claims, stranger, "ES256", headers=headers))
    assert service.metric("unknown_kid_total") == 50
