"""What no configuration can weaken: lives are bounded, and keys and hashes are fit for their use."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.config.client_entry import ClientDefaults
from app.config.clients_file import FileContent, parse_clients
from app.config.load import load_settings
from app.config.problems import ConfigurationError

DAY = 86_400


@pytest.mark.parametrize(
    ("name", "longest"),
    [
        ("TOKEN_EXPIRY_SECONDS", DAY),
        ("REFRESH_TOKEN_EXPIRY_SECONDS", 366 * DAY),
        ("REFRESH_FAMILY_MAX_SECONDS", 3660 * DAY),
        ("REFRESH_REUSE_GRACE_SECONDS", 300),
        ("JWKS_MAX_AGE_SECONDS", DAY),
    ],
)
def test_a_life_has_a_longest_value(name: str, longest: int) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings({name: str(longest + 1)})
    assert any(problem.where == name and "too large" in problem.what for problem in refused.value.problems)


def test_a_second_use_of_a_refresh_token_ends_its_family_unless_that_was_changed() -> None:
    assert load_settings({}).settings.tokens.refresh_reuse_grace_seconds == 0


def parse(entry: dict[str, Any]) -> FileContent:
    content = json.dumps({"version": 1, "clients": [entry]}).encode()
    return parse_clients(content, "clients.json", Path(), ClientDefaults(), {})


@pytest.mark.parametrize("seconds", [0, -1, DAY + 1])
def test_a_clients_access_tokens_live_a_day_at_most(seconds: int) -> None:
    content = parse({"id": "a", "auth_method": "none", "grants": [], "access_token": {"seconds": seconds}})
    assert content.clients == ()
    assert content.problems


SALT_AND_HASH = "c2l4dGVlbiBieXRlcywgcw$" + base64.b64encode(bytes(32)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "text",
    [
        "a-secret-in-the-clear",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:" + "A" * 42,
        "$2b$12$abcdefghijklmnopqrstuuS8uNEhJKDH0Fzn1M3xZrcDYCJxO7Wvq",
        f"$argon2i$v=19$m=65536,t=3,p=4${SALT_AND_HASH}",
        f"$argon2d$v=19$m=65536,t=3,p=4${SALT_AND_HASH}",
        f"$argon2id$v=19$m=2097152,t=3,p=4${SALT_AND_HASH}",  # 2 GiB: one request would stop the service
        f"$argon2id$v=19$m=65536,t=101,p=4${SALT_AND_HASH}",
    ],
)
def test_a_secret_is_kept_by_one_of_two_hashes_of_bearable_cost(text: str) -> None:
    content = parse({"id": "a", "secrets": [{"hash": text}]})
    assert content.clients == ()
    (problem,) = content.problems
    assert text not in str(problem)


def test_a_point_off_its_curve_is_no_key() -> None:
    """RFC 8725 section 3.4 asks to validate a key's numbers; it is done once, when the clients are read."""
    jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    own = {name: jwk[name] for name in ("kty", "crv", "x", "y")}
    client = {"id": "a", "auth_method": "private_key_jwt"}
    assert parse({**client, "jwks": {"keys": [own]}}).problems == ()
    off = {**own, "y": base64.urlsafe_b64encode(b"\1" * 32).rstrip(b"=").decode()}
    content = parse({**client, "jwks": {"keys": [off]}})
    assert content.clients == ()
    assert "is not a valid key" in str(content.problems[0])
