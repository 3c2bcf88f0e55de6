"""What was seen, as values: the rules read nothing else."""

from collections.abc import Mapping

import msgspec

from app.admin.stats import Stats
from app.composition.redis_look import RedisSeen


class Scrape:
    """The samples of one scrape."""

    def __init__(self, samples: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]) -> None:
        """``samples``: by name, then by sorted labels."""
        self._samples = samples

    def has(self, name: str, **labels: str) -> bool:
        """Whether there is a series with these labels."""
        return any(True for _ in self.series(name, **labels))

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series with these labels; 0 where there is none."""
        return sum(value for _, value in self.series(name, **labels))

    def series(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """Each series with these labels, whatever its others."""
        found = [(dict(of), value) for of, value in self._samples.get(name, {}).items()]
        return [(of, value) for of, value in found if labels.items() <= of.items()]


class ReplicaSeen(msgspec.Struct, frozen=True):
    """One process of the service."""

    name: str
    """The address of its listener."""
    problem: str | None = None
    """Why it could not be asked."""
    ready: str | None = None
    """``ready``, ``starting`` or ``draining``."""
    checks: Mapping[str, str] = {}
    scrape: Scrape | None = None
    clock_ahead_seconds: float | None = None
    """Against this process's clock."""
    stats: Stats | None = None
    no_stats: str | None = None
    """Why there are none."""


class HereSeen(msgspec.Struct, frozen=True):
    """What this environment's configuration names."""

    warnings: tuple[str, ...] = ()
    clients_problems: tuple[str, ...] = ()
    """Why the clients, as they are now, would be refused."""
    ring_source: str | None = None
    ring_revision: int | None = None
    """Of the document in the source; None for a ring in memory, or one that cannot be read."""
    ring_problem: str | None = None
    redis: RedisSeen | None = None


class Seen(msgspec.Struct, frozen=True):
    """Everything."""

    at: float
    """Unix seconds."""
    replicas: tuple[ReplicaSeen, ...]
    here: HereSeen | None = None

    @property
    def nothing_answers(self) -> bool:
        """Whether nothing that was asked could be reached."""
        redis = None if self.here is None else self.here.redis
        return all(replica.problem for replica in self.replicas) and (redis is None or not redis.servers)
