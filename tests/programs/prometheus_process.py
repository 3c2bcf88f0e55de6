"""A real Prometheus that a test owns: on a free port, scraping every second what it is told to, asked over its API."""

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.programs.ports import accepts_connections, free_port
from tests.programs.service_process import wait_until

SCRAPE_SECONDS = 1
Point = tuple[float, float]
"""Unix seconds and value."""


class PrometheusProcess:
    """Runs in a folder of its own while it is entered.

    ``rules`` is the text of a rule file, ``alertmanager`` an address that alerts are sent to; ``arguments`` are added
    to the command line.
    """

    def __init__(
        self, folder: Path, rules: str, *, alertmanager: str | None = None, arguments: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self._rules = rules
        self._alertmanager = alertmanager
        self._arguments = tuple(arguments)
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def scrape(self, targets: Mapping[str, str], job: str = "auth-service", **labels: str) -> None:
        """Scrape these listeners under this job from now on: URL by the name of the instance."""
        entries = [
            {"targets": [url.removeprefix("http://")], "labels": {**labels, "job": job, "instance": name}}
            for name, url in targets.items()
        ]
        (self.folder / f"{job}.new").write_text(json.dumps(entries))
        (self.folder / f"{job}.new").rename(self.folder / f"targets-{job}.json")

    # ------------------------------------------------------------------ its API

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query. Raises AssertionError with what Prometheus says against it."""
        result: list[dict[str, Any]] = self._data("query", query=expression)["result"]
        return result

    def query_range(
        self, expression: str, start: float, end: float, step: float
    ) -> list[tuple[dict[str, str], list[Point]]]:
        """Labels and points of every series of a range query; what is not a number is left out."""
        result = self._data("query_range", query=expression, start=start, end=end, step=step)["result"]
        return [
            (each["metric"], [(at, float(value)) for at, value in each["values"] if math.isfinite(float(value))])
            for each in result
        ]

    def exemplars(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """The exemplars of the series that an expression selects."""
        found = self._data("query_exemplars", query=expression, start=start, end=end)
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def label_values(self, selector: str, label: str) -> list[str]:
        """The values of a label of the selected series."""
        values: list[str] = self._data(f"label/{label}/values", **{"match[]": selector})
        return values

    def _data(self, path: str, **parameters: Any) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=60).json()
        assert answer["status"] == "success", f"{answer.get('error')}: {parameters}"
        return answer["data"]

    # ------------------------------------------------------------------ its life

    def __enter__(self) -> Self:
        (self.folder / "rules.yml").write_text(self._rules)
        self.scrape({})
        where = [{"static_configs": [{"targets": [self._alertmanager]}]}] if self._alertmanager else []
        (self.folder / "prometheus.yml").write_text(
            json.dumps(
                {
                    "global": {
                        "scrape_interval": f"{SCRAPE_SECONDS}s",
                        "evaluation_interval": f"{SCRAPE_SECONDS}s",
                    },
                    "rule_files": ["rules.yml"],
                    "alerting": {"alertmanagers": where},
                    "scrape_configs": [
                        {
                            "job_name": "targets",
                            "honor_labels": True,
                            "file_sd_configs": [{"files": ["targets-*.json"], "refresh_interval": "1s"}],
                        }
                    ],
                }
            )
        )
        command = [
            "prometheus",
            "--config.file=prometheus.yml",
            f"--web.listen-address=127.0.0.1:{self._port}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            *self._arguments,
        ]
        with (self.folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        wait_until(lambda: accepts_connections(self._port), "prometheus to listen", seconds=60)
        wait_until(lambda: httpx.get(f"{self.url}/-/ready").status_code == 200, "Prometheus to be ready", seconds=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=30)
