"""The soak: half an hour of everything at half the maximum, and what the process weighs meanwhile.

Rules:
- The load keeps its rate and judges every answer (``benchmarks/lua/lives.lua``). Beside it, operators do what they do:
  they look at their page, change the clients file and rotate keys; clients come with assertions and chosen secrets.
- Tokens live for a minute or two, so that after the warm-up as many end as are issued: what still grows is a leak.
- The maximum is what the same load reaches, unthrottled, on the same machine just before.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.load import Load, Script, run_wrk
from benchmarks.machine import describe, split_cores
from benchmarks.rounds import progress
from benchmarks.servers import Server, free_port, service
from loadtest.scrape import fetch, parse
from loadtest.soak_clients import ADMIN_TOKEN, AUTHORIZATIONS, Beside, write_clients
from loadtest.soak_figures import Sample, Soak

CONNECTIONS = 64
CALIBRATION_SECONDS = 10
SETTINGS: Mapping[str, str] = {
    "LOG_LEVEL": "warning",
    "AUDIT_LOG": "/dev/null",  # every event is written, and no disk fills
    "PROBE_INTERVAL_SECONDS": "5",
    "JWKS_MAX_AGE_SECONDS": "5",
    "KEYS_PROPAGATION_SECONDS": "5",
    "KEY_CLOCK_SKEW_SECONDS": "5",
    "TOKEN_EXPIRY_SECONDS": "60",
}
"""Everything on, in memory."""


class Plan(msgspec.Struct, frozen=True):
    """How long. The defaults are those of ``make soak``."""

    warm_up_seconds: float = 180
    """Twice the life of what is issued, and until caches are full."""
    seconds: float = 1800
    every_seconds: float = 5
    """Between two looks at the process."""
    calibration_seconds: float = CALIBRATION_SECONDS
    life_seconds: int = 60
    """Of access tokens; refresh tokens live twice as long, and keys sign as long as those."""


def soak(plan: Plan, redis_url: str | None = None) -> Soak:
    """Run it. Raises LoadError or ServerError."""
    server_cores, load_cores = split_cores()
    machine, measured_at = describe(), f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        metrics, admin = free_port(), free_port()
        (folder / "admin-token").write_text(ADMIN_TOKEN)
        settings = {
            **SETTINGS,
            "JWKS_ROTATION_SECONDS": str(max(30, 2 * plan.life_seconds)),
            "JWKS_RETAIN_SECONDS": str(max(60, 2 * plan.life_seconds)),
            # In Redis a revoked family is remembered until it would have ended: with the default, for a month.
            "REFRESH_TOKEN_EXPIRY_SECONDS": str(max(60, 2 * plan.life_seconds)),
            "REFRESH_FAMILY_MAX_SECONDS": str(max(60, 2 * plan.life_seconds)),
            "CLIENTS_FILE": str(write_clients(folder / "clients.yaml", plan.life_seconds)),
            "METRICS_ADDR": f"127.0.0.1:{metrics}",
            "ADMIN_ADDR": f"127.0.0.1:{admin}",
            "ADMIN_TOKEN_FILE": str(folder / "admin-token"),
            **({"REDIS_URL": redis_url} if redis_url else {}),
        }
        server = running.enter_context(service(server_cores, settings))
        maximum = _load(server, 0, plan.calibration_seconds, load_cores)
        rate = max(1, round(maximum.rate / 2))
        progress(f"the maximum is {maximum.rate:,.0f} requests a second, so this is with {rate:,}")
        pool = running.enter_context(ThreadPoolExecutor(1))
        whole = plan.warm_up_seconds + plan.seconds
        loading = pool.submit(_load, server, rate, whole, load_cores)
        beside = Beside(server, admin, folder / "clients.yaml", plan.life_seconds)
        os.sched_setaffinity(0, load_cores)  # what this process does must not be the server's work
        look = partial(_sample, server, metrics)
        samples = tuple(_watch(look, beside, loading, seconds=whole, every_seconds=plan.every_seconds))
        load = loading.result()
    return Soak(
        machine, measured_at, "Redis" if redis_url else "memory", maximum.rate, plan.warm_up_seconds, load, samples
    )


def _load(server: Server, rate: int, seconds: float, cores: list[int]) -> Load:
    script = Script("lives.lua", (str(rate), *AUTHORIZATIONS))
    return run_wrk(server.url("/"), script, seconds=seconds, connections=CONNECTIONS, cores=cores)


def _watch(
    look: Callable[[float], Sample], beside: Beside, loading: "Future[Load]", *, seconds: float, every_seconds: float
) -> Iterator[Sample]:
    """A sample at each interval; none after the load's end, which closes the connections that are counted."""
    began = time.monotonic()
    told = 0
    while (at := time.monotonic() - began) < seconds - 0.5 and not loading.done():
        sample = look(at)
        yield sample
        beside.act()
        if at // 60 > told:
            told = int(at // 60)
            size = sample.resident_bytes / 1e6
            progress(f"{told} min: {size:.1f} MB, {sample.descriptors} descriptors, {sample.live_tokens:,} tokens")
        # Not a wait for an event: samples are to be equally far apart.
        time.sleep(max(0.0, every_seconds - (time.monotonic() - began - at)))


def _sample(server: Server, metrics_port: int, at: float) -> Sample:
    scraped = parse(fetch(f"http://127.0.0.1:{metrics_port}/metrics"))
    of_requests = "http_server_request_duration_seconds_count"
    return Sample(
        at_seconds=round(at, 2),
        resident_bytes=int(server.resident_mb() * 1e6),
        descriptors=len(os.listdir(f"/proc/{server.pid}/fd")),  # noqa: PTH208 - of another process, no files
        cpu_seconds=round(server.cpu_seconds(), 3),
        requests=int(sum(value for (name, _), value in scraped.items() if name == of_requests)),
        live_tokens=int(scraped.get(("active_tokens", ()), 0)),
    )


def save(result: Soak, path: Path) -> None:
    """Keep the figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(msgspec.to_builtins(result)) + "\n")
