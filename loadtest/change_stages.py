"""What each change is made to: what runs for it here, and the acts that change it while it is under load.

Rules:
- Everything is real: the service's own processes, its own command line, redis-server and Sentinel.
- An act returns when what it changed is seen from outside (another key signs, another process is ready, tokens are
  issued again), and says how long that took. One that does not come to it raises ChangeFailed.
"""

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.machine import split_cores
from benchmarks.redis_process import Redis, redis_server
from benchmarks.servers import ask
from loadtest.change_acts import Act, ChangeFailed, Stage, keys_command, settled, signing_kid, token_of, workers_of
from loadtest.sentinels import SentinelGroup
from loadtest.target import Target, local

DOWN_AFTER_MILLISECONDS = 1_000
"""Less, on a busy machine, makes Sentinel take a master that works for one that is down."""
KEY_TIMES: Mapping[str, str] = {
    "JWKS_MAX_AGE_SECONDS": "3",
    "KEYS_PROPAGATION_SECONDS": "1",
    "KEY_CLOCK_SKEW_SECONDS": "1",
}
"""So short that a rotation's switch comes while the load is there."""
WORKERS = 2


@contextlib.contextmanager
def rotation() -> Iterator[Stage]:
    """JWTs of a key ring in a file, which nobody but ``auth-service keys rotate`` rotates: twice."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {**KEY_TIMES, "KEYS_SOURCE": f"file://{folder}/keyring.json", "KEYS_ROTATION": "off"}
        keys_command(settings, "init")
        with local(settings, token_format="jwt") as target:
            make = partial(_rotate, target, settings)
            yield Stage(target, tuple(Act(at, "`auth-service keys rotate --force`", make) for at in (0.2, 0.6)))


def _rotate(target: Target, settings: Mapping[str, str]) -> str:
    before = signing_kid(target)
    keys_command(settings, "rotate", "--force")
    took = settled("another key signs", lambda: signing_kid(target) not in (None, before))
    return f"another key signs, {took:.1f} s after the command ended"


@contextlib.contextmanager
def rollout() -> Iterator[Stage]:
    """Two processes on one port (``serve --workers 2``), on one Redis: each is ended by SIGTERM and replaced."""
    _, load_cores = split_cores()
    with tempfile.TemporaryDirectory() as folder, redis_server(load_cores) as redis:
        settings = {"KEYS_SOURCE": f"file://{folder}/keyring.json", "DRAIN_SECONDS": "5"}
        keys_command(settings, "init")
        with local({**settings, "REDIS_URL": redis.url, "STORE_FALLBACK": "fail"}, workers=WORKERS) as target:
            for worker in range(WORKERS):
                settled(f"worker {worker} is ready", partial(_is_ready, target, worker))
            acts = (
                Act(at, f"SIGTERM to process {n + 1}", partial(_replace, target, n)) for n, at in enumerate((0.2, 0.6))
            )
            yield Stage(target, tuple(acts))


def _is_ready(target: Target, worker: int) -> bool:
    port = urlsplit(target.metrics_url or "").port or 0
    return ask(port + worker, "GET", "/health/ready")[0] == 200


def _replace(target: Target, worker: int) -> str:
    supervisor = target.pid or 0
    old = workers_of(supervisor).get(worker)
    if old is None:
        raise ChangeFailed(f"process {worker + 1} is not running before the change")
    os.kill(old, signal.SIGTERM)
    drained = settled("it drained and ended", lambda: workers_of(supervisor).get(worker) != old)
    came = settled("its successor runs", lambda: workers_of(supervisor).get(worker) not in (None, old))
    ready = settled("its successor is ready", lambda: _is_ready(target, worker))
    return f"it drained for {drained:.1f} s and ended; another was ready {came + ready:.1f} s later"


@contextlib.contextmanager
def failover() -> Iterator[Stage]:
    """A service that finds its Redis by Sentinel: the master is killed (SIGKILL), and a replica becomes one."""
    _, load_cores = split_cores()
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        sentinels: SentinelGroup[Redis] = running.enter_context(
            SentinelGroup(
                lambda *more: running.enter_context(redis_server(load_cores, more)),
                folder,
                replicas=1,
                down_after_milliseconds=DOWN_AFTER_MILLISECONDS,
            )
        )
        sentinels.wait_until_watching()
        target = running.enter_context(local({"REDIS_URL": sentinels.url, "STORE_FALLBACK": "fail"}))
        yield Stage(target, (Act(0.4, "SIGKILL to Redis's master", partial(_kill_master, target, sentinels)),))


def _kill_master(target: Target, sentinels: SentinelGroup[Redis]) -> str:
    master = sentinels.servers[0]
    os.kill(master.pid, signal.SIGKILL)
    agreed = settled("Sentinel has another master", lambda: sentinels.agreed_master_port() not in (None, master.port))
    well = settled("tokens are issued again", lambda: token_of(target))
    return f"Sentinel agreed on its replica after {agreed:.1f} s; tokens were issued {well:.1f} s later"


STAGES: Mapping[str, Callable[[], AbstractContextManager[Stage]]] = {
    "rotation": rotation,
    "rollout": rollout,
    "failover": failover,
}
"""By the name of k6's scenario."""
