"""Settings from the environment: values, defaults, every mistake at once, and no secret in any of them."""

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.fields import all_fields, secret_file_names
from app.config.keys import SigningAlgorithm
from app.config.load import load_settings
from app.config.problems import ConfigurationError, Problem
from app.config.settings import Settings
from app.config.store import Switch
from app.config.values import Address
from app.model.secret_text import SecretText


def problems_of(**environ: str) -> dict[str, str]:
    """The mistakes by setting."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    return {problem.where: str(problem) for problem in caught.value.problems}


def value_of(name: str, environ: dict[str, str]) -> Any:
    settings = load_settings(environ).settings
    (field,) = (field for field in all_fields() if field.name == name)
    return getattr(getattr(settings, field.section), field.attribute)


def test_an_empty_environment_gives_the_defaults() -> None:
    loaded = load_settings({})
    assert loaded.settings == Settings()
    assert loaded.given == frozenset()


def test_every_setting_is_described_and_unique() -> None:
    fields = all_fields()
    files = set(secret_file_names().values())
    assert len({field.name for field in fields}) == len(fields)
    assert [field.name for field in fields if not field.description and field.name not in files] == []


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("BIND_ADDR", "0.0.0.0:80", Address("0.0.0.0", 80)),
        ("BIND_ADDR", "[::1]:0", Address("::1", 0)),
        ("BIND_ADDR", "[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
        ("METRICS_ADDR", "localhost:9999", Address("localhost", 9999)),
        ("EXTERNAL_BASE_URL", "https://Auth.Example.com:8443/tenant/", "https://auth.example.com:8443/tenant"),
        ("EXTERNAL_BASE_URL", "http://[::1]:80", "http://[::1]:80"),
        ("ALLOWED_ORIGINS", "https://A.example, http://b.example:80/", ("https://a.example", "http://b.example")),
        ("ALLOWED_SCOPES", "read, write  read", ("read", "write")),
        ("TOKEN_EXPIRY_SECONDS", " 60 ", 60),
        ("TOKEN_EXPIRY_SECONDS", "86400", 86400),
        ("DRAIN_SECONDS", "0.5", 0.5),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "0", 0),
        ("REDIS_URL", "rediss://user:pa%40ss@redis:6380/1", SecretText("rediss://user:pa%40ss@redis:6380/1")),
        ("REDIS_URL", "rediss+sentinel://a:1,b/main", SecretText("rediss+sentinel://a:1,b/main")),
        ("REDIS_URL", "redis+cluster://:pw@a:1,b:2", SecretText("redis+cluster://:pw@a:1,b:2")),
        ("REDIS_KEY_PREFIX", "namespace/release", "namespace/release"),
        ("REDIS_WAIT_REPLICAS", "1", 1),
        ("REDIS_ALLOW_EVICTION", "on", Switch.ON),
        ("STORE_BATCHING", "off", Switch.OFF),
        ("CACHE_MAX_ENTRIES", "0", 0),
        ("CACHE_TTL_SECONDS", "5", 5),
        ("CACHE_MAX_STALENESS_SECONDS", "0.5", 0.5),
        ("KEYS_SOURCE", "secret://namespace/name", "secret://namespace/name"),
        ("KEYS_SOURCE", "file:///var/keyring.json", "file:///var/keyring.json"),
        ("KEYS_ALGORITHMS", "EdDSA,RS256", (SigningAlgorithm.EDDSA, SigningAlgorithm.RS256)),
    ],
)
def test_a_value_is_read(name: str, text: str, value: object) -> None:
    environ = {name: text, "EXTERNAL_BASE_URL": "https://auth.example.com"}
    environ[name] = text
    assert value_of(name, environ) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("BIND_ADDR", "8080", "has no port"),
        ("BIND_ADDR", "127.0.0.1:65536", "not a number from 0 to 65535"),
        ("BIND_ADDR", "::1:8080", "must stand in brackets"),
        ("BIND_ADDR", "[localhost]:80", "not an IP address"),
        ("BIND_ADDR", ":8080", "not an IP address or a host name"),
        ("EXTERNAL_BASE_URL", "auth.example.com", "not an absolute http or https URL"),
        ("EXTERNAL_BASE_URL", "https://a.example/?x", "has a query or a fragment"),
        ("EXTERNAL_BASE_URL", "https://a.example/#", "has a query or a fragment"),
        ("EXTERNAL_BASE_URL", "https://user@a.example", "contains a user name"),
        ("EXTERNAL_BASE_URL", "https://a.example:x", "is not a URL"),
        ("EXTERNAL_BASE_URL", "https://ä.example", "characters that a URL may not contain"),
        ("ALLOWED_ORIGINS", "*", "wildcard"),
        ("ALLOWED_ORIGINS", "https://a.example/path", "has no path"),
        ("ALLOWED_ORIGINS", "a.example", "an origin is scheme://host"),
        ("ALLOWED_SCOPES", 'read"', "RFC 6749 section 3.3"),
        ("FAST_PATH", "on", "allowed: protocol, asgi, off"),
        ("LOG_LEVEL", "loud", "allowed: debug, info, warning, error"),
        ("TOKEN_EXPIRY_SECONDS", "59", "is too small; allowed: a whole number from 60 to 86400"),
        ("TOKEN_EXPIRY_SECONDS", "86401", "is too large; allowed: a whole number from 60 to 86400"),
        ("TOKEN_EXPIRY_SECONDS", "1h", "is not a whole number"),
        ("TOKEN_EXPIRY_SECONDS", "9" * 5000, "is not a whole number"),
        ("DRAIN_SECONDS", "nan", "is not a number"),
        ("DRAIN_SECONDS", "-1", "is too small"),
        ("DRAIN_SECONDS", "inf", "is too large"),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "-1", "a whole number, at least 0"),
        ("REDIS_URL", "http://redis", "the scheme is not redis"),
        ("REDIS_URL", "redis+sentinel://redis", "does not name the master"),
        ("REDIS_URL", "rediss+cluster://redis/1", "no database but 0"),
        ("REDIS_URL", "redis://a,b", "several hosts"),
        ("REDIS_WAIT_REPLICAS", "-1", "a whole number from 0 to 10"),
        ("REDIS_ALLOW_EVICTION", "yes", "allowed: on, off"),
        ("STORE_BATCHING", "true", "allowed: on, off"),
        ("CACHE_MAX_ENTRIES", "many", "is not a whole number"),
        ("CACHE_MAX_ENTRIES", "1000001", "a whole number from 0 to 1000000"),
        ("CACHE_TTL_SECONDS", "0", "a whole number from 1 to 86400"),
        ("CACHE_MAX_STALENESS_SECONDS", "0", "a number from 0.2 to 60"),
        ("REDIS_URL", "redis:///0", "has no host"),
        ("REDIS_URL", "redis://redis/zero", "not a database number"),
        ("REDIS_URL", "redis://redis?db=1", "has a query"),
        ("REDIS_KEY_PREFIX", "a{b}", "may hold only letters"),
        ("KEYS_SOURCE", "vault://x", "is not a key source"),
        ("KEYS_SOURCE", "file://relative", "an absolute path"),
        ("KEYS_SOURCE", "secret://name", "secret://namespace/name"),
        ("KEYS_ALGORITHMS", "ES256,HS256", "KEYS_ALGORITHMS=HS256: is not one of the values"),
        ("ADMIN_TOKEN_FILE", "/no/such/file", "does not exist"),
        ("CLIENTS_FILE", "/no/such/folder", "does not exist"),
    ],
)
def test_an_impossible_value_is_refused(name: str, text: str, message: str) -> None:
    found = problems_of(**{name: text})
    assert list(found) == [name]
    assert message in found[name]


@pytest.mark.parametrize(("given", "missing"), [("TLS_CERT_FILE", "TLS_KEY_FILE"), ("TLS_KEY_FILE", "TLS_CERT_FILE")])
def test_a_certificate_and_its_key_belong_together(given: str, missing: str) -> None:
    found = problems_of(**{given: "/no/such/file.pem"})
    assert "does not exist" in found[given]
    assert "belong together" in found[missing]


def test_all_mistakes_are_told_at_once() -> None:
    found = problems_of(
        BIND_ADDR="x", TOKEN_EXPIRY_SECONDS="5", LOG_LEVEL="loud", KEYS_ALGORITHMS="A,B", KEYS_SOURCE="redis:"
    )
    assert set(found) == {
        "BIND_ADDR",
        "TOKEN_EXPIRY_SECONDS",
        "LOG_LEVEL",
        "KEYS_ALGORITHMS",
        "KEYS_KEK_FILE",
        "REDIS_URL",
    }
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"KEYS_ALGORITHMS": "A,B"})
    assert [problem.given for problem in caught.value.problems] == ["A", "B"]
    assert str(caught.value).count("\n") == 1


@pytest.mark.parametrize(
    ("environ", "blamed"),
    [
        ({"METRICS_ADDR": "127.0.0.1:8080"}, "METRICS_ADDR"),
        ({"BIND_ADDR": "0.0.0.0:9465", "EXTERNAL_BASE_URL": "https://a.example"}, "ADMIN_ADDR"),
        ({"BIND_ADDR": "127.0.0.1:0"}, "EXTERNAL_BASE_URL"),
        ({"REFRESH_FAMILY_MAX_SECONDS": "3600"}, "REFRESH_FAMILY_MAX_SECONDS"),
        ({"REDIS_URL": "rediss://r", "REDIS_CERT_FILE": __file__}, "REDIS_KEY_FILE"),
        ({"REDIS_URL": "rediss://r", "REDIS_KEY_FILE": __file__}, "REDIS_CERT_FILE"),
        ({"KEYS_SOURCE": "memory:", "KEYS_FILE": "/keyring.json"}, "KEYS_FILE"),
        ({"KEYS_SOURCE": "redis:", "REDIS_URL": "redis://r"}, "KEYS_KEK_FILE"),
        ({"JWKS_RETAIN_SECONDS": "3599"}, "JWKS_RETAIN_SECONDS"),
        ({"JWKS_ROTATION_SECONDS": "300"}, "JWKS_ROTATION_SECONDS"),
        ({"REDIS_PASSWORD": "a", "REDIS_PASSWORD_FILE": "/b"}, "REDIS_PASSWORD"),
        ({"REDIS_PASSWORD_FILE": "/no/such/file"}, "REDIS_PASSWORD_FILE"),
        ({"KEYS_KEK_FILE": __file__}, "KEYS_KEK_FILE"),
        ({"ADMIN_TOKEN_FILE": str(Path(__file__).parent)}, "ADMIN_TOKEN_FILE"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ: dict[str, str], blamed: str) -> None:
    assert blamed in problems_of(**environ)


@pytest.mark.parametrize(
    ("address", "length", "refused", "warned"),
    [
        ("0.0.0.0:9465", 31, True, False),
        ("192.0.2.1:9465", 1, True, False),
        ("admin.internal:9465", 31, True, False),
        ("[::]:9465", 31, True, False),
        ("0.0.0.0:9465", 32, False, False),
        ("127.0.0.1:9465", 31, False, True),
        ("127.0.0.2:9465", 31, False, True),
        ("[::1]:9465", 31, False, True),
        ("localhost:9465", 31, False, True),
        ("127.0.0.1:9465", 32, False, False),
    ],
)
def test_an_operators_token_that_can_be_guessed_is_refused_where_others_can_try(
    address: str, length: int, refused: bool, warned: bool, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("canary"[:length].ljust(length, "x") + "\n")
    environ = {"ADMIN_ADDR": address, "ADMIN_TOKEN_FILE": str(file)}
    if refused:
        message = problems_of(**environ)["ADMIN_TOKEN_FILE"]
        assert "fewer than 32 characters" in message
        assert "at least 32 characters" in message
        assert "canary" not in message
    else:
        about = [warning for warning in load_settings(environ).warnings if "ADMIN_TOKEN_FILE" in warning]
        assert len(about) == warned
        assert "canary" not in str(about)


def test_an_empty_operators_token_is_refused_anywhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    assert "is empty" in problems_of(ADMIN_TOKEN_FILE=str(tmp_path / "token"))["ADMIN_TOKEN_FILE"]


def test_what_follows_from_a_wrong_value_is_not_blamed() -> None:
    assert list(problems_of(TOKEN_EXPIRY_SECONDS="x", JWKS_RETAIN_SECONDS="60")) == ["TOKEN_EXPIRY_SECONDS"]
    assert list(problems_of(REDIS_URL="x", KEYS_SOURCE="redis:")) == ["REDIS_URL", "KEYS_KEK_FILE"]


@pytest.mark.parametrize("name", ["REDIS_URL", "REDIS_PASSWORD", "CLIENT_CREDENTIALS"])
@given(secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8))
def test_no_secret_is_part_of_an_error_or_a_representation(name: str, secret: str) -> None:
    canary = f"canary-{secret}"
    value = {"REDIS_URL": f"http://user:{canary}@host?{canary}"}.get(name, f"id:{canary}")
    with pytest.raises(ConfigurationError) as caught:
        load_settings({name: value, "BIND_ADDR": "x"})
    assert canary not in str(caught.value)
    assert canary not in repr(caught.value.problems)
    if name != "REDIS_URL":
        assert canary not in repr(load_settings({name: value}))


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    loaded = load_settings({"REDIS_URL": "redis://r", "REDIS_PASSWORD_FILE": str(tmp_path / "password")})
    assert loaded.settings.store.redis_password == SecretText("hunter2")
    assert loaded.settings.store.redis_password_file == tmp_path / "password"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"\xff", "not UTF-8"), (b"a" * (1 << 20) + b"a", "more than 1 MiB")],
)
def test_a_secret_file_that_holds_no_secret_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "password").write_bytes(content)
    found = problems_of(REDIS_URL="redis://r", REDIS_PASSWORD_FILE=str(tmp_path / "password"))
    assert message in found["REDIS_PASSWORD_FILE"]


def test_a_wrong_secret_from_a_file_names_the_file_and_not_the_secret(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://canary")
    (message,) = problems_of(REDIS_URL_FILE=str(tmp_path / "url")).values()
    assert message.startswith(f"REDIS_URL_FILE={tmp_path / 'url'}: the scheme is not")
    assert "canary" not in message


def test_an_empty_value_counts_as_not_set() -> None:
    assert load_settings({"TOKEN_EXPIRY_SECONDS": "", "REDIS_URL": "  "}).settings == Settings()


def test_keys_file_is_short_for_a_file_source(tmp_path: Path) -> None:
    settings = load_settings({"KEYS_FILE": str(tmp_path / "keyring.json")}).settings
    assert settings.keys.keys_source == f"file://{tmp_path}/keyring.json"


def test_a_key_encryption_key_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    path.write_bytes(base64.b64encode(bytes(32)) + b"\n")
    environ = {"REDIS_URL": "redis://r", "KEYS_SOURCE": "redis:", "KEYS_KEK_FILE": str(path)}
    assert load_settings(environ).settings.keys.keys_kek_file == path
    current = base64.b64encode(bytes(32))
    for text, says in [
        (base64.b64encode(bytes(31)), "line 1 has 31 bytes"),
        (b"", "0 key-encryption keys"),
        (current + b"\n%%%\n", "line 2 is not base64"),
        (current + b"\n" + base64.b64encode(bytes(16)), "line 2 has 16 bytes"),
        ((current + b"\n") * 5, "5 key-encryption keys"),
    ]:
        path.write_bytes(text)
        told = problems_of(**environ)
        assert list(told) == ["KEYS_KEK_FILE"]
        assert says in str(told["KEYS_KEK_FILE"])


def test_a_key_encryption_key_has_its_predecessors_below_it(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    path.write_bytes(b"\r\n".join(base64.b64encode(bytes([number]) * 32) for number in range(4)) + b"\n\n")
    environ = {"REDIS_URL": "redis://r", "KEYS_SOURCE": "redis:", "KEYS_KEK_FILE": str(path)}
    assert load_settings(environ).settings.keys.keys_kek_file == path


@pytest.mark.parametrize(
    ("address", "issuer"),
    [
        ("127.0.0.1:1234", "http://127.0.0.1:1234"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
    ],
)
def test_the_issuer_follows_the_address(address: str, issuer: str) -> None:
    assert load_settings({"BIND_ADDR": address}).settings.listeners.external_base_url == issuer


@pytest.mark.parametrize(
    ("environ", "warning"),
    [
        ({"BIND_ADDR": "0.0.0.0:80"}, "EXTERNAL_BASE_URL is not set"),
        ({"EXTERNAL_BASE_URL": "http://auth.example.com"}, "EXTERNAL_BASE_URL is not https"),
        ({"STORE_FALLBACK": "fail"}, "STORE_FALLBACK has no effect"),
        ({"REDIS_URL": "redis://r", "REDIS_CA_FILE": __file__}, "REDIS_CA_FILE has no effect"),
        ({"CLIENT_CREDENTIALS": "a:b"}, "ALLOWED_SCOPES is not set"),
        ({}, "no client is registered"),
        ({"REDIS_URL": "redis://r"}, "KEYS_SOURCE=memory: gives every process keys of its own"),
        ({"REDIS_ULR": "redis://r"}, "REDIS_ULR is not a setting: did you mean REDIS_URL?"),
        ({"redis_url": "redis://r"}, "redis_url is not a setting: did you mean REDIS_URL?"),
        ({"KEY_FILE": "x"}, "KEY_FILE is not a setting: did you mean KEYS_FILE?"),
        ({"TOKEN_EXPIRY_SECOND": "x"}, "did you mean TOKEN_EXPIRY_SECONDS?"),
        ({"CACHE_TTL_SECONDS": "3"}, "CACHE_TTL_SECONDS has no effect: REDIS_URL is not set"),
        ({"REDIS_URL": "redis://r", "REDIS_ALLOW_EVICTION": "on"}, "revoked tokens live again"),
    ],
)
def test_what_is_probably_not_meant_is_warned_about(environ: dict[str, str], warning: str) -> None:
    assert any(warning in told for told in load_settings(environ).warnings)


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "REDIS_PORT", "REDIS_SERVICE_HOST", "REDIS_PORT_6379_TCP_ADDR", "SSL_CERT_FILE", "LOGNAME", "URL"],
)
def test_names_of_others_are_left_alone(name: str) -> None:
    assert not any(name in told for told in load_settings({name: "x"}).warnings)


@given(st.dictionaries(st.sampled_from([field.name for field in all_fields()]), st.text(max_size=40), max_size=5))
def test_any_text_is_a_value_or_a_mistake(environ: dict[str, str]) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        loaded = load_settings(environ)
    except ConfigurationError as error:
        problems = error.problems
    else:
        assert loaded.given == {name for name, text in environ.items() if text.strip()}
        return
    assert problems
    assert all(problem.where.partition("=")[0].isupper() for problem in problems)
