"""A real Prometheus and a real Alertmanager with the repository's rules and routing, and who is told by them."""

import json
import subprocess
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from tests.alerts.rule_files import ALERTS
from tests.livefire.shortened import Overrides, short_routing, short_rules
from tests.programs.ports import accepts_connections, free_port
from tests.programs.service_process import wait_until

LOOK_SECONDS = 0.1


class Notification(NamedTuple):
    """What a receiver was told: of which alerts, and whether they fire."""

    receiver: str
    firing: tuple[str, ...]
    resolved: tuple[str, ...]


class Life(NamedTuple):
    """When an alert was first seen in each state, in seconds since the fault; None for a state that was never seen."""

    pending: float | None
    firing: float | None
    resolved: float | None


class Monitoring:
    """Both programs, watched, while it is entered."""

    def __init__(self, folder: Path, overrides: Overrides) -> None:
        self.folder = folder
        self.overrides = overrides
        self.notifications: list[Notification] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = {"prometheus": free_port(), "alertmanager": free_port(), "cluster": free_port()}
        self._seen: dict[str, dict[str, float]] = {}
        self._fault_at = time.monotonic()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        monitoring = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["content-length"])))
                names = {
                    state: tuple(sorted(a["labels"]["alertname"] for a in told["alerts"] if a["status"] == state))
                    for state in ("firing", "resolved")
                }
                monitoring.notifications.append(Notification(self.path.strip("/"), names["firing"], names["resolved"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        self._receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self._receiving = threading.Thread(target=self._receiver.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['prometheus']}"

    def scrape(self, targets: Mapping[str, str]) -> None:
        """Scrape these metrics listeners from now on: URL by the name of the instance."""
        entries = [
            {"targets": [url.removeprefix("http://")], "labels": {"job": "auth-service", "instance": name}}
            for name, url in targets.items()
        ]
        (self.folder / "targets.new").write_text(json.dumps(entries))
        (self.folder / "targets.new").rename(self.folder / "targets.json")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query. Raises AssertionError with what Prometheus says against it."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{answer.get('error')}: {expression}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def fault_begins(self) -> None:
        """From now on times are counted, and what was seen before is forgotten."""
        self._fault_at = time.monotonic()
        self._seen = {}

    def count_from_now(self) -> None:
        """The fault is now; what was seen before stays seen, at its beginning."""
        self._fault_at = time.monotonic()
        self._seen = {name: dict.fromkeys(seen, 0.0) for name, seen in self._seen.items()}

    def lose_prometheus(self) -> None:
        """Kill Prometheus: from now on Alertmanager alone tells what fires."""
        self._processes["prometheus"].kill()

    def await_end_at_alertmanager(self, alert: str, seconds: float) -> None:
        """Wait until Alertmanager takes an alert for resolved, and note the time."""
        url = f"http://127.0.0.1:{self._ports['alertmanager']}/api/v2/alerts"

        def is_over() -> bool:
            return alert not in {each["labels"]["alertname"] for each in httpx.get(url).json()}

        wait_until(is_over, f"Alertmanager to let go of {alert}", seconds=seconds)
        self._seen[alert]["resolved"] = round(time.monotonic() - self._fault_at, 1)

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        found = httpx.get(f"{self.url}/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    def life(self, alert: str) -> Life:
        seen = self._seen.get(alert, {})
        return Life(seen.get("pending"), seen.get("firing"), seen.get("resolved"))

    def await_state(self, alert: str, state: str, seconds: float) -> None:
        """Wait until an alert was seen ``firing`` or ``resolved``."""
        wait_until(lambda: state in self._seen.get(alert, {}), f"{alert} to be {state}", seconds=seconds)

    def pages(self) -> list[Notification]:
        """What the pager was told of alerts that fire."""
        return [each for each in self.notifications if each.receiver == "pager" and each.firing]

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                found = httpx.get(f"{self.url}/api/v1/alerts", timeout=5).json()["data"]["alerts"]
            except (httpx.HTTPError, ValueError, KeyError):
                continue
            now = round(time.monotonic() - self._fault_at, 1)
            states = {alert["labels"]["alertname"]: alert["state"] for alert in found if alert["state"] == "pending"}
            states |= {alert["labels"]["alertname"]: "firing" for alert in found if alert["state"] == "firing"}
            for name, state in states.items():
                self._seen.setdefault(name, {}).setdefault(state, now)
                if state == "firing":
                    self._seen[name].pop("resolved", None)
            for name, seen in self._seen.items():
                if "firing" in seen and states.get(name) != "firing":
                    seen.setdefault("resolved", now)

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen([name, *arguments], stdout=log, stderr=log, cwd=self.folder)

    def __enter__(self) -> Self:
        folder, ports = self.folder, self._ports
        self._receiving.start()
        hooks = f"http://127.0.0.1:{self._receiver.server_address[1]}"
        names = ("pager", "tickets", "dead-mans-switch")
        routing = short_routing(
            (ALERTS / "examples" / "alertmanager.yaml").read_text(), {n: f"{hooks}/{n}" for n in names}
        )
        (folder / "alertmanager.yml").write_text(routing)
        (folder / "rules.yml").write_text(short_rules(self.overrides))
        self.scrape({})
        (folder / "prometheus.yml").write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": ["rules.yml"],
                    "alerting": {
                        "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{ports['alertmanager']}"]}]}]
                    },
                    "scrape_configs": [
                        {
                            "job_name": "auth-service",
                            "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}],
                        }
                    ],
                }
            )
        )
        self._start(
            "prometheus-alertmanager",
            "--config.file=alertmanager.yml",
            f"--web.listen-address=127.0.0.1:{ports['alertmanager']}",
            "--cluster.listen-address=",
            f"--storage.path={folder / 'alertmanager'}",
        )
        self._start(
            "prometheus",
            "--config.file=prometheus.yml",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            "--rules.alert.resend-delay=1s",
        )
        for name in ("prometheus", "alertmanager"):
            wait_until(lambda name=name: accepts_connections(ports[name]), f"{name} to listen", seconds=60)  # type: ignore[misc]
        wait_until(lambda: httpx.get(f"{self.url}/-/ready").status_code == 200, "Prometheus to be ready", seconds=60)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._watcher.join()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait(timeout=30)
        self._receiver.shutdown()
        self._receiver.server_close()
