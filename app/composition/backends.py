"""What a service stands on: its token store and its key ring, as the settings say."""

import logging
from collections.abc import Callable

from app import clock
from app.composition.redis_store import make_redis_store
from app.config.limits import RateLimitBackend
from app.config.listeners import ListenerSettings
from app.config.operator_token import refuse_weak_operator_token
from app.config.problems import ConfigurationError, Problem
from app.config.secret_files import read_secret_file
from app.config.settings import Settings
from app.config.store import StoreFallback
from app.observability.audit import Audit, open_audit
from app.observability.metrics import Metrics
from app.observability.tracing import NOTHING_TRACED, Traces
from app.protocol.client_assertion import CLOCK_SKEW_SECONDS, MAX_LIFE_SECONDS
from app.ratelimit.leases import SharedBudget
from app.storage.fallback import FallbackStore
from app.storage.interface import StoreUnavailable, TokenStore
from app.storage.memory import MemoryStore
from app.storage.redis.store import RedisStore
from app.web.tls import ListenerTls, UnusablePair

logger = logging.getLogger("app.service")

LONGEST_ACCESS_TOKEN_SECONDS = 86_400
"""No setting allows an access token a longer life."""

LONGEST_REMEMBERED_SECONDS = MAX_LIFE_SECONDS + 2 * CLOCK_SKEW_SECONDS + 1
"""No client assertion is accepted longer before the end of the time for which its ``jti`` is remembered."""


def audit_log(settings: Settings, metrics: Metrics) -> Audit:
    """The configured audit. Raises ConfigurationError where its file cannot be written to."""
    name = settings.process.audit_log
    try:
        return open_audit(name, now=clock.unix_now, on_dropped=metrics.audit_events_dropped.inc)
    except OSError as error:
        raise ConfigurationError([Problem("AUDIT_LOG", error.strerror or "cannot be opened", name)]) from None


async def open_store(settings: Settings, metrics: Metrics, traces: Traces = NOTHING_TRACED) -> TokenStore:
    """The configured store, open; or, where Redis is away, what ``STORE_FALLBACK`` says.

    With ``fail`` the store is returned unopened and tried again in the background: it is not ready until it is reached.
    """
    store = settings.store
    if store.redis_url is None:
        memory = MemoryStore(store.memory_store_max_tokens, clock.unix_now, observer=metrics.store, alone=True)
        await memory.open()
        return memory
    redis = make_redis_store(store, metrics.store, traces)
    if store.store_fallback is StoreFallback.MEMORY:
        fallback = FallbackStore(
            redis,
            max_tokens=store.memory_store_max_tokens,
            now=clock.unix_now,
            longest_token_seconds=LONGEST_ACCESS_TOKEN_SECONDS,
            longest_once_seconds=LONGEST_REMEMBERED_SECONDS,
            on_degraded=_tell_degraded,
            observer=metrics.store,
        )
        await fallback.open()
        return fallback
    try:
        await redis.open()
    except StoreUnavailable as error:
        # It goes on trying by itself; the service is not ready until it succeeds.
        logger.error("Redis is unreachable (%s): not ready, trying again", error)  # noqa: TRY400 - expected
    return redis


def shared_budget(settings: Settings, store: TokenStore) -> SharedBudget | None:
    """What the limits of clients are borrowed from; None where each process counts for itself."""
    if settings.limits.rate_limit_backend is not RateLimitBackend.REDIS:
        return None
    shared = store.shared if isinstance(store, FallbackStore) else store
    assert isinstance(shared, RedisStore)  # noqa: S101 - narrows the type: the settings were checked
    return shared


def _tell_degraded(why: str | None) -> None:
    if why is None:
        logger.warning("Redis is back: what memory held was handed over, and Redis is the store from now on")
    else:
        logger.warning(
            "Redis is unreachable (%s): tokens are kept in the memory of this process alone, and well-formed ones that "
            "it does not know are answered with 503, until Redis is back",
            why,
        )


def listener_tls(settings: Settings, metrics: Metrics, audit: Audit) -> ListenerTls | None:
    """The public listener's TLS; None without. Raises ConfigurationError."""
    cert_file, key_file = settings.listeners.tls_cert_file, settings.listeners.tls_key_file
    if cert_file is None or key_file is None:
        return None
    try:
        return ListenerTls(
            cert_file,
            key_file,
            on_failure=lambda: metrics.reload_failed("tls"),
            on_change=lambda: audit.admin_changed("the public listener has a new certificate", actor="service"),
        )
    except UnusablePair as error:
        raise ConfigurationError([Problem("TLS_CERT_FILE", str(error))]) from None


def operator_token_reader(listeners: ListenerSettings) -> Callable[[], str | None]:
    """Reads the operators' token at each use, so that a changed file counts at once; None if there is no file.

    A token that a start would be refused for counts for nothing, too.
    """
    path = listeners.admin_token_file

    def read() -> str | None:
        if path is None:
            return None
        try:
            token = read_secret_file(path)
            refuse_weak_operator_token(token, listeners.admin_addr)
            return token
        except (OSError, ValueError) as error:
            logger.error("ADMIN_TOKEN_FILE cannot be used: %s", error)  # noqa: TRY400 - its traceback says nothing
            return None

    return read
