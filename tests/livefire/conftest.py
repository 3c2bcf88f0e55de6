"""Fixtures of live fire: a service under traffic, the monitoring of it, and an incident from its fault to its end."""

import base64
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.alerts.rule_files import alerts
from tests.livefire.figures import keep
from tests.livefire.monitoring import Monitoring
from tests.livefire.shortened import shorten_rule
from tests.programs.service_clients import BASIC, write_clients
from tests.programs.service_process import ServiceProcess, wait_until

FIRES_WITHIN, RESOLVED_WITHIN = 120.0, 150.0


class Traffic:
    """Somebody who issues, introspects and revokes all the time, whatever is answered."""

    def __init__(self, *services: ServiceProcess, pause: float = 0.02) -> None:
        self._urls = [service.base_url for service in services]
        self._pause = pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        with httpx.Client(auth=BASIC.basic, timeout=5) as client:
            token = "none"
            for number in range(10**9):
                if self._stop.wait(self._pause):
                    return
                url = self._urls[number % len(self._urls)]
                with suppress(httpx.HTTPError, KeyError, ValueError):
                    if number % 10 == 0:
                        form = {"grant_type": "client_credentials"}
                        token = client.post(f"{url}/oauth/token", data=form).json()["access_token"]
                    elif number % 10 == 9:
                        client.post(f"{url}/oauth/revoke", data={"token": token})
                    else:
                        client.post(f"{url}/oauth/introspect", data={"token": token})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Range:
    """Where one incident happens."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        (folder / "monitoring").mkdir()
        self.monitoring = stack.enter_context(Monitoring(folder / "monitoring"))
        self.services: dict[str, ServiceProcess] = {}

    def start(self, name: str = "one", **settings: str) -> ServiceProcess:
        """Start a service, or start it anew, and scrape it under this name."""
        old = self.services.pop(name, None)
        if old is not None:
            old.kill()
        folder = self.folder / f"{name}-{time.monotonic_ns()}"
        folder.mkdir()
        environment = {
            "CLIENTS_FILE": str(write_clients(folder / "clients.yaml")),
            "RATE_LIMIT_FAILURES_PER_MINUTE": "0",
            **settings,
        }
        service = ServiceProcess(folder, environment)
        self._stack.callback(service.kill)
        self.services[name] = service
        self.monitoring.scrape({each: process.metrics_url for each, process in self.services.items()})
        return service

    def traffic(self, *services: ServiceProcess, pause: float = 0.02) -> None:
        """Requests to these services (or all) until the incident is over."""
        self._stack.enter_context(Traffic(*(services or tuple(self.services.values())), pause=pause))

    def quiet(self) -> None:
        """Wait until all is scraped, a while has passed, and nothing fires but the dead man's switch."""
        count = len(self.services)
        wait_until(lambda: len(self.monitoring.query("up == 1")) == count, "the services to be scraped", seconds=30)
        time.sleep(5)
        wait_until(lambda: self.monitoring.firing() == {"Watchdog"}, "nothing to fire", seconds=90)

    @contextmanager
    def incident(self, fault: str, *expected: str) -> Iterator[None]:
        """The fault is the body's beginning; it returns where the expected alerts were seen to fire.

        ``with range.incident(…) as _: break_it()`` and then :meth:`over` after it was mended.
        """
        self.quiet()
        self._fault, self._expected = fault, expected
        self.monitoring.notifications.clear()
        self.monitoring.fault_begins()
        yield
        for alert in expected:
            self.monitoring.await_state(alert, "firing", FIRES_WITHIN)
            print(f"    {alert}: {self.monitoring.life(alert)}", file=sys.stderr, flush=True)
        time.sleep(3)  # what Alertmanager waits for before it tells a group

    def over(self) -> None:
        """The fault was mended: all are resolved, and what was seen is held against what must be."""
        known = alerts()
        told_pages = [page.firing for page in self.monitoring.pages()]
        critical = [alert for alert in self._expected if known[alert]["labels"]["severity"] == "critical"]
        for alert in self._expected:
            self.monitoring.await_state(alert, "resolved", RESOLVED_WITHIN)
        assert len(told_pages) <= 1, f"one incident, more than one page: {told_pages}"
        assert told_pages or not critical, f"nobody was paged for {critical}"
        for alert in self._expected:
            life = self.monitoring.life(alert)
            assert life.firing is not None
            assert life.resolved is not None
            if shorten_rule(known[alert]).get("for") not in (None, "0ms"):
                assert life.pending is not None, f"{alert} fired without having been pending"
                assert life.pending <= life.firing
            others = set(self.monitoring._seen) - {alert, "Watchdog"}
            beside = sorted(name for name in others if self.monitoring.life(name).firing is not None)
            keep(alert, self._fault, life, len(told_pages), beside)


@pytest.fixture
def firing_range(tmp_path: Path) -> Iterator[Range]:
    with ExitStack() as stack:
        yield Range(tmp_path, stack)


@pytest.fixture
def repeatedly() -> Iterator[Callable[[Callable[[], object], float], Callable[[], None]]]:
    """``stop = repeatedly(act, pause)``: do something again and again on a thread until ``stop()``."""
    stops: list[Callable[[], None]] = []

    def begin(act: Callable[[], object], pause: float) -> Callable[[], None]:
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(pause):
                with suppress(httpx.HTTPError, OSError):
                    act()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()

        def stop() -> None:
            ended.set()
            thread.join()

        stops.append(stop)
        return stop

    yield begin
    for stop in stops:
        stop()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
