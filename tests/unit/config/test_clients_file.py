"""The clients file: what it gives, and every mistake with its line and without its value."""

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.config.client_entry import ClientDefaults
from app.config.clients_file import FileContent, parse_clients, read_clients_file
from app.config.clients_reference import CLIENTS_EXAMPLE
from app.model.clients import (
    AccessTokenFormat,
    Client,
    ClientAuthMethod,
    ClientSecret,
    IntrospectionPolicy,
)
from app.protocol.client_jwks import MAX_KEYS

DIGEST = hashlib.sha256(b"secret").digest()
HASH = "sha256:" + base64.urlsafe_b64encode(DIGEST).rstrip(b"=").decode()
ARGON2ID = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("secret")


def parse(content: str | bytes, folder: Path = Path("/nowhere"), **environ: str) -> FileContent:
    encoded = content if isinstance(content, bytes) else content.encode()
    return parse_clients(encoded, "f.yaml", folder, ClientDefaults(1800, 7200), environ)


def parse_entry(fields: str, folder: Path = Path("/nowhere"), **environ: str) -> FileContent:
    """One client in block style, its fields beginning on line 3."""
    lines = fields.strip("\n").splitlines()
    return parse("version: 1\nclients:\n  - " + "\n    ".join(lines) + "\n", folder, **environ)


def the_client(fields: str, folder: Path = Path("/nowhere"), **environ: str) -> Client:
    content = parse_entry(fields, folder, **environ)
    assert content.problems == ()
    ((place, client),) = content.clients
    assert place == "f.yaml:3"
    return client


def messages(content: FileContent) -> list[str]:
    return [str(problem) for problem in content.problems]


def public_jwk(kind: str) -> dict[str, Any]:
    if kind == "RSA":
        jwk = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)
    elif kind == "RSA-1024":
        jwk = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key(), as_dict=True)
    elif kind == "Ed25519":
        jwk = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
    else:
        curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[kind]
        jwk = ECAlgorithm.to_jwk(ec.generate_private_key(curve).public_key(), as_dict=True)
    return {name: value for name, value in jwk.items() if name != "key_ops"}


SIGNS = "id: a\nauth_method: private_key_jwt"


def with_jwks(*keys: dict[str, Any]) -> str:
    return f"id: a\nauth_method: private_key_jwt\njwks: {json.dumps({'keys': keys})}"


def test_the_shortest_client_gets_the_defaults() -> None:
    assert the_client(f'id: a\nsecrets: [{{hash: "{HASH}"}}]') == Client(
        id="a", secrets=(ClientSecret(sha256=DIGEST),), access_token_seconds=1800, refresh_token_seconds=7200
    )


def test_every_field_is_read() -> None:
    fields = f"""
id: billing
auth_method: client_secret_post
secrets: [{{hash: "{HASH}"}}, {{hash: "{ARGON2ID}", not_after: 2026-12-31T00:00:00Z}}]
grants: [client_credentials, refresh_token]
scopes: [read, write]
default_scopes: [read]
audiences: [https://api.example.com, "urn:example:api"]
introspect: audience
access_token: {{format: jwt, seconds: 1}}
refresh_token: {{enabled: true, seconds: 60}}
id_token_signed_response_alg: ES256
redirect_uris: [https://app.example.com/cb]
rate_limit_per_minute: unlimited
"""
    assert the_client(fields) == Client(
        id="billing",
        auth_method=ClientAuthMethod.CLIENT_SECRET_POST,
        secrets=(
            ClientSecret(sha256=DIGEST),
            ClientSecret(argon2id=ARGON2ID, not_after=datetime(2026, 12, 31, tzinfo=UTC).timestamp()),
        ),
        grants=frozenset({"client_credentials", "refresh_token"}),
        scopes=("read", "write"),
        default_scopes=("read",),
        audiences=("https://api.example.com", "urn:example:api"),
        introspect=IntrospectionPolicy.AUDIENCE,
        access_token_format=AccessTokenFormat.JWT,
        access_token_seconds=1,
        refresh_token_enabled=True,
        refresh_token_seconds=60,
        id_token_signed_response_alg="ES256",
        redirect_uris=("https://app.example.com/cb",),
        rate_limit_per_minute=0,
    )


