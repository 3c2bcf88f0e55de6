"""What k6 writes to Prometheus is what the dashboard of load tests asks for: a real run, a real Prometheus."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from loadtest.generator import run
from loadtest.scenarios import scenario
from loadtest.target import local
from loadtest.verdict import Exit
from tests.conftest import RequireProgram
from tests.dashboards.boards import panels
from tests.programs.prometheus_process import PrometheusProcess
from tools.dashboards.grafana import document
from tools.dashboards.load_test import LOAD_TEST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

VALUES = Path(__file__).parents[2] / "chart" / "values.yaml"


@pytest.fixture
def prometheus(tmp_path: Path, require_program: RequireProgram) -> Iterator[PrometheusProcess]:
    """A Prometheus that takes remote writes."""
    require_program("prometheus")
    (tmp_path / "prometheus").mkdir()
    arguments = ["--web.enable-remote-write-receiver", "--log.level=error"]
    with PrometheusProcess(tmp_path / "prometheus", "groups: []\n", arguments=arguments) as process:
        yield process


def test_every_query_about_k6_has_figures(
    prometheus: PrometheusProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stats = yaml.safe_load(VALUES.read_text())["loadTest"]["prometheus"]["trendStats"]
    monkeypatch.setenv("K6_OUT", "experimental-prometheus-rw")
    monkeypatch.setenv("K6_PROMETHEUS_RW_SERVER_URL", f"{prometheus.url}/api/v1/write")
    monkeypatch.setenv("K6_PROMETHEUS_RW_TREND_STATS", ",".join(stats))
    monkeypatch.setenv("K6_PROMETHEUS_RW_PUSH_INTERVAL", "1s")
    with local() as target:
        environ = {**target.environ, "DURATION_FACTOR": "0.5", "RUN_ID": "a7"}
        environ.pop("CALIBRATION_URL", None)
        outcome = run(scenario("smoke"), environ=environ, report=tmp_path / "report", cores=target.cores)
    assert outcome.exit is Exit.PASSED
    queries = [query for panel in panels(document(LOAD_TEST)) for query in panel["targets"] if "k6_" in query["expr"]]
    assert len(queries) > 8
    for query in queries:
        expression = query["expr"].replace("$__rate_interval", "1m").replace("$testid", "a7")
        expression = re.sub(r"\$(cluster|namespace|job|instance)", ".*", expression)
        found = prometheus.query(f"last_over_time(({expression})[1m:1s])")
        labels = set(re.findall(r"\{\{(\w+)\}\}", query["legendFormat"]))
        assert found, expression
        assert all(labels <= set(series["metric"]) for series in found), expression
