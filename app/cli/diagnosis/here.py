"""Looking at what this environment's configuration names: listeners, clients, the ring's source, Redis."""

from collections.abc import Callable, Mapping

from app.cli.diagnosis.seen import HereSeen
from app.cli.key_replicas import Replica, resolve
from app.composition.key_ring import redis_address
from app.composition.redis_look import look_at_redis
from app.config.clients import ClientsSource
from app.config.load import Loaded
from app.config.problems import ConfigurationError
from app.config.settings import Settings
from app.config.values import Address
from app.keys.document import decode
from app.keys.errors import KeysError
from app.keys.sources.uri import source_from_uri

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on, turned into what can be asked


def own_listeners(settings: Settings) -> tuple[Replica, Replica]:
    """The metrics and the admin listener of the process that has these settings. Raises ValueError and OSError."""
    listeners = settings.listeners
    return _listener(listeners.metrics_addr), _listener(listeners.admin_addr)


def _listener(address: Address) -> Replica:
    if not address.port:
        raise ValueError("a listener has port 0, so that only the process knows its address: name it with --url")
    host = _ANY.get(address.host, address.host)
    return resolve(f"http://[{host}]:{address.port}" if ":" in host else f"http://{host}:{address.port}")[0]


async def look_here(
    loaded: Loaded, environ: Mapping[str, str], now: Callable[[], float], stopwatch: Callable[[], float]
) -> HereSeen:
    """Look. Raises ConfigurationError for settings alone: clients that would be refused are a finding."""
    settings = loaded.settings
    warnings = loaded.warnings
    refused: tuple[str, ...] = ()
    try:
        warnings += ClientsSource(settings, environ).load(now()).warnings
    except ConfigurationError as error:
        refused = tuple(str(problem) for problem in error.problems)
    revision, problem = await _ring(settings)
    return HereSeen(
        warnings=warnings,
        clients_problems=refused,
        ring_source=settings.keys.keys_source,
        ring_revision=revision,
        ring_problem=problem,
        redis=await look_at_redis(settings.store, now, stopwatch),
    )


async def _ring(settings: Settings) -> tuple[int | None, str | None]:
    """The revision in the source, or why there is none; neither for a ring in memory. Keys are not opened."""
    if settings.keys.keys_source == "memory:":
        return None, None
    try:
        source = source_from_uri(settings.keys.keys_source, redis=redis_address(settings.store))
        try:
            stored = await source.read()
        finally:
            await source.close()
        return (None, "there is no ring in it") if stored is None else (decode(stored.body).revision, None)
    except KeysError as error:
        return None, str(error)
