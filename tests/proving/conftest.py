"""Fixtures of the scenarios that ``make prove`` runs: replicas of the service on a Redis that a test breaks.

Rules:
- One scenario a test. Its last step is :meth:`Proof.conclude`, which holds the counts against what is promised and
  keeps them for the page.
- Services and Redis are processes. What waits for them waits on a thread, so that the continuous client goes on.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.programs.service_clients import CANARY, write_clients
from tests.programs.service_process import ServiceProcess
from tests.proving.figures import SCENARIOS, Figures, keep
from tests.proving.model import Model
from tests.proving.traffic import PROVERS, Traffic
from tests.redis.cable import Cable

BOUND_SECONDS = 2.0
"""``CACHE_MAX_STALENESS_SECONDS`` as it is by default."""

StartReplica = Callable[..., Awaitable[ServiceProcess]]
StartTwo = Callable[..., Awaitable[list[ServiceProcess]]]
LayCable = Callable[[int], Awaitable[Cable]]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return ("asyncio", {"use_uvloop": True})


class Proof:
    """The model of one scenario, and its conclusion."""

    def __init__(self) -> None:
        self.model = Model(BOUND_SECONDS)
        self._began = time.monotonic()
        self._traffics: list[Traffic] = []

    def traffic(self, *replicas: ServiceProcess, workers: int = 8, model: Model | None = None) -> Traffic:
        """The continuous client of these replicas; as a context manager it runs all the time."""
        ports = [replica.address[1] for replica in replicas]
        self._traffics.append(Traffic(model or self.model, ports, workers=workers))
        return self._traffics[-1]

    def close(self) -> None:
        for traffic in self._traffics:
            traffic.close()

    def say(self, progress: str) -> None:
        """Show how far it is."""
        print(f"    {time.monotonic() - self._began:6.1f} s  {progress}", file=sys.stderr, flush=True)

    def conclude(
        self,
        scenario: str,
        *,
        notes: str = "",
        loses: bool = False,
        revives: bool = False,
        least_requests: int = 500,
        requests: int | None = None,
    ) -> None:
        """Hold the counts against what is promised, and keep them.

        ``loses``: issued tokens that asynchronous replication or an empty restart takes away are counted, not refused;
        ``revives``: so are revocations. ``requests`` is given where a scenario counts them itself.
        """
        model = self.model
        figures = Figures(
            scenario=scenario,
            requests=sum(model.requests.values()) if requests is None else requests,
            unavailable=model.unavailable,
            wrong=len(model.wrong),
            lost=len(model.lost),
            loses=loses,
            revives=revives,
            stale_past_bound=model.stale_past_bound,
            worst_staleness_seconds=round(model.worst_staleness, 4),
            seconds=round(time.monotonic() - self._began, 1),
            notes=notes,
        )
        self.say(f"{SCENARIOS[scenario]}: {figures}")
        assert figures.requests >= least_requests, "too little was asked to prove anything"
        assert model.wrong == []
        assert loses or not model.lost
        assert revives or model.stale_past_bound == 0
        keep(figures)


@pytest.fixture
async def proof(anyio_backend: object) -> AsyncIterator[Proof]:
    begun = Proof()
    yield begun
    begun.close()
    await asyncio.sleep(0)  # the connections' ends are seen by the loop


second_proof = proof
"""For a test that runs two scenarios at a time."""


@pytest.fixture
async def start_replica(tmp_path_factory: pytest.TempPathFactory, redis_key_prefix: str) -> AsyncIterator[StartReplica]:
    """``await start_replica(REDIS_URL=…)``: a replica; those of one test share prefix, keys and clients."""
    shared = tmp_path_factory.mktemp("shared")
    clients = write_clients(shared / "clients.yaml", PROVERS)
    started: list[ServiceProcess] = []

    async def start(*, ready_path: str = "/health/ready", root: Path | None = None, **settings: str) -> ServiceProcess:
        folder = tmp_path_factory.mktemp("replica")
        environment = {
            "CLIENTS_FILE": str(clients),
            "KEYS_FILE": str(shared / "keyring.json"),
            "EXTERNAL_BASE_URL": "https://auth.example.com",
            "REDIS_KEY_PREFIX": redis_key_prefix,
            "STORE_FALLBACK": "fail",
            "RATE_LIMIT_REQUESTS_PER_MINUTE": "0",
            **({} if root is None else {"PYTHONPATH": str(root)}),
            **settings,
        }
        started.append(await asyncio.to_thread(ServiceProcess, folder, environment, ready_path=ready_path))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
        for process in started:
            assert "Traceback" not in process.logs, process.logs
            assert CANARY not in process.logs


@pytest.fixture
async def lay_cable() -> AsyncIterator[LayCable]:
    """``lay_cable(port)``: a cable to that port of 127.0.0.1."""
    async with AsyncExitStack() as stack:

        async def lay(port: int) -> Cable:
            return await stack.enter_async_context(Cable(port))

        yield lay


@pytest.fixture
def start_two(start_replica: StartReplica) -> StartTwo:
    """``await start_two(REDIS_URL=…)``: two replicas."""

    async def start(**settings: str) -> list[ServiceProcess]:
        return list(await asyncio.gather(*(start_replica(**settings) for _ in range(2))))

    return start
