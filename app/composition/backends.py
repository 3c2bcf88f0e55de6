"""What a service stands on: its token store and its key ring, as the settings say."""

import logging
from collections.abc import Callable
from pathlib import Path

from app import clock, randomness
from app.config.clients import ClientRegistry
from app.config.keys import KeysRotation
from app.config.problems import ConfigurationError, Problem
from app.config.settings import Settings
from app.keys.keeper import KeyKeeper
from app.keys.memory import MemorySource
from app.keys.policy import RotationPolicy
from app.observability.metrics import Metrics
from app.storage.interface import TokenStore
from app.storage.memory import MemoryStore

logger = logging.getLogger("app.service")


def key_keeper(settings: Settings, registry: ClientRegistry, metrics: Metrics) -> KeyKeeper:
    """The keeper of the configured key ring. Raises ConfigurationError for lives that do not fit together."""
    keys = settings.keys
    policy = RotationPolicy(
        algorithms=tuple(algorithm.value for algorithm in keys.keys_algorithms),
        max_age_seconds=keys.jwks_max_age_seconds,
        propagation_seconds=keys.keys_propagation_seconds,
        skew_seconds=keys.key_clock_skew_seconds,
        period_seconds=keys.jwks_rotation_seconds,
        retain_seconds=keys.jwks_retain_seconds,
    )
    lives = [client.access_token_seconds for client in registry.clients]
    problems = policy.problems(max(lives, default=0))
    if problems:
        raise ConfigurationError(Problem("signing keys", sentence) for sentence in problems)
    return KeyKeeper(
        MemorySource(),
        policy,
        kek=None,
        rotates=keys.keys_rotation is KeysRotation.AUTO,
        clock=clock.unix_now,
        random_bytes=randomness.random_bytes,
        on_problem=lambda _kind: metrics.reload_failed("keys"),
    )


async def open_store(settings: Settings, metrics: Metrics) -> TokenStore:
    """The configured store, open."""
    store = MemoryStore(settings.store.memory_store_max_tokens, clock.unix_now)
    await store.open()
    return store


def operator_token_reader(path: Path | None) -> Callable[[], str | None]:
    """Reads the operators' token at each use, so that a changed file counts at once; None if there is no file."""

    def read() -> str | None:
        if path is None:
            return None
        try:
            return path.read_text().strip() or None
        except OSError as error:
            logger.exception("ADMIN_TOKEN_FILE cannot be read: %s", error.strerror)
            return None

    return read
