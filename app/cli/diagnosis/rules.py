"""From what was seen to what is wrong, and the next step.

Rules:
- Values in, findings out: no clock, no network.
- ``wrong`` is so now, and somebody has to act. ``look`` was so at some time since the process started (counters do not
  say when), or may be meant.
- A finding names the alert that tells of the same, and thresholds are the alerts' own.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import chain

import msgspec

from app.admin.stats import Stats
from app.cli.diagnosis.alert_pages import alert_pages
from app.cli.diagnosis.seen import HereSeen, ReplicaSeen, Scrape, Seen
from app.cli.key_table import duration
from app.composition.redis_look import RedisSeen

OLD_REPLICA_SECONDS = 10
"""A replica of Redis that was not heard for so long is told of; they report every second."""


class Level(StrEnum):
    """How bad it is."""

    WRONG = "wrong"
    LOOK = "look"


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it should be."""

    level: Level
    where: str
    what: str
    next_step: str
    alert: str | None = None


Found = Iterator[Finding]

_NEW_RING_IS_LATE = (
    "a key was revoked: unless the ring that replaces it comes within minutes, see why it does not reach this process "
    "(`auth-service keys list` here and where it was revoked)"
)

_LOSSES = (
    (
        "audit_events_dropped_total",
        "audit events were lost",
        "see whether AUDIT_LOG's disk is full",
        "AuditEventsDropped",
    ),
    ("otlp_dropped_total", "spans did not reach the trace collector", "see whether it runs", "TracesDropped"),
)


def findings(seen: Seen) -> tuple[Finding, ...]:
    """Everything, what is wrong first."""
    parts: list[Iterable[Finding]] = [_together(seen), *(_replica(replica, seen.at) for replica in seen.replicas)]
    if seen.here is not None:
        parts.append(_here(seen.here))
        if seen.here.redis is not None:
            parts.append(_redis(seen.here.redis))
    return tuple(sorted(chain.from_iterable(parts), key=lambda each: each.level is not Level.WRONG))


# ---------------------------------------------------------------------- processes


def _replica(replica: ReplicaSeen, at: float) -> Found:
    if replica.problem is not None:
        yield Finding(
            Level.WRONG,
            replica.name,
            f"the process cannot be asked: {replica.problem}",
            "see whether it runs and what its log ends with; `auth-service config check` says whether it can start",
            "TargetDown",
        )
        return
    if replica.scrape is not None:
        yield from chain(
            _store_of(replica, replica.scrape),
            _keys_of(replica, replica.scrape, at),
            _limits_and_losses_of(replica, replica.scrape),
            _process_of(replica, replica.scrape, at),
        )
    yield from _ready(replica)


def _ready(replica: ReplicaSeen) -> Found:
    if replica.ready == "draining":
        yield Finding(Level.LOOK, replica.name, "it is draining", "nothing, if it was told to end")
    elif replica.ready not in ("ready", None):
        missing = ", ".join(f"{name} {state}" for name, state in replica.checks.items() if state != "ok")
        yield Finding(
            Level.WRONG,
            replica.name,
            f"not ready ({replica.ready}; {missing or 'no check fails'})",
            "follow what is said of the store and the keys here; the log names the cause",
            "PodsNotReady",
        )


def _store_of(replica: ReplicaSeen, scrape: Scrape) -> Found:
    where = replica.name
    degraded = scrape.value("store_degraded") > 0
    if degraded:
        yield Finding(
            Level.WRONG,
            where,
            "memory stands in for Redis: what it issues dies with the process, unless Redis comes back first",
            "bring Redis back; do not restart the process before `store` is ok in /health/ready",
            "StoreDegraded",
        )
    if not scrape.has("store_connections", backend="redis"):
        return
    if scrape.value("store_connections", backend="redis", state="connected") == 0:
        if not degraded:
            yield Finding(
                Level.WRONG,
                where,
                "no connection to Redis: nothing is issued or revoked",
                "see what is said of Redis here; from another machine, `redis-cli info replication`",
                "StoreDown",
            )
    elif _lease_of(replica) is False:
        yield Finding(
            Level.WRONG,
            where,
            "the cache's lease is lost: what other replicas revoke is not heard, every token is asked of Redis",
            "see whether Redis' ACL allows SUBSCRIBE and PUBLISH on the prefix (`auth-service config check`)",
            "CacheLeaseLost",
        )
    if scrape.value("store_eviction_allowed") > 0:
        yield Finding(
            Level.LOOK,
            where,
            "REDIS_ALLOW_EVICTION is on: a full Redis may drop revocations, and revoked tokens live again",
            "set Redis' maxmemory-policy to noeviction and take the setting away",
            "StoreEvicting",
        )


def _lease_of(replica: ReplicaSeen) -> bool | None:
    """Whether the cache's lease holds; None where there is no cache, or it cannot be told."""
    if replica.stats is not None:
        return replica.stats.cache.lease
    scrape = replica.scrape
    # Without a cache the gauge is 0 too, and nothing is ever looked up in it.
    if scrape is None or scrape.value("token_cache_requests_total") == 0:
        return None
    return scrape.value("token_cache_lease_valid") > 0