def test_the_example_of_the_reference_is_right() -> None:
    content = parse(CLIENTS_EXAMPLE)
    assert content.problems == ()
    assert [client.id for _, client in content.clients] == ["billing", "gateway"]


def test_json_and_aliases_are_yaml_too() -> None:
    entry = {"id": "a", "secrets": [{"hash": HASH}]}
    assert parse(json.dumps({"version": 1, "clients": [entry]})).problems == ()
    shared = f'id: a\nsecrets: [{{hash: "{HASH}"}}]\nscopes: &all [read]\ndefault_scopes: *all'
    assert the_client(shared).default_scopes == ("read",)


def test_secrets_come_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("secret\n")
    content = parse_entry("id: a\nsecrets: [{file: old}, {env: BILLING_SECRET}]", tmp_path, BILLING_SECRET="secret")
    ((_, client),) = content.clients
    assert client.secrets == (ClientSecret(sha256=DIGEST),) * 2
    assert content.secret_files == (tmp_path / "old",)
    assert [warning.partition(":")[0] for warning in content.warnings] == ["f.yaml"] * 2
    assert "fewer than 16 characters" in content.warnings[0]


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384", "Ed25519"])
def test_public_keys_are_kept_as_they_are(kind: str) -> None:
    jwk = {**public_jwk(kind), "use": "sig", "kid": "k"}
    client = the_client(with_jwks(jwk))
    assert client.auth_method is ClientAuthMethod.PRIVATE_KEY_JWT
    assert [key.jwk for key in client.jwks] == [jwk]
    assert client == the_client(with_jwks(jwk)), "read again it is the same"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d": "AQAB"}, "is private or symmetric"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "is private or symmetric"),
        ({"use": "enc"}, "is not for signatures"),
        ({"alg": "ES384"}, "has a kty, crv or alg that does not fit"),
        ({"alg": "HS256"}, "has a kty, crv or alg that does not fit"),
        ({"crv": "secp256k1"}, "has a kty, crv or alg that does not fit"),
        ({"kty": "AKP"}, "has a kty, crv or alg that does not fit"),
        ({"x": "AAAA"}, "is not a valid key"),
        ({"ext": "true"}, "has an unknown key 'ext'"),
        ({"kid": 1}, "put it in quotes"),
    ],
)
def test_a_key_that_could_not_verify_is_refused(change: dict[str, Any], message: str) -> None:
    content = parse_entry(with_jwks({**public_jwk("P-256"), **change}))
    assert content.clients == ()
    assert message in messages(content)[0]
    assert messages(content)[0].startswith("f.yaml:5: client 'a': jwks.keys[0]")


def test_where_keys_are_published_is_kept() -> None:
    client = the_client(f"{SIGNS}\njwks_uri: https://app.example.com:8443/jwks.json?tenant=a")
    assert (client.jwks, client.jwks_uri) == ((), "https://app.example.com:8443/jwks.json?tenant=a")


def test_more_keys_than_can_be_tried_are_refused() -> None:
    jwk = public_jwk("P-256")
    keys = [{**jwk, "kid": str(number)} for number in range(MAX_KEYS + 1)]
    assert parse_entry(with_jwks(*keys[:-1])).problems == ()
    assert "has more than 32 keys" in messages(parse_entry(with_jwks(*keys)))[0]


