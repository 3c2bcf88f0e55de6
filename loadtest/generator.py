"""k6: where it is, and one run of it."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.children import tied
from benchmarks.machine import REPOSITORY
from loadtest.scenarios import Scenario
from loadtest.verdict import Exit, Verdict, exit_of, verdict_in

TOOLS = REPOSITORY / ".tools" / "bin"
GOGC = "400"
"""How far, in percent, k6's heap grows before it is collected; Go's own 100 costs more than a tenth of its rate.

On two cores k6 alone asked 5,380 and 5,540 times a second with 100, 6,357 and 7,132 with 400, in turns; of 5,000/s
beside the service it dropped 4,845 iterations in 18 s, and 1,403 and 1,538.
"""


class GeneratorMissing(Exception):
    """k6 is not there; the message has the next step."""


def find_k6() -> str:
    """The path of k6. Raises GeneratorMissing."""
    found = shutil.which("k6", path=os.pathsep.join((str(TOOLS), os.environ.get("PATH", ""))))
    if found is None:
        raise GeneratorMissing("k6 is missing: `make loadtest` installs it (with Go), or put it on the PATH")
    return found


class Outcome(msgspec.Struct, frozen=True):
    """How one run ended."""

    exit: Exit
    verdict: Verdict | None
    report: Path
    """The folder of its reports."""


def run(scenario: Scenario, *, environ: Mapping[str, str], report: Path, cores: Sequence[int] = ()) -> Outcome:
    """Run a scenario; k6's progress goes to the terminal, its output to ``output.txt`` of the report's folder too.

    Args:
        environ: ``BASE_URL``, ``CLIENT_ID`` and the like (k6/README.md). The secret is handed over by the environment,
            where no list of processes shows it.
        cores: Where k6 may run; empty for anywhere, as for a scenario that may run anywhere.
    """
    report.mkdir(parents=True, exist_ok=True)
    told = {**scenario.environ, **environ, "REPORT_DIR": str(report)}
    command = ["taskset", "-c", ",".join(map(str, cores))] if cores and not scenario.anywhere else []
    command += [find_k6(), "run", "--no-usage-report", "--include-system-env-vars"]
    # Labels of what K6_OUT writes to Prometheus: the dashboards are bound to job and instance.
    for tag in (f"testid={told.get('RUN_ID', 'local')}", "job=k6", f"instance={platform.node()}"):
        command += ["--tag", tag]
    lines = []
    process = subprocess.Popen(
        tied([*command, str(REPOSITORY / "k6" / f"{scenario.script}.js")]),
        env={"GOGC": GOGC, **_inherited(), **told},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process, (report / "output.txt").open("w") as copy:
        assert process.stdout is not None  # noqa: S101 - narrows the type
        for line in process.stdout:
            lines.append(line)
            copy.write(line)
            print(line, end="", flush=True)
    code = process.wait()
    verdict = verdict_in("".join(lines))
    return Outcome(exit_of(code, verdict), verdict, report)


def _inherited() -> dict[str, str]:
    """What k6 itself may be told by its environment, such as ``K6_OUT`` and ``GOGC``."""
    kept = ("PATH", "HOME", "LANG", "TERM", "NO_COLOR", "GOGC")
    return {name: value for name, value in os.environ.items() if name in kept or name.startswith("K6_")}
