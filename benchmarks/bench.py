"""``make bench``: everything once, for one working tree."""

import datetime
import tempfile
from pathlib import Path

import msgspec

from benchmarks import limit_rows, live_tokens, processes, rate_steps, redis_rows, rows
from benchmarks.http_rounds import Schedule, measure
from benchmarks.load import require_wrk
from benchmarks.machine import Machine, split_cores
from benchmarks.memory import measure_memory
from benchmarks.micro import prepare
from benchmarks.peers import rows as peers
from benchmarks.repetition import measure_all
from benchmarks.results import Results
from benchmarks.rounds import interleave, progress
from benchmarks.startup import measure_start
from benchmarks.summary import summarise

PARTS = ("http", "redis", "memory", "start", "steps", "latency", "tokens", "processes", "peers")
DEFAULT = PARTS[:-1]
"""Without the peers, which must be installed first."""


def run(
    schedule: Schedule,
    machine: Machine,
    parts: tuple[str, ...],
    only: tuple[str, ...],
    redis_tokens: int = redis_rows.REDIS_TOKENS,
) -> Results:
    """Measure the wanted :data:`PARTS`. Raises LoadError or ServerError."""
    if set(parts) - {"start", "steps"}:
        require_wrk()
    results = Results(
        machine=machine,
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        rounds=schedule.rounds,
        seconds=schedule.seconds,
        parts=tuple(part for part in PARTS if part in parts),
    )
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        if "http" in parts:
            loads, measured = measure(schedule, folder, only)
            targets = {row.name: row.target for row in measured}
            results = msgspec.structs.replace(results, rows=summarise(loads, rows.YARDSTICK, targets))
        if "redis" in parts:
            with redis_rows.arms(folder, only, redis_tokens) as (arms, targets):
                loads = interleave(
                    arms, rounds=schedule.rounds, seconds=schedule.seconds, warm_up_seconds=schedule.warm_up_seconds
                )
            of_redis = summarise(loads, rows.YARDSTICK, targets)
            results = msgspec.structs.replace(results, redis_rows=of_redis)
        if "memory" in parts:
            progress("weighing the process and 100,000 tokens")
            results = msgspec.structs.replace(results, memory=measure_memory(folder, *split_cores()))
        if "start" in parts:
            progress("starting the service five times")
            results = msgspec.structs.replace(results, start_seconds=measure_start(folder))
        if "latency" in parts:
            results = msgspec.structs.replace(results, rate_steps=rate_steps.measure(schedule, folder, only))
        if "tokens" in parts:
            results = msgspec.structs.replace(results, live_tokens=live_tokens.measure(schedule, folder))
        if "processes" in parts:
            results = msgspec.structs.replace(results, processes=processes.measure(schedule, folder))
        if "peers" in parts:
            results = msgspec.structs.replace(results, peers=peers.measure(schedule, folder, only))
    if "steps" in parts:
        progress("timing the steps in this process")
        steps = measure_all(prepare()) | limit_rows.pauses()
        results = msgspec.structs.replace(results, steps_ns=steps)
    return results