def test_short_rsa_keys_and_keys_that_cannot_be_told_apart_are_refused() -> None:
    assert "is too short" in messages(parse_entry(with_jwks(public_jwk("RSA-1024"))))[0]
    told = messages(parse_entry(with_jwks({"kty": "RSA", "e": "AQAB", "n": "_" * 1400})))[0]
    assert told.startswith("f.yaml:5: client 'a': jwks.keys[0] is too long; allowed: RSA of 2048 to 4096 bits, ")
    one, two = public_jwk("P-256"), public_jwk("P-256")
    assert "each needs a kid" in messages(parse_entry(with_jwks(one, two)))[0]
    same = messages(parse_entry(with_jwks({**one, "kid": "k"}, {**two, "kid": "k"})))[0]
    assert "two keys with one kid" in same


@pytest.mark.parametrize(
    ("fields", "line", "message"),
    [
        ("auth_method: none", 3, "clients[0] has no id"),
        ("id: 5", 3, "must be text: put it in quotes"),
        ("id: no", 3, "must be text: put it in quotes"),
        ("id: ''", 3, "id must be text"),
        ("id: 'ä'", 3, "RFC 6749 appendix A.1"),
        ("id: ' a'", 3, "no space at either end"),
        (f"id: {'a' * 201}", 3, "1 to 200"),
        ("id: a\nid: a", 4, "has id twice"),
        ("id: a\nauth_methd: none", 4, "unknown key 'auth_methd' (did you mean 'auth_method'?)"),
        ("id: a\nauth_method: basic", 4, "allowed: client_secret_basic, client_secret_post, private_key_jwt, none"),
        ("id: a", 3, "auth_method client_secret_basic needs at least one secret"),
        ("id: a\nsecrets: []", 4, "needs at least one secret"),
        ("id: a\nauth_method: private_key_jwt", 3, "needs jwks with at least one key"),
        ("id: a\nauth_method: private_key_jwt\njwks: {keys: []}", 5, "needs jwks with at least one key"),
        ("id: a\njwks: {}", 4, "jwks must have keys"),
        (
            f'id: a\njwks_uri: https://a.example/\nsecrets: [{{hash: "{HASH}"}}]',
            4,
            "jwks_uri has no effect with auth_method",
        ),
        (f"{SIGNS}\njwks_uri: http://a.example/jwks", 5, "jwks_uri is no absolute https URL; allowed: such as https:"),
        (f"{SIGNS}\njwks_uri: 'https:///jwks'", 5, "is no absolute https URL"),
        (f"{SIGNS}\njwks_uri: 'https://user:canary@a.example/'", 5, "jwks_uri contains a user name"),
        (f"{SIGNS}\njwks_uri: 'https://a.example/#a'", 5, "has a fragment"),
        (f"{SIGNS}\njwks_uri: 'https://a.example:99999/'", 5, "jwks_uri is no URL"),
        (f"{SIGNS}\njwks_uri: 'https://a.example:0/'", 5, "has the port 0"),
        (f"{SIGNS}\njwks_uri: 'https://a.example/a b'", 5, "is no URL of at most 2048 characters"),
        (f"{SIGNS}\njwks_uri: 'https://a.example/{'a' * 2048}'", 5, "is no URL of at most 2048 characters"),
        (f"{SIGNS}\njwks_uri: 7", 5, "must be text"),
        (f"{SIGNS}\njwks_uri: https://a.example/\njwks: {{keys: []}}", 5, "jwks and jwks_uri exclude each other"),
        (
            "id: a\nauth_method: none\ngrants: [refresh_token]\njwks_uri: https://a.example/",
            6,
            "jwks_uri has no effect",
        ),
        ("id: a\nauth_method: none", 3, "auth_method none cannot have the grant client_credentials"),
        ("id: a\nauth_method: none\ngrants: [refresh_token]\nintrospect: own", 6, "none cannot introspect"),
        ("id: a\nauth_method: none\ngrants: [refresh_token]\nsecrets: []", 6, "secrets have no effect"),
        ("id: a\ngrants: [password]", 4, "allowed: client_credentials, refresh_token"),
        ("id: a\ngrants: client_credentials", 4, "grants must be a list"),
        ("id: a\nscopes: [a b]", 4, "RFC 6749 section 3.3"),
        ("id: a\nscopes: [read, read]", 4, "scopes[1] is there already"),
        ("id: a\nscopes: [yes]", 4, "put it in quotes"),
        ("id: a\nscopes:", 4, "scopes must be a list"),
        ("id: a\naudiences: [api.example.com]", 4, "absolute URIs without a fragment"),
        ("id: a\naudiences: ['https://a.example/#b']", 4, "absolute URIs without a fragment"),
        ("id: a\nintrospect: everything", 4, "allowed: own, audience, all"),
        (
            "id: a\naccess_token: {seconds: 0}",
            4,
            "access_token.seconds is wrong; allowed: a whole number from 1 to 86400",
        ),
        ("id: a\naccess_token: {seconds: 86401}", 4, "a whole number from 1 to 86400"),
        ("id: a\naccess_token: {seconds: 010}", 4, "a whole number from 1 to 86400"),
        ("id: a\naccess_token: {seconds: '60'}", 4, "a whole number from 1 to 86400"),
        ("id: a\naccess_token: {format: JWT}", 4, "access_token.format is wrong; allowed: opaque, jwt"),
        ("id: a\naccess_token: {life: 60}", 4, "unknown key 'life'"),
        ("id: a\nrefresh_token: {enabled: yes}", 4, "refresh_token.enabled is wrong; allowed: true, false"),
        ("id: a\nid_token_signed_response_alg: none", 4, "allowed: RS256"),
        ("id: a\nredirect_uris: [/cb]", 4, "absolute URIs"),
        ("id: a\nrate_limit_per_minute: 0", 4, "unlimited, or a number from 1"),
        (f'id: a\nsecrets: [{{hash: "{HASH}"}}]\ndefault_scopes: [read]', 5, "must all be among the scopes"),
        (f'id: a\nsecrets: [{{hash: "{HASH}"}}]\nrefresh_token: {{enabled: true}}', 5, "needs refresh_token among"),
        (f'id: a\nsecrets: [{{hash: "{HASH}"}}]\ngrants: []', 5, "grants must not be empty"),
        (f'id: a\nsecrets: [{{hash: "{HASH}"}}]\n<<: {{scopes: [a]}}', 5, "unknown key '<<'"),
        # What does not look like a mistyped name may be a secret in the wrong place.
        ("id: a\ncanary-0123456789: 1", 4, "clients[0] has an unknown key; allowed"),
        (f"id: a\n{'c' * 33}: 1", 4, "clients[0] has an unknown key; allowed"),
    ],
)
def test_a_mistake_is_told_with_its_line(fields: str, line: int, message: str) -> None:
    content = parse_entry(fields)
    assert content.clients == ()
    assert any(told.startswith(f"f.yaml:{line}: ") and message in told for told in messages(content)), messages(content)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", 1, "is empty"),
        ("clients: []", 1, "has no version"),
        ("version: 2\nclients: []", 1, "this version of the file is not known; allowed: 1"),
        ("version: 1", 1, "has no clients"),
        ("version: 1\nclients: {}", 2, "clients must be a list"),
        ("version: 1\nclient: []", 2, "unknown key 'client' (did you mean 'clients'?)"),
        ("- version: 1", 1, "the file must be a mapping"),
        ("version: 1\nclients: [a]", 2, "clients[0] must be a mapping"),
        ("version: 1\n---\nversion: 1", 1, "more than one document"),
        ("version: 1\nclients: [\n", 3, "is not YAML"),
        ("version: 1\n\tclients: []", 2, "is not YAML"),
        ("version: 1\nclients: *x", 2, "an alias names no anchor before it"),
        ("version: 1\nclients: &x [*x]", 2, "an alias names no anchor before it"),
        ("version: 1\nclients: " + "[" * 100_000, 2, "is nested too deeply"),
        ("version: 1\nclients: !!python/object:os.system []", 2, "clients must be a list"),
        (b"version: 1\nclients: [\xff]", 1, "is not YAML"),
        (b"version: 1\n\x00", 1, "is not YAML"),
    ],
)
def test_a_file_that_is_none_is_refused(content: str | bytes, line: int, message: str) -> None:
    told = messages(parse(content))
    assert any(one.startswith(f"f.yaml:{line}: ") and message in one for one in told), told


