"""Every scenario once, in a short form, against one service: does each still run, judge and report?

Rates are those of the scenario, its time is cut. What is about Redis gets a service of its own with one. Nothing is
changed during `rollout`, `rotation` and `failover`: that they run is what is looked at here;
`python -m loadtest changes` makes the changes too.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from loadtest.generator import Outcome, run
from loadtest.scenarios import SCENARIOS
from loadtest.target import Target
from loadtest.verdict import Exit

SHORT: Mapping[str, Mapping[str, str]] = {
    "smoke": {},
    "seed": {"DURATION_FACTOR": "0.01"},
    "endurance": {"DURATION_FACTOR": "0.02"},
    "capacity": {"DURATION_FACTOR": "0.3", "STEPS": "8"},
    "capacity-issue": {"DURATION_FACTOR": "0.3", "STEPS": "6"},
    "users": {"DURATION_FACTOR": "0.4"},
    "soak": {"DURATION_FACTOR": "0.01"},
    "hot-client": {"DURATION_FACTOR": "0.2"},
    "uniform": {"DURATION_FACTOR": "0.1", "FILL_RATE": "2000"},
    "live-tokens": {"DURATION_FACTOR": "0.1", "FILL_RATE": "2500"},
}
USUAL: Mapping[str, str] = {"DURATION_FACTOR": "0.1"}


def sweep(
    target: Target,
    on_redis: Callable[[], AbstractContextManager[Target]],
    folder: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> Iterator[tuple[str, Outcome]]:
    """Run all; each name with its outcome, as it ends. ``environ`` goes before what is set here.

    ``on_redis`` makes the service of the scenarios that say nothing of one without Redis.
    """
    for number, one in enumerate(SCENARIOS, 1):
        say(f"[{number}/{len(SCENARIOS)}] {one.name}: {one.says}")
        with on_redis() if one.redis else contextlib.nullcontext(target) as loaded:
            told = {**loaded.environ, **SHORT.get(one.name, USUAL), **environ}
            if not one.calibrates:
                told.pop("CALIBRATION_URL", None)
            yield one.name, run(one, environ=told, report=folder / one.name, cores=loaded.cores)


def worst(exits: Iterable[Exit]) -> Exit:
    """PASSED where all passed; otherwise the gravest, from what was not run to what met no limit."""
    gravity = (Exit.NOT_RUN, Exit.FAILED, Exit.GENERATOR_LIMITED, Exit.NOT_CALIBRATED, Exit.NOT_REACHED)
    seen = set(exits)
    return next((one for one in gravity if one in seen), Exit.PASSED)
