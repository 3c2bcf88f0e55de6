"""What settings must be towards each other and towards the file system."""

import os
from collections.abc import Collection, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from app.config.keys import SigningAlgorithm
from app.config.limits import RateLimitBackend
from app.config.operator_token import check_operator_token, warn_about_operator_token
from app.config.problems import Problem
from app.config.settings import Settings
from app.config.store import StoreSettings, Switch
from app.config.values import Address
from app.keys.policy import RotationPolicy
from app.keys.sealing import parse_keks
from app.model.clients import AccessTokenFormat, Client

_EVERY_INTERFACE: Final = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound
_OF_REDIS: Final = (
    "STORE_FALLBACK",
    "STORE_BATCHING",
    "CACHE_MAX_ENTRIES",
    "CACHE_TTL_SECONDS",
    "CACHE_MAX_STALENESS_SECONDS",
    "REDIS_WAIT_REPLICAS",
    "REDIS_ALLOW_EVICTION",
)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class _Finding(NamedTuple):
    problem: Problem
    involves: tuple[str, ...]
    """The other settings that the problem follows from."""


def check_settings(settings: Settings, given: Collection[str], refused: Collection[str]) -> list[Problem]:
    """What contradicts itself.

    ``refused`` names settings whose values are wrong already: what follows from them is not judged.
    """
    findings = [
        *_listeners(settings, "EXTERNAL_BASE_URL" in given),
        *_tokens(settings),
        *_store(settings),
        *_limits(settings),
        *_keys(settings, {"KEYS_SOURCE", "KEYS_FILE"}.issubset(given)),
    ]
    return [
        finding.problem for finding in findings if not {finding.problem.where, *finding.involves}.intersection(refused)
    ]


def _listeners(settings: Settings, issuer_is_given: bool) -> Iterator[_Finding]:
    listeners = settings.listeners
    addresses = {
        "BIND_ADDR": listeners.bind_addr,
        "METRICS_ADDR": listeners.metrics_addr,
        "ADMIN_ADDR": listeners.admin_addr,
    }
    for (other, first), (name, second) in combinations(addresses.items(), 2):
        if _collide(first, second):
            yield _Finding(Problem(name, f"is the same as {other}", str(second)), (other,))
    if (listeners.tls_cert_file is None) != (listeners.tls_key_file is None):
        missing = "TLS_CERT_FILE" if listeners.tls_cert_file is None else "TLS_KEY_FILE"
        yield _Finding(Problem(missing, "must be set: a certificate and its private key belong together"), ())
    if listeners.bind_addr.port == 0 and not issuer_is_given:
        sentence = "must be set where BIND_ADDR leaves the port to the system"
        yield _Finding(Problem("EXTERNAL_BASE_URL", sentence), ("BIND_ADDR",))


def _collide(a: Address, b: Address) -> bool:
    if a.port != b.port or a.port == 0:
        return False
    return a.host == b.host or a.host in _EVERY_INTERFACE or b.host in _EVERY_INTERFACE


def _tokens(settings: Settings) -> Iterator[_Finding]:
    tokens = settings.tokens
    if tokens.refresh_family_max_seconds < tokens.refresh_token_expiry_seconds:
        problem = Problem(
            "REFRESH_FAMILY_MAX_SECONDS",
            "is shorter than the life of one refresh token",
            str(tokens.refresh_family_max_seconds),
            f"at least REFRESH_TOKEN_EXPIRY_SECONDS, {tokens.refresh_token_expiry_seconds}",
        )
        yield _Finding(problem, ("REFRESH_TOKEN_EXPIRY_SECONDS",))


def _store(settings: Settings) -> Iterator[_Finding]:
    store = settings.store
    if (store.redis_cert_file is None) != (store.redis_key_file is None):
        missing = "REDIS_CERT_FILE" if store.redis_cert_file is None else "REDIS_KEY_FILE"
        yield _Finding(Problem(missing, "must be set: a certificate and its private key belong together"), ())


def _limits(settings: Settings) -> Iterator[_Finding]:
    if settings.limits.rate_limit_backend is RateLimitBackend.REDIS and settings.store.redis_url is None:
        yield _Finding(Problem("REDIS_URL", "must be set where RATE_LIMIT_BACKEND=redis"), ("REDIS_URL_FILE",))


def _keys(settings: Settings, both_are_given: bool) -> Iterator[_Finding]:
    keys = settings.keys
    if both_are_given:
        yield _Finding(Problem("KEYS_FILE", "is set together with KEYS_SOURCE: set only one of them"), ())
    if keys.keys_source == "redis:":
        if keys.keys_kek_file is None:
            sentence = "must be set where KEYS_SOURCE=redis:, so that private keys are sealed"
            yield _Finding(Problem("KEYS_KEK_FILE", sentence), ())
        if settings.store.redis_url is None:
            sentence = "must be set where KEYS_SOURCE=redis:"
            yield _Finding(Problem("REDIS_URL", sentence), ("REDIS_URL_FILE",))
    involved = (*(name.upper() for name in keys.__struct_fields__), "TOKEN_EXPIRY_SECONDS")
    for sentence in rotation_policy(settings).problems(settings.tokens.token_expiry_seconds):
        name, _, what = sentence.partition(" ")
        yield _Finding(Problem(name.rstrip(":"), what), involved)