def _keys_of(replica: ReplicaSeen, scrape: Scrape, at: float) -> Found:
    algorithms = dict.fromkeys(labels["algorithm"] for labels, _ in scrape.series("signing_keys"))
    for algorithm in algorithms:
        if scrape.value("signing_keys", algorithm=algorithm, state="signing") == 0:
            yield Finding(
                Level.WRONG,
                replica.name,
                f"no key signs {algorithm}",
                _NEW_RING_IS_LATE
                if scrape.value("signing_keys", algorithm=algorithm, state="revoked")
                else "`auth-service keys verify`, then `auth-service keys rotate`",
                "NoSigningKey",
            )
        elif scrape.value("signing_keys", algorithm=algorithm, state="published") == 0:
            yield Finding(
                Level.LOOK,
                replica.name,
                f"no successor is published for {algorithm}: a key that leaks cannot be replaced at once",
                _NEW_RING_IS_LATE
                if scrape.value("signing_keys", algorithm=algorithm, state="revoked")
                else "`auth-service keys rotate --dry-run` says what is due",
                "NoPublishedSuccessor",
            )
    late = alert_pages()["KeyRotationOverdue"].threshold("seconds")
    for labels, planned in scrape.series("signing_key_next_rotation_timestamp_seconds"):
        if at - planned > late:
            yield Finding(
                Level.WRONG,
                replica.name,
                f"the rotation of {labels['algorithm']} is overdue for {duration(at - planned)}",
                "`auth-service keys rotate --dry-run`; then see why the CronJob, or the process, does not do it",
                "KeyRotationOverdue",
            )
    old = alert_pages()["SigningKeyOld"].threshold("seconds")
    for labels, age in scrape.series("signing_key_age_seconds", state="signing"):
        if age > old:
            yield Finding(
                Level.LOOK,
                replica.name,
                f"the key that signs {labels['algorithm']} is {duration(age)} old",
                "`auth-service keys list` says when it is to rotate; JWKS_ROTATION_SECONDS may be meant so",
                "SigningKeyOld",
            )
    failed = scrape.value("signing_key_rotations_total", result="failed")
    if failed:
        yield Finding(
            Level.LOOK,
            replica.name,
            f"{failed:g} rotations failed since the start",
            "`auth-service keys verify`; the log has the cause",
            "KeyRotationFailing",
        )
    if replica.stats is not None and replica.stats.ring.problem is not None:
        yield Finding(
            Level.WRONG,
            replica.name,
            f"the key ring cannot be read ({replica.stats.ring.problem}); revision {replica.stats.ring.revision} "
            "is kept",
            "`auth-service keys verify`",
            "ConfigReloadFailing",
        )


def _limits_and_losses_of(replica: ReplicaSeen, scrape: Scrape) -> Found:
    for labels, count in scrape.series("config_reload_failures_total"):
        if count:
            yield Finding(
                Level.LOOK,
                replica.name,
                f"{count:g} reloads of the {labels['source']} were refused since the start; the former ones count",
                "`auth-service config check` says what is wrong with them now; the log, what was",
                "ConfigReloadFailing",
            )
    if scrape.value("rate_limit_fallback") > 0:
        yield Finding(
            Level.WRONG,
            replica.name,
            "the limit that replicas share cannot be asked: each counts for itself, and together they allow more",
            "see what is said of Redis here",
            "RateLimiterFailingOpen",
        )
    if failed := scrape.value("synthetic_probe_runs_total", result="failed"):
        yield Finding(
            Level.LOOK,
            replica.name,
            f"{failed:g} runs of its own probe failed since the start",
            "the log names the step: `the synthetic probe fails`",
            "SyntheticProbeFailing",
        )
    for metric, what, step, alert in _LOSSES:
        if count := scrape.value(metric):
            yield Finding(Level.LOOK, replica.name, f"{count:g} {what} since the start", step, alert)


def _process_of(replica: ReplicaSeen, scrape: Scrape, at: float) -> Found:
    skew = alert_pages()["ClockSkew"].threshold("seconds")
    ahead = replica.clock_ahead_seconds
    if ahead is not None and abs(ahead) > skew:
        yield Finding(
            Level.WRONG,
            replica.name,
            f"its clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the doctor's",
            "see which node's time service is out of order (`chronyc tracking` there)",
            "ClockSkew",
        )
    limit = scrape.value("process_memory_limit_bytes")
    used = scrape.value("process_resident_memory_bytes")
    if limit and used / limit > alert_pages()["MemoryNearLimit"].threshold("ratio"):
        yield Finding(
            Level.WRONG,
            replica.name,
            f"{used / limit:.0%} of its memory is used",
            "compare active_tokens with what it should be; raise the limit before it is killed",
            "MemoryNearLimit",
        )
    soon = alert_pages()["CertificateExpiring"].threshold("seconds")
    for labels, ends in scrape.series("tls_certificate_expiry_timestamp_seconds"):
        if ends - at < soon:
            left = f"ends in {duration(ends - at)}" if ends > at else "has ended"
            yield Finding(
                Level.WRONG,
                replica.name,
                f"the certificate {labels['certificate']} {left}",
                "renew it: the files are read again at each connection",
                "CertificateExpiring",
            )


