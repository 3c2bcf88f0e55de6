"""The life of a serving process: bind, open, serve, drain, close."""

import asyncio
import gc
import logging
import math
import resource
import signal
import socket
from collections.abc import Callable, Mapping

import msgspec

from app import clock, randomness
from app.composition.backends import audit_log, listener_tls, open_store, shared_budget
from app.composition.key_ring import LeakedKeys, key_keeper
from app.composition.service import Service
from app.composition.tracing import open_traces
from app.config.clients import ClientRegistry, ClientsSource
from app.config.clients_reloader import ClientsReloader
from app.config.load import Loaded
from app.config.settings import Settings
from app.keys.errors import KeysError
from app.observability.metrics import Metrics
from app.web.handshakes import MAX_WAITING
from app.web.probe import probe_client
from app.web.serving import CannotListen, Listener, bind, serve

logger = logging.getLogger("app.service")


OPERATORS_CONNECTIONS = 100
"""At the operators' listener at once: people's browsers and scripts, and fewer than the descriptors kept for others."""
_OTHER_FILES = 320
"""Descriptors kept for everything but the public listener's connections."""
_MANY = 4096
"""As many connections are enough for a usual installation: no more is no reason for a warning at each start."""


class CannotStart(Exception):
    """The process cannot serve; the message says what is wrong and what to do."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Sockets(msgspec.Struct, frozen=True):
    """Where the process listens."""

    public: socket.socket
    metrics: socket.socket
    admin: socket.socket


def bind_sockets(settings: Settings, *, worker: int = 0, public: socket.socket | None = None) -> Sockets:
    """Bind the listeners of worker ``worker``; the public one may be shared. Raises CannotStart."""
    listeners = settings.listeners
    metrics, admin = listeners.metrics_addr.for_worker(worker), listeners.admin_addr.for_worker(worker)
    try:
        return Sockets(
            public or bind("BIND_ADDR", listeners.bind_addr.host, listeners.bind_addr.port),
            bind("METRICS_ADDR", metrics.host, metrics.port),
            bind("ADMIN_ADDR", admin.host, admin.port),
        )
    except CannotListen as error:
        raise CannotStart(str(error)) from None


async def run(
    loaded: Loaded, environ: Mapping[str, str], sockets: Sockets, *, on_ready: Callable[[], None] | None = None
) -> None:
    """Serve until a signal ends the process.

    Raises CannotStart, ConfigurationError for clients that cannot be used, or CancelledError if the signal came before
    the service listened.
    """
    settings = loaded.settings
    _end_at_a_signal()
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    metrics = Metrics()
    audit = audit_log(settings, metrics)
    probing = probe_client(randomness.random_bytes) if settings.process.probe_interval_seconds else None
    registry = ClientRegistry(own=None if probing is None else probing[0])
    reloader = ClientsReloader(
        ClientsSource(settings, environ),
        registry,
        unix_now=clock.unix_now,
        on_failure=lambda: metrics.reload_failed("clients"),
        on_change=lambda change: audit.admin_changed(change, actor="service"),
    )
    reloader.load()
    keeper = key_keeper(settings, registry, metrics, audit)
    tls = listener_tls(settings, metrics, audit)
    tracing = open_traces(settings, metrics)
    try:
        # Both may take a while (a new RSA key, a Redis that is slow to answer), and neither needs the other.
        store, _ = await asyncio.gather(open_store(settings, metrics, tracing.traces), keeper.start())
    except KeysError as error:
        raise CannotStart(f"{keeper.source.describe()}: {error}", exit_code=2) from None
    leaked = LeakedKeys(keeper)
    store.watch_epochs(leaked.watch)
    await leaked.settled()
    service = Service(
        settings,
        registry=registry,
        store=store,
        keeper=keeper,
        metrics=metrics,
        audit=audit,
        budget=shared_budget(settings, store),
        traces=tracing.traces,
        tls=tls,
        probing=probing,
    )
    await service.start()
    await reloader.start()
    # What lives now lives as long as the process; collections need not look at it again.
    gc.collect()
    gc.freeze()

    def on_listening() -> None:
        logger.info("listening on %s", settings.listeners.bind_addr)
        if on_ready is not None:
            on_ready()

    keep_alive = settings.process.keep_alive_seconds
    slow = settings.process.request_timeout_seconds
    max_age = settings.process.max_connection_age_seconds or math.inf
    handshakes = 0 if tls is None else files_for_handshakes()
    try:
        await serve(
            [
                Listener(
                    "public",
                    service.public_application,
                    sockets.public,
                    keep_alive,
                    max_age,
                    slow,
                    open_files_for(settings.process.max_connections, handshakes),
                    service.transport_headers,
                    service.public_hot,
                    None if tls is None else tls.context,
                    handshakes,
                ),
                Listener(
                    "admin",
                    service.admin_application,
                    sockets.admin,
                    keep_alive,
                    request_seconds=slow,
                    max_connections=OPERATORS_CONNECTIONS,
                ),
                Listener(
                    "metrics",
                    service.metrics_application,
                    sockets.metrics,
                    keep_alive,
                    request_seconds=slow,
                    hot=service.metrics_hot,
                ),
            ],
            service.draining,
            settings.process.drain_seconds,
            random_bytes=randomness.random_bytes,
            on_listening=on_listening,
        )
    finally:
        await reloader.stop()
        await service.stop()
        await tracing.close()
        audit.close()
    logger.info("stopped")


def files_for_handshakes() -> int:
    """How many handshakes of TLS may be under way: an eighth, at most, of the files that may be open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_WAITING if hard == resource.RLIM_INFINITY else max(1, min(MAX_WAITING, hard // 8))


def open_files_for(connections: int, handshakes: int = 0) -> int:
    """How many connections of those wanted the limit on open files allows; it is raised as far as it may be.

    Some are kept for the other listeners, Redis, threads and files: a process without one left cannot answer a probe.
    So is one for each of the ``handshakes`` of TLS, which are no connections yet.
    """
    others = _OTHER_FILES + handshakes
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + others
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    else:
        most = max(most, soft) if soft != resource.RLIM_INFINITY else wanted
    allowed = max(1, min(connections, most - others))
    if allowed < connections:
        level = logging.INFO if allowed >= _MANY else logging.WARNING
        logger.log(level, "the limit on open files allows %d connections, not %d", allowed, connections)
    return allowed


def _end_at_a_signal() -> None:
    """Until the listeners are open a signal ends the start; as a container's first process it would else be ignored."""
    starting = asyncio.current_task()
    assert starting is not None  # noqa: S101 - a coroutine of the runner
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, starting.cancel)
