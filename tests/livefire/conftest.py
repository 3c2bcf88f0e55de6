"""Fixtures of live fire: a service under traffic, the monitoring of it, and an incident from its fault to its end."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

import httpx
import pytest

from tests.alerts.rule_files import alerts
from tests.conftest import RequireProgram
from tests.livefire.figures import Shot, keep
from tests.livefire.monitoring import Monitoring
from tests.livefire.shortened import NO_OVERRIDES, Overrides, shorten_rule
from tests.programs.service_clients import BASIC, CANARY, write_clients
from tests.programs.service_process import ServiceProcess, wait_until
from tests.redis.cable import Cable
from tests.runbooks.pages import RUNBOOKS
from tests.runbooks.seen import FiveMinutes, spend
from tests.runbooks.terminal import Terminal

FIRES_WITHIN, RESOLVED_WITHIN = 240.0, 240.0
T = TypeVar("T")
Repeatedly = Callable[[Callable[[], object], float], Callable[[], None]]
CableTo = Callable[[int], Cable]


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

    def __init__(self, folder: Path, stack: ExitStack, overrides: Overrides) -> None:
        self.folder = folder
        self._stack = stack
        (folder / "monitoring").mkdir()
        self.monitoring = stack.enter_context(Monitoring(folder / "monitoring", overrides))
        self.services: dict[str, ServiceProcess] = {}
        self.operators_environment: dict[str, str] = {}
        """What an operator has beside the service's environment, such as the digest of a token."""

    def start(self, name: str = "one", **settings: str) -> ServiceProcess:
        """Start a service, or start it anew, and scrape it under this name."""
        old = self.services.pop(name, None)
        if old is not None:
            old.kill()
        folder = self.folder / f"{name}-{time.monotonic_ns()}"
        folder.mkdir()
        (folder / "admin-token").write_text(f"{CANARY}-operators-token")
        environment = {
            "ADMIN_TOKEN_FILE": str(folder / "admin-token"),
            "CLIENTS_FILE": str(write_clients(folder / "clients.yaml")),
            "RATE_LIMIT_FAILURES_PER_MINUTE": "0",
            **settings,
        }
        service = ServiceProcess(folder, environment)
        self._stack.callback(service.kill)
        self.services[name] = service
        self.monitoring.scrape({each: process.metrics_url for each, process in self.services.items()})
        return service

    def hold(self, context: AbstractContextManager[T]) -> T:
        """Enter a context that ends with the incident: what is entered first ends last."""
        return self._stack.enter_context(context)

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
        self._told_pages = self.monitoring.pages()
        self._seen = {alert: self._five_minutes(alert) for alert in expected}

    def _five_minutes(self, alert: str) -> FiveMinutes:
        """Follow the runbook, where the service runs or ran last."""
        service = self.services["one"]
        terminal = Terminal(self.folder / "operator", service, self.operators_environment)
        return spend(RUNBOOKS / f"{alert}.md", terminal, self.monitoring.query)

    def over(self) -> None:
        """The fault was mended: all are resolved, and what was seen is held against what must be."""
        known = alerts()
        told_pages = [page.firing for page in self._told_pages]
        critical = [alert for alert in self._expected if known[alert]["labels"]["severity"] == "critical"]
        for alert in self._expected:
            self.monitoring.await_state(alert, "resolved", RESOLVED_WITHIN)
        assert len(told_pages) <= 1, f"one incident, more than one page: {told_pages}"
        assert told_pages or not critical, f"nobody was paged for {critical}"
        for alert in self._expected:
            life = self.monitoring.life(alert)
            assert life.firing is not None
            assert life.resolved is not None
            if shorten_rule(known[alert], self.monitoring.overrides).get("for") not in (None, "0ms"):
                assert life.pending is not None, f"{alert} fired without having been pending"
                assert life.pending <= life.firing
            others = set(self.monitoring._seen) - {alert, "Watchdog"}
            beside = sorted(name for name in others if self.monitoring.life(name).firing is not None)
            keep(Shot(alert, self._fault, life, len(told_pages), tuple(beside), self._seen[alert]))


@pytest.fixture
def overrides() -> Overrides:
    """The thresholds that a scenario has in place of the real ones: parametrize it."""
    return NO_OVERRIDES


@pytest.fixture
def firing_range(tmp_path: Path, overrides: Overrides, require_program: RequireProgram) -> Iterator[Range]:
    for name in ("prometheus", "prometheus-alertmanager"):
        require_program(name)
    with ExitStack() as stack:
        yield Range(tmp_path, stack, overrides)


@contextmanager
def _cable(port: int) -> Iterator[Cable]:
    """A cable on a loop of its own; its switches may be set from here."""
    made: Future[tuple[Cable, asyncio.Event, asyncio.AbstractEventLoop]] = Future()

    async def lay() -> None:
        ended = asyncio.Event()
        async with Cable(port) as cable:
            made.set_result((cable, ended, asyncio.get_running_loop()))
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(lay()), daemon=True)
    thread.start()
    cable, ended, loop = made.result(timeout=10)
    try:
        yield cable
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


@pytest.fixture
def cable_to() -> Iterator[CableTo]:
    """``cable_to(port)``: a cable to a port of this machine, until the test is over."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(_cable(port))


@pytest.fixture
def repeatedly() -> Iterator[Repeatedly]:
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