def _together(seen: Seen) -> Found:
    """What only several of them show."""
    revisions = {r.name: r.stats.ring.revision for r in seen.replicas if r.stats is not None}
    if seen.here is not None and seen.here.ring_revision is not None:
        newest = seen.here.ring_revision
        for name, revision in revisions.items():
            if revision < newest:
                yield Finding(
                    Level.LOOK,
                    name,
                    f"its key ring is revision {revision}, the source has {newest}",
                    "ask again in a minute; if it stays, the log says why it cannot read the source",
                    "ConfigReloadFailing",
                )
    elif len({_ring(r.stats) for r in seen.replicas if r.stats is not None}) > 1:
        told = ", ".join(f"{name} {revision}" for name, revision in revisions.items())
        yield Finding(
            Level.LOOK,
            "replicas",
            f"their key rings differ: revisions {told}",
            "ask again in a minute; with keys in memory each replica has its own, and JWTs fail elsewhere",
        )
    versions = dict.fromkeys(
        r.scrape.series("build_info")[0][0].get("version", "?")
        for r in seen.replicas
        if r.scrape is not None and r.scrape.has("build_info")
    )
    if len(versions) > 1:
        told = ", ".join(versions)
        yield Finding(Level.LOOK, "replicas", f"several releases run: {told}", "nothing, during a rollout")


def _ring(stats: Stats) -> tuple[int, frozenset[str]]:
    """Two rings in memory may have one revision, and other keys."""
    return stats.ring.revision, frozenset(key.kid for key in stats.keys)


# ---------------------------------------------------------------------- configuration and Redis


def _here(here: HereSeen) -> Found:
    for problem in here.clients_problems:
        yield Finding(
            Level.WRONG,
            "clients",
            f"they would be refused: {problem}",
            "repair the file: running processes keep the clients they have, a new one does not start",
            "ConfigReloadFailing",
        )
    if here.ring_problem is not None:
        yield Finding(
            Level.WRONG,
            here.ring_source or "keys",
            f"the key ring cannot be read: {here.ring_problem}",
            "`auth-service keys verify`; running processes keep the ring they have",
            "ConfigReloadFailing",
        )
    for warning in here.warnings:
        yield Finding(Level.LOOK, "configuration", warning, "`auth-service config check`")


def _redis(redis: RedisSeen) -> Found:
    if redis.problem is not None:
        yield Finding(
            Level.WRONG,
            "Redis",
            redis.problem,
            "bring it back; after a restore from a backup, `auth-service store fence --before TIME` first",
            "StoreDown",
        )
    full = alert_pages()["StoreMemoryFull"].threshold("ratio")
    skew = alert_pages()["ClockSkew"].threshold("seconds")
    for server in redis.servers:
        where = f"Redis {server.address}"
        if server.role != "master":
            yield Finding(
                Level.WRONG,
                where,
                f"it is a {'replica' if server.role == 'slave' else server.role}, and the service needs the master",
                "point REDIS_URL at the master, or at the sentinels",
                "StoreDown",
            )
        if server.policy not in ("noeviction", "unknown"):
            yield Finding(
                Level.WRONG,
                where,
                f"its maxmemory-policy is {server.policy}: when it is full it drops revocations",
                "`redis-cli config set maxmemory-policy noeviction`, and in its configuration",
                "StoreEvicting",
            )
        if server.evicted_keys:
            yield Finding(
                Level.WRONG,
                where,
                f"it has dropped {server.evicted_keys} keys for want of memory",
                "give it memory; revoked tokens may live again: `auth-service store fence --before TIME`",
                "StoreEvicting",
            )
        if server.max_bytes and server.used_bytes / server.max_bytes > full:
            yield Finding(
                Level.WRONG,
                where,
                f"{server.used_bytes / server.max_bytes:.0%} of its memory is used",
                "raise maxmemory",
                "StoreMemoryFull",
            )
        if abs(server.clock_ahead_seconds) > skew:
            yield Finding(
                Level.WRONG,
                where,
                f"its clock is {server.clock_ahead_seconds:+.1f} s off the doctor's",
                "see which machine's time service is out of order",
                "ClockSkew",
            )
        for replica in server.replicas:
            if replica.state != "online" or replica.lag_seconds > OLD_REPLICA_SECONDS:
                yield Finding(
                    Level.LOOK,
                    where,
                    f"its replica {replica.address} is {replica.state}, heard {replica.lag_seconds} s ago",
                    "a failover now may lose what was revoked last: see why it lags before anything else is done",
                )