def rotation_policy(settings: Settings) -> RotationPolicy:
    """The settings of rotation, as the keys' own rules judge them."""
    keys = settings.keys
    return RotationPolicy(
        algorithms=tuple(algorithm.value for algorithm in keys.keys_algorithms),
        max_age_seconds=keys.jwks_max_age_seconds,
        propagation_seconds=keys.keys_propagation_seconds,
        skew_seconds=keys.key_clock_skew_seconds,
        period_seconds=keys.jwks_rotation_seconds,
        retain_seconds=keys.jwks_retain_seconds,
        rsa_bits=keys.keys_rsa_bits,
    )


def check_clients(settings: Settings, clients: Iterable[Client]) -> list[Problem]:
    """What clients ask of the settings: that no token outlives its key, and that there is a key for ID tokens."""
    return [problem for client in clients for problem in _client(settings, client)]


def _client(settings: Settings, client: Client) -> Iterator[Problem]:
    keys, where = settings.keys, f"client {client.id!r}"
    signs = client.access_token_format is AccessTokenFormat.JWT
    if signs and client.access_token_seconds > keys.jwks_retain_seconds:
        yield Problem(
            where,
            f"its access tokens live {client.access_token_seconds} seconds, longer than the keys that sign them are "
            f"published (JWKS_RETAIN_SECONDS={keys.jwks_retain_seconds})",
        )
    algorithm = client.id_token_signed_response_alg
    # RS256 is what a client without the setting gets; it matters to those alone that can have ID tokens.
    if algorithm not in keys.keys_algorithms and (algorithm != SigningAlgorithm.RS256 or "openid" in client.scopes):
        yield Problem(
            where,
            f"id_token_signed_response_alg is {algorithm}, and there are no keys of it",
            None,
            f"one of KEYS_ALGORITHMS={','.join(keys.keys_algorithms)}",
        )


def check_files(settings: Settings, refused: Collection[str]) -> Iterable[Problem]:
    """Which of the files that settings name cannot be used."""
    for section in Settings.__struct_fields__:
        values = getattr(settings, section)
        for attribute in values.__struct_fields__:
            path = getattr(values, attribute)
            name = attribute.upper()
            # A key ring may be made by the first start; the keys' own source judges it.
            if isinstance(path, Path) and name != "KEYS_FILE" and name not in refused:
                yield from _readable(name, path)
    if not {"ADMIN_TOKEN_FILE", "ADMIN_ADDR"}.intersection(refused):
        yield from check_operator_token(settings.listeners)
    kek = settings.keys.keys_kek_file
    if kek is not None and "KEYS_KEK_FILE" not in refused and kek.is_file() and os.access(kek, os.R_OK):
        try:
            parse_keks(kek.read_bytes())
        except (OSError, ValueError) as error:
            yield Problem("KEYS_KEK_FILE", str(error), str(kek), "32 bytes in base64, one key a line")


def _readable(name: str, path: Path) -> Iterable[Problem]:
    if not path.exists():
        yield Problem(name, "does not exist", str(path))
    elif path.is_dir() and name != "CLIENTS_FILE":
        yield Problem(name, "is a folder", str(path), "the path of a file")
    elif not os.access(path, os.R_OK):
        yield Problem(name, "cannot be read by this user", str(path))


def warn_about(settings: Settings, given: Collection[str]) -> Iterable[str]:
    """What is allowed, and probably not meant."""
    listeners, store, clients = settings.listeners, settings.store, settings.clients
    issuer = urlsplit(listeners.external_base_url)
    if "EXTERNAL_BASE_URL" not in given and listeners.bind_addr.host not in _LOOPBACK:
        yield (
            f"EXTERNAL_BASE_URL is not set: tokens name {listeners.external_base_url} as their issuer, "
            "which others cannot reach"
        )
    elif issuer.scheme == "http" and listeners.tls_cert_file is not None:
        yield "EXTERNAL_BASE_URL is not https, and TLS_CERT_FILE is set: the listener speaks TLS alone"
    elif issuer.scheme == "http" and issuer.hostname not in _LOOPBACK:
        yield "EXTERNAL_BASE_URL is not https: clients and verifiers may refuse the issuer (RFC 8414 section 2)"
    yield from _warn_about_store(store, given)
    if clients.client_credentials is not None and not clients.allowed_scopes:
        yield "ALLOWED_SCOPES is not set: the clients of CLIENT_CREDENTIALS get tokens without a scope"
    if clients.client_credentials is None and clients.clients_file is None:
        yield "no client is registered: set CLIENT_CREDENTIALS or CLIENTS_FILE"
    yield from warn_about_operator_token(listeners)
    if settings.keys.keys_source == "memory:" and store.redis_url is not None:
        yield "KEYS_SOURCE=memory: gives every process keys of its own: replicas will not accept each other's JWTs"


def _warn_about_store(store: StoreSettings, given: Collection[str]) -> Iterable[str]:
    if store.redis_url is not None and not store.redis_url.reveal().startswith("rediss"):
        for name in ("REDIS_CA_FILE", "REDIS_CERT_FILE"):
            if name in given:
                yield f"{name} has no effect: REDIS_URL is not rediss://"
    if store.redis_url is None:
        for name in _OF_REDIS:
            if name in given:
                yield f"{name} has no effect: REDIS_URL is not set"
    elif store.redis_allow_eviction is Switch.ON:
        yield "REDIS_ALLOW_EVICTION=on: a Redis that is full may drop revocations, and revoked tokens live again"
