"""MAX_CONNECTION_AGE_SECONDS: an answer ends a connection that is old, so that pools reach newer processes."""

import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.programs.service_fixtures import StartService

AGE = 1.0
YOUNGEST = 0.8 * AGE
POOL = 8
PATHS = ["/jwks.json", "/nothing"]
"""One that the fast path answers, and one that the framework does."""


def ages_at_farewell(url: str, path: str, *, seconds: float) -> list[float | None]:
    """Ask over a pool of connections; how old each was when an answer said farewell, None for those that got none."""
    parts = urlsplit(url)
    pool = {HTTPConnection(parts.hostname or "", parts.port, timeout=10): time.monotonic() for _ in range(POOL)}
    ages: list[float | None] = []
    for connection in pool:
        connection.connect()
        pool[connection] = time.monotonic()
    end = time.monotonic() + seconds
    while pool and time.monotonic() < end:
        for connection, opened in list(pool.items()):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            if answer.getheader("connection") == "close":
                assert connection.sock is None or connection.sock.recv(1) == b""
                ages.append(time.monotonic() - opened)
                del pool[connection]
                connection.close()
        time.sleep(0.02)
    for connection in pool:
        connection.close()
    return ages + [None] * len(pool)


@pytest.mark.parametrize("path", PATHS)
def test_an_old_connection_is_ended_by_an_answer_each_at_a_time_of_its_own(
    start_service: StartService, path: str
) -> None:
    process = start_service(MAX_CONNECTION_AGE_SECONDS=str(AGE))
    ages = ages_at_farewell(process.base_url, path, seconds=10)
    ended = [age for age in ages if age is not None]
    assert len(ended) == POOL
    assert min(ended) >= YOUNGEST - 0.1  # the service counts from when it took the connection on
    assert max(ended) <= AGE + 1  # a loaded machine is late
    assert max(ended) - min(ended) > 0.02  # of the 0.2 over which chance spreads them: a tenth for all is one in 10^6


def test_probes_and_scrapes_keep_theirs_and_zero_is_no_limit(start_service: StartService) -> None:
    process = start_service(MAX_CONNECTION_AGE_SECONDS="0.1")
    assert ages_at_farewell(process.metrics_url, "/health/live", seconds=0.5) == [None] * POOL
    endless = start_service(MAX_CONNECTION_AGE_SECONDS="0")
    assert ages_at_farewell(endless.base_url, "/jwks.json", seconds=0.5) == [None] * POOL
