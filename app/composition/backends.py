"""What a service stands on: its token store and its key ring, as the settings say."""

import logging
from collections.abc import Callable
from pathlib import Path

from app import clock, randomness
from app.composition.redis_store import credentials_reader, make_redis_store
from app.config.checks import rotation_policy
from app.config.clients import ClientRegistry
from app.config.keys import KeysRotation
from app.config.problems import ConfigurationError, Problem
from app.config.secret_files import read_secret_file
from app.config.settings import Settings
from app.config.store import StoreFallback, StoreSettings
from app.keys.errors import KeyUsageError
from app.keys.keeper import KeyKeeper
from app.keys.sealing import KeyEncryption, parse_keks
from app.keys.sources.redis_address import RedisAddress, Topology
from app.keys.sources.uri import source_from_uri
from app.model.clients import AccessTokenFormat
from app.observability.audit import Audit, Outcome, open_audit
from app.observability.metrics import Metrics
from app.protocol.client_assertion import CLOCK_SKEW_SECONDS, MAX_LIFE_SECONDS
from app.storage.fallback import FallbackStore
from app.storage.interface import StoreUnavailable, TokenStore
from app.storage.memory import MemoryStore
from app.storage.redis_options import CredentialsReader, RedisOptions, TlsFiles, parse_redis_url

logger = logging.getLogger("app.service")

LONGEST_ACCESS_TOKEN_SECONDS = 86_400
"""No setting allows an access token a longer life."""

LONGEST_REMEMBERED_SECONDS = MAX_LIFE_SECONDS + 2 * CLOCK_SKEW_SECONDS + 1
"""No client assertion is accepted longer before the end of the time for which its ``jti`` is remembered."""


def key_keeper(settings: Settings, registry: ClientRegistry, metrics: Metrics, audit: Audit) -> KeyKeeper:
    """The keeper of the configured key ring. Raises ConfigurationError."""
    keys = settings.keys
    policy = rotation_policy(settings)
    signed = [c.access_token_seconds for c in registry.clients if c.access_token_format is AccessTokenFormat.JWT]
    longest = max(signed, default=0)
    problems = [Problem("signing keys", sentence) for sentence in policy.problems(longest)]
    if problems:
        raise ConfigurationError(problems)
    try:
        source = source_from_uri(keys.keys_source, redis=redis_address(settings.store))
        kek = None if keys.keys_kek_file is None else read_kek(keys.keys_kek_file)
    except (KeyUsageError, OSError, ValueError) as error:
        raise ConfigurationError([Problem("KEYS_SOURCE", str(error))]) from None

    def on_rotation(result: str) -> None:
        metrics.key_rotation(result)
        if result != "lost":  # another process did it, and told of it
            audit.key_rotated(actor="service", outcome=Outcome.SUCCESS if result == "rotated" else Outcome.FAILED)

    return KeyKeeper(
        source,
        policy,
        kek=kek,
        rotates=keys.keys_rotation is KeysRotation.AUTO,
        clock=clock.unix_now,
        random_bytes=randomness.random_bytes,
        on_problem=lambda _kind: metrics.reload_failed("keys"),
        on_rotation=on_rotation,
    )


def audit_log(settings: Settings, metrics: Metrics) -> Audit:
    """The configured audit. Raises ConfigurationError where its file cannot be written to."""
    name = settings.process.audit_log
    try:
        return open_audit(name, now=clock.unix_now, on_dropped=metrics.audit_events_dropped.inc)
    except OSError as error:
        raise ConfigurationError([Problem("AUDIT_LOG", error.strerror or "cannot be opened", name)]) from None


def read_kek(path: Path) -> KeyEncryption:
    """The key-encryption keys of a file. Raises OSError or ValueError."""
    return KeyEncryption(parse_keks(path.read_bytes()), randomness.random_bytes)


def redis_address(store: StoreSettings) -> RedisAddress | None:
    """How the ``redis:`` key source reaches Redis; None without ``REDIS_URL``. Raises ConfigurationError."""
    if store.redis_url is None:
        return None
    try:
        options = parse_redis_url(store.redis_url.reveal())
    except ValueError as error:
        raise ConfigurationError([Problem("REDIS_URL", str(error))]) from None
    files = TlsFiles(store.redis_ca_file, store.redis_cert_file, store.redis_key_file)
    return address_of(options, store.redis_key_prefix, credentials_reader(store), files)


def address_of(
    options: RedisOptions, key_prefix: str, read: CredentialsReader | None = None, files: TlsFiles | None = None
) -> RedisAddress:
    """An address of the key source from the one of the store; ``read`` stands before credentials in the URL."""
    read = read or (lambda: options.url_credentials)
    files = files or TlsFiles()
    return RedisAddress(
        hosts=options.addresses,
        key_prefix=key_prefix,
        topology=Topology[options.deployment.name],
        master_name=options.master_name,
        database=options.database,
        tls=options.tls,
        credentials=lambda: ((found := read()).username, found.password),
        ca_file=files.ca,
        cert_file=files.certificate,
        key_file=files.key,
    )


async def open_store(settings: Settings, metrics: Metrics) -> TokenStore:
    """The configured store, open; or, where Redis is away, what ``STORE_FALLBACK`` says.

    With ``fail`` the store is returned unopened and tried again in the background: it is not ready until it is reached.
    """
    store = settings.store
    if store.redis_url is None:
        memory = MemoryStore(store.memory_store_max_tokens, clock.unix_now)
        await memory.open()
        return memory
    redis = make_redis_store(store, metrics.store)
    if store.store_fallback is StoreFallback.MEMORY:
        fallback = FallbackStore(
            redis,
            max_tokens=store.memory_store_max_tokens,
            now=clock.unix_now,
            longest_token_seconds=LONGEST_ACCESS_TOKEN_SECONDS,
            longest_once_seconds=LONGEST_REMEMBERED_SECONDS,
            on_degraded=_tell_degraded,
        )
        await fallback.open()
        return fallback
    try:
        await redis.open()
    except StoreUnavailable as error:
        # It goes on trying by itself; the service is not ready until it succeeds.
        logger.error("Redis is unreachable (%s): not ready, trying again", error)  # noqa: TRY400 - expected
    return redis


def _tell_degraded(why: str | None) -> None:
    if why is None:
        logger.warning("Redis is back: what memory held was handed over, and Redis is the store from now on")
    else:
        logger.warning(
            "Redis is unreachable (%s): tokens are kept in the memory of this process alone, and well-formed ones that "
            "it does not know are answered with 503, until Redis is back",
            why,
        )


def operator_token_reader(path: Path | None) -> Callable[[], str | None]:
    """Reads the operators' token at each use, so that a changed file counts at once; None if there is no file."""

    def read() -> str | None:
        if path is None:
            return None
        try:
            return read_secret_file(path)
        except (OSError, ValueError) as error:
            logger.error("ADMIN_TOKEN_FILE cannot be used: %s", error)  # noqa: TRY400 - its traceback says nothing
            return None

    return read