@pytest.mark.parametrize(
    "entry",
    [
        "canary",
        "{hash: canary}",
        "{hash: 'sha256:canary'}",
        "{hash: '$argon2id$canary'}",
        "{hash: '$argon2i$v=19$m=8,t=1,p=1$Y2FuYXJ5MTIz$Y2FuYXJ5MTIz'}",
        "{hash: '$argon2id$v=19$m=99999999,t=1,p=1$Y2FuYXJ5MTIz$Y2FuYXJ5MTIz'}",
        "{env: canary}",
        "{canary}",
        "{canary: x}",
        "{secret: canary}",
        "[canary]",
        "{hash: canary, env: canary}",
        "{hash: *canary}",
        "{hash: !canary x}",
        "{hash: {canary: 1}}",
        "{not_after: canary, env: X}",
        "{not_after: 2026-12-31, env: X}",
        "{not_after: '2026-12-31T00:00:00', env: X}",
        "{file: canary}",
        '{file: "canary\\0"}',
        "{env: NOT_SET}",
        "{hash: $argon2id$v=19$m=8,t=1,p=1$Y2FuYXJ5MTIz$Y2FuYXJ5MTIz}",
        "{}",
    ],
)
def test_a_wrong_secret_is_refused_and_never_repeated(entry: str) -> None:
    content = parse_entry(f"id: a\nsecrets:\n  - {entry}")
    assert content.clients == ()
    told = messages(content)
    assert told
    assert all(one.startswith("f.yaml:5: ") for one in told)
    assert "canary" not in "".join(told)


