"""What was seen and concluded, as people read it. Times are UTC."""

from collections.abc import Iterable, Sequence

from app.cli.diagnosis.rules import Finding, Level
from app.cli.diagnosis.seen import ReplicaSeen, Scrape, Seen
from app.cli.key_table import duration, instant
from app.composition.redis_look import RedisSeen

_REPLICA = ("PROCESS", "VERSION", "READY", "RING", "STORE", "LEASE", "EPOCHS", "RELOADS", "LIMITER", "CLOCK")
_REDIS = ("REDIS", "ROLE", "RELEASE", "POLICY", "MEMORY", "REPLICAS", "LAG", "LAST FAILOVER", "CLOCK")
_UNKNOWN = "?"


def as_text(seen: Seen, found: Sequence[Finding]) -> list[str]:
    """The whole answer, a line each."""
    lines = [f"at {instant(seen.at)}", "", *_table(_REPLICA, (_replica(each) for each in seen.replicas))]
    here = seen.here
    if here is not None:
        revision = "of each process alone" if here.ring_source == "memory:" else f"revision {here.ring_revision}"
        lines += ["", f"keys: {here.ring_source}, {here.ring_problem or revision}"]
        if here.redis is not None:
            lines += ["", *_redis(here.redis)]
    for name, why in ((each.name, each.no_stats) for each in seen.replicas if each.no_stats):
        lines += ["", f"{name}: no ring, lease and epochs without /admin/stats ({why})"]
    lines.append("")
    for each in found:
        alert = f" [{each.alert}]" if each.alert else ""
        lines += [f"{each.level.value.upper()}{alert} {each.where}: {each.what}", f"  next: {each.next_step}"]
    wrong = sum(each.level is Level.WRONG for each in found)
    if any(each.alert for each in found):
        lines += ["", "more of an alert in brackets: auth-service doctor explain NAME"]
    lines.append(f"{wrong} wrong, {len(found) - wrong} to look at" if found else "nothing is wrong")
    return lines


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _replica(replica: ReplicaSeen) -> tuple[str, ...]:
    stats, scrape = replica.stats, replica.scrape
    version = stats.version if stats is not None else _version(scrape)
    cache = None if stats is None else stats.cache
    ready = "unreachable" if replica.problem else replica.ready or _UNKNOWN
    return (
        replica.name,
        version,
        ready,
        _UNKNOWN if stats is None else str(stats.ring.revision),
        replica.checks.get("store", _UNKNOWN),
        _UNKNOWN if cache is None else {None: "no cache", True: "held", False: "lost"}[cache.lease],
        "-" if cache is not None and cache.lease is None else (cache and cache.epochs_version) or _UNKNOWN,
        _UNKNOWN if scrape is None else _count(scrape, "config_reload_failures_total", "failed"),
        _UNKNOWN if scrape is None else _limiter(scrape),
        _clock(replica.clock_ahead_seconds),
    )


def _version(scrape: Scrape | None) -> str:
    info = [] if scrape is None else scrape.series("build_info")
    return info[0][0].get("version", _UNKNOWN) if info else _UNKNOWN


def _count(scrape: Scrape, metric: str, what: str) -> str:
    count = scrape.value(metric)
    return f"{count:g} {what}" if count else "ok"


def _limiter(scrape: Scrape) -> str:
    state = "alone" if scrape.value("rate_limit_fallback") > 0 else "ok"
    limited = scrape.value("rate_limit_decisions_total", result="limited")
    return f"{state}, {limited:g} limited" if limited else state


def _clock(ahead: float | None) -> str:
    return _UNKNOWN if ahead is None else f"{ahead:+.1f} s"


def _redis(redis: RedisSeen) -> list[str]:
    epochs = _UNKNOWN if redis.epochs_version is None else redis.epochs_version
    title = f"Redis ({redis.deployment}): epochs {epochs}{'' if redis.problem is None else ', ' + redis.problem}"
    rows = []
    for server in redis.servers:
        lag = max((replica.lag_seconds for replica in server.replicas), default=None)
        behind = max((replica.behind_bytes for replica in server.replicas), default=0)
        limit = f" of {server.max_bytes / 1e6:.0f}" if server.max_bytes else ""
        rows.append(
            (
                server.address,
                "replica" if server.role == "slave" else server.role,
                server.release,
                server.policy,
                f"{server.used_bytes / 1e6:.0f}{limit} MB",
                str(len(server.replicas)),
                "-" if lag is None else f"{lag} s, {behind} bytes",
                _failover(redis, server.was_replica, server.uptime_seconds),
                _clock(server.clock_ahead_seconds),
            )
        )
    return [title, *(_table(_REDIS, rows) if rows else [])]


def _failover(redis: RedisSeen, was_replica: bool, uptime: int) -> str:
    """Redis keeps no time of it: what is known bounds it."""
    if redis.failovers and redis.master_for_seconds is not None:
        return f"number {redis.failovers}, {duration(redis.master_for_seconds)} ago or before"
    if redis.failovers == 0:
        return "none known to the sentinels"
    return f"within {duration(uptime)}, its uptime" if was_replica else f"none in its uptime, {duration(uptime)}"
