"""A million distinct keys in an hour, or in a minute: the process stays as large as it was, and nothing takes long."""

import json
import subprocess
import sys

import pytest

from app.ratelimit.failures import Failures
from app.ratelimit.limiter import RateLimiter
from tests.programs.limiter_hour import LIMIT, run
from tests.programs.service_process import ROOT

MOST_LIMITED, MOST_FAILED = 100_000, 100_000
"""What the tables of the service hold at most: see the defaults of both."""


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        pytest.param(200_000, 720, id="a fifth of an hour"),
        pytest.param(1_000_000, 3600, id="an hour", marks=pytest.mark.slow),
        pytest.param(1_000_000, 60, id="a minute", marks=pytest.mark.slow),
    ],
)
def test_distinct_keys_keep_the_resident_size_flat(keys: int, seconds: int) -> None:
    command = [sys.executable, "-m", "tests.programs.limiter_hour", str(keys), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    came_to = json.loads(done.stdout)
    print(keys, "keys in", seconds, "s:", came_to)
    sizes = came_to["resident"]
    assert sizes[-1] <= 1.02 * sizes[len(sizes) // 2], sizes
    assert all(limited <= MOST_LIMITED and failed <= MOST_FAILED for limited, failed in came_to["kept"])
    # CPU time, so that a busy machine changes little; full tables that are never cut into slices take 26 ms and more.
    assert came_to["longest_sweep_ms"] < 20
    assert came_to["longest_decision_ms"] < 20


def test_what_no_longer_counts_is_forgotten_soon() -> None:
    """278 keys a second, each of which owes nothing after a second: what is kept is what a round of sweeps missed."""
    keys, seconds = 20_000, 72
    limited, _ = run(keys, seconds)["kept"][-1]  # type: ignore[index]
    assert limited < keys / seconds * (60 / LIMIT + 17)
    assert len(RateLimiter()) == len(Failures(1)) == 0
