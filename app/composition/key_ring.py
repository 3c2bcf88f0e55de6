"""The key ring as the settings want it: its keeper, its place, and what the store says of leaked keys."""

import asyncio
import logging
from pathlib import Path

from app import clock, randomness
from app.composition.redis_store import credentials_reader
from app.config.checks import rotation_policy
from app.config.clients import ClientRegistry
from app.config.keys import KeysRotation
from app.config.problems import ConfigurationError, Problem
from app.config.settings import Settings
from app.config.store import StoreSettings
from app.keys.errors import KeyUsageError
from app.keys.keeper import KeyKeeper
from app.keys.sealing import KeyEncryption, parse_keks
from app.keys.sources.redis_address import RedisAddress, Topology
from app.keys.sources.uri import source_from_uri
from app.model.clients import AccessTokenFormat
from app.observability.audit import Audit, Outcome
from app.observability.metrics import Metrics
from app.storage.epochs import Epoch, RevocationScope
from app.storage.redis_options import CredentialsReader, RedisOptions, TlsFiles, parse_redis_url

logger = logging.getLogger("app.service")


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
        if result != "begun":  # there was nothing to rotate
            metrics.key_rotation(result)
        if result != "lost":  # another process did it, and told of it
            audit.key_rotated(actor="service", outcome=Outcome.FAILED if result == "failed" else Outcome.SUCCESS)

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


class LeakedKeys:
    """Carries the store's word that a key leaked to the keeper, which drops it before the new ring is here."""

    def __init__(self, keeper: KeyKeeper) -> None:
        self._keeper = keeper
        self._known: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, epochs: tuple[Epoch, ...]) -> None:
        """Take the epochs in force, on the event loop."""
        kids = {epoch.value for epoch in epochs if epoch.scope is RevocationScope.KEY} - self._known
        if not kids:
            return
        self._known |= kids
        logger.warning("leaked keys, by the store: %s; what they signed is refused", ", ".join(sorted(kids)))
        task = asyncio.create_task(self._keeper.revoke_locally(kids))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until the keeper has dropped all that were told so far."""
        await asyncio.gather(*self._tasks)
