"""What a scenario came to, kept as one file a scenario for the page that shows them all."""

import os
from pathlib import Path

import msgspec

RESULTS = "PROVE_RESULTS"
"""The environment variable that names the folder of the results; without it nothing is kept."""

SCENARIOS = {
    "hangs": "Redis hangs (SIGSTOP) for longer than the lease",
    "slow": "Redis answers 200 ms late",
    "killed-empty": "Redis is killed and comes back empty",
    "killed-aof": "Redis is killed and comes back with its append-only file",
    "loading": "Redis is loading its data, when the service starts and while it runs",
    "full": "Redis is full (`OOM`)",
    "cut-pipeline": "the connection breaks in mid-pipeline, 1,000 concurrent questions about distinct tokens",
    "stopped-replica": "a replica of the service is stopped (SIGSTOP) past its lease while tokens are revoked",
    "cut-channel": "the invalidation channel is cut, and held silent while everything else works",
    "racing-fills": "reads that arrive after the invalidation of what they read",
    "propagation": "nothing fails: revoked on one replica, asked for on the other without a pause",
    "failovers-0": "Sentinel fails a killed master over to its one replica, `REDIS_WAIT_REPLICAS=0`",
    "failovers-1": "Sentinel fails a killed master over to its one replica, `REDIS_WAIT_REPLICAS=1`",
    "hanging-master": "a hanging master is failed over and wakes up again",
    "cluster-slot-moves": "Redis Cluster: slots move to another node",
    "cluster-node-fails": "Redis Cluster: a node is killed and its replica takes over",
    "starts-without-redis": "the service starts without Redis; Redis comes back with its data",
    "sigterm-hand-over": "SIGTERM while memory is handed over to a Redis that came back",
    "read-only-at-start": "Redis is a read-only replica when the service starts",
    "tls-and-users": "TLS with client certificates and an ACL user, all of which are changed",
    "two-installations": "two installations with different prefixes on one Redis",
    "old-backup": "an old backup is restored, then fenced",
    "previous-release": "the release before runs beside this one",
    "other-records": "records of the releases before and after",
    "soak-memory": "a million short-lived tokens, twice, in memory",
    "soak-redis": "a million short-lived tokens, twice, in Redis",
}
"""Every scenario of ``make prove``, in the order of the page."""


class Figures(msgspec.Struct, frozen=True):
    """One row of the page."""

    scenario: str
    requests: int
    unavailable: int
    wrong: int
    lost: int
    loses: bool
    """Whether losses are the nature of the fault: then they are counted; else there are none."""
    revives: bool
    """The same of revocations that were acknowledged."""
    stale_past_bound: int
    worst_staleness_seconds: float
    seconds: float
    notes: str


def keep(figures: Figures) -> None:
    """Write the row where the page is made from."""
    folder = os.environ.get(RESULTS)
    if folder:
        Path(folder, f"{figures.scenario}.json").write_bytes(msgspec.json.encode(figures))


def read_all(folder: Path) -> list[Figures]:
    """The rows in the order of the page. Raises ValueError that names the scenarios without a result."""
    missing = [name for name in SCENARIOS if not (folder / f"{name}.json").exists()]
    if missing:
        raise ValueError(f"no result of: {', '.join(missing)}")
    return [msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Figures) for name in SCENARIOS]
