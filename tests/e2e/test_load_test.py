"""The chart's load test beside the service: a Job of its own that is followed, judged and cleared away.

Its image, ``grafana/k6`` with the chart's tag, must be there for the cluster.
"""

import json
from functools import partial
from pathlib import Path

import pytest

from loadtest.cluster import run_in_cluster
from loadtest.scenarios import scenario
from loadtest.verdict import Exit
from tests.e2e.cluster import Namespace, run
from tests.e2e.figures import Figures
from tests.e2e.installation import SMALL, Install

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
HALF_A_CORE = [f"loadTest.resources.{part}.cpu=500m" for part in ("requests", "limits")]


def values_of_release(namespace: Namespace) -> str:
    return run("helm", "-n", namespace.name, "get", "values", "l", "--output", "json")


def test_a_load_test_runs_beside_the_service_is_judged_and_goes(
    namespace: Namespace, install: Install, figures: Figures, tmp_path: Path
) -> None:
    install(namespace, "l", {**namespace.image_values(), "resources": SMALL})
    given = values_of_release(namespace)
    run_smoke = partial(
        run_in_cluster,
        release="l",
        namespace=namespace.name,
        scenario=scenario("smoke"),
        environ={"DURATION_FACTOR": "0.5"},
        settings=HALF_A_CORE,
        say=print,
    )
    outcomes = [run_smoke(run_id=f"run-{n}", report=tmp_path / str(n)) for n in (1, 2)]
    assert [outcome.exit for outcome in outcomes] == [Exit.PASSED, Exit.PASSED]
    assert {"report.html", "report.json", "junit.xml", "verdict.json", "output.txt"} <= {
        path.name for path in (tmp_path / "1").iterdir()
    }
    verdict = json.loads((tmp_path / "2" / "verdict.json").read_text())
    assert verdict["run_id"] == "run-2"
    assert verdict["seconds"] == 5
    assert verdict["endpoints"]
    assert all(endpoint["failed"] == 0 for endpoint in verdict["endpoints"])
    jobs = run("kubectl", "-n", namespace.name, "get", "jobs", "-o", "name").split()
    assert not [job for job in jobs if "run-" in job]
    assert values_of_release(namespace) == given
    requests = sum(endpoint["requests"] for endpoint in verdict["endpoints"])
    figures.add("two load tests as Jobs of the release", requests_of_the_second=requests, failed=0)
