"""What k6 writes to Prometheus is what the dashboard of load tests asks for: a real run, a real Prometheus."""

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtest.generator import run
from loadtest.scenarios import scenario
from loadtest.target import local
from loadtest.verdict import Exit
from tests.dashboards.boards import panels
from tools.dashboards.grafana import document
from tools.dashboards.load_test import LOAD_TEST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

VALUES = Path(__file__).parents[2] / "chart" / "values.yaml"


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus that takes remote writes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "prometheus.yaml").write_text("global: {}\n")
    command = [
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.yaml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
    ]
    command += ["--web.enable-remote-write-receiver", f"--web.listen-address={address}", "--log.level=error"]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
        yield f"http://{address}"
        process.terminate()


def asked(prometheus: str, expression: str) -> list[dict[str, Any]]:
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def test_every_panel_of_the_load_test_has_figures(
    prometheus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stats = yaml.safe_load(VALUES.read_text())["loadTest"]["prometheus"]["trendStats"]
    monkeypatch.setenv("K6_OUT", "experimental-prometheus-rw")
    monkeypatch.setenv("K6_PROMETHEUS_RW_SERVER_URL", f"{prometheus}/api/v1/write")
    monkeypatch.setenv("K6_PROMETHEUS_RW_TREND_STATS", ",".join(stats))
    monkeypatch.setenv("K6_PROMETHEUS_RW_PUSH_INTERVAL", "1s")
    with local() as target:
        environ = {**target.environ, "DURATION_FACTOR": "0.5", "RUN_ID": "a7"}
        environ.pop("CALIBRATION_URL", None)
        outcome = run(scenario("smoke"), environ=environ, report=tmp_path / "report", cores=target.cores)
    assert outcome.exit is Exit.PASSED
    empty = set()
    for panel in panels(document(LOAD_TEST)):
        for query in panel["targets"]:
            if "k6_" not in query["expr"]:
                continue
            expression = query["expr"].replace("$__rate_interval", "1m").replace("$testid", "a7")
            expression = re.sub(r"\$(cluster|namespace|job|instance)", ".*", expression)
            found = asked(prometheus, f"last_over_time(({expression})[1m:1s])")
            labels = set(re.findall(r"\{\{(\w+)\}\}", query["legendFormat"]))
            assert all(labels <= set(series["metric"]) for series in found), expression
            if not found:
                empty.add(panel["title"])
    assert empty == set()