def test_all_mistakes_of_a_file_come_in_the_order_of_their_lines() -> None:
    content = parse(
        "version: 1\nclients:\n  - id: a\n    scopes: [a b]\n    introspect: x\n"
        "  - id: 5\n  - id: c\n    secrets: [x]\n"
    )
    lines = [int(problem.where.partition(":")[2]) for problem in content.problems]
    assert lines == [4, 5, 6, 8]


def test_a_wrong_client_leaves_the_others() -> None:
    content = parse(f'version: 1\nclients:\n  - id: 5\n  - id: b\n    secrets: [{{hash: "{HASH}"}}]\n')
    assert [client.id for _, client in content.clients] == ["b"]
    assert len(content.problems) == 1


def test_an_unreadable_or_huge_file_is_a_problem(tmp_path: Path) -> None:
    (message,) = messages(read_clients_file(tmp_path / "missing", ClientDefaults(), {}))
    assert message == f"{tmp_path}/missing: cannot be read (No such file or directory)"
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    (message,) = messages(read_clients_file(tmp_path / "huge", ClientDefaults(), {}))
    assert message.endswith("holds more than 16 MiB")


_SCALARS = st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none(), st.sampled_from([HASH, "read"]))
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)
)
_ENTRIES = st.dictionaries(
    st.sampled_from(
        ["id", "auth_method", "secrets", "jwks", "grants", "scopes", "access_token", "rate_limit_per_minute"]
    ),
    _VALUES,
)


@settings(max_examples=50)
@given(st.lists(_ENTRIES, max_size=3))
def test_any_structure_is_clients_or_mistakes(entries: list[dict[str, object]]) -> None:
    content = parse(json.dumps({"version": 1, "clients": entries}))
    assert len(content.clients) == len(entries) or content.problems


@given(st.binary(max_size=200))
def test_any_bytes_are_clients_or_mistakes(content: bytes) -> None:
    parsed = parse(content)
    assert parsed.problems or parsed.clients == ()
