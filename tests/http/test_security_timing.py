"""Time tells nobody which clients exist: 10,000 tries each of an unknown client, a wrong secret and a wrong method."""

import base64
import random
import socket
import statistics
import time

import pytest

from tests.programs.service_clients import BASIC, POST, RegisteredClient
from tests.programs.service_fixtures import StartService

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TRIES = 10_000
FORM = b"grant_type=client_credentials"


def request_of(client: RegisteredClient) -> bytes:
    pair = base64.b64encode(f"{client.id}:{client.secret}".encode())
    lines = (
        b"POST /oauth/token HTTP/1.1",
        b"host: localhost",
        b"authorization: Basic " + pair,
        b"content-type: application/x-www-form-urlencoded",
        b"content-length: %d" % len(FORM),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + FORM


def same_length(text: str, as_long_as: str) -> str:
    return (text * len(as_long_as))[: len(as_long_as)]


def seconds_of(connection: socket.socket, request: bytes) -> float:
    started = time.perf_counter()
    connection.sendall(request)
    answer = connection.recv(4096)
    took = time.perf_counter() - started
    assert answer.startswith(b"HTTP/1.1 401 "), answer
    assert answer.endswith(b"}"), answer
    return took


def chance_to_tell(one: list[float], other: list[float]) -> float:
    """How likely a sample of one is greater than one of the other (Mann-Whitney): 0.5 where nobody can tell."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked) if which == 0)
    return (ranks - len(one) * (len(one) - 1) / 2) / (len(one) * len(other))


def test_nobody_can_tell_an_unknown_client_from_a_wrong_secret_or_a_wrong_method(
    start_service_once: StartService,
) -> None:
    process = start_service_once(clients=(BASIC, POST), AUDIT_LOG="off", LOG_LEVEL="error")
    wrong = same_length("z", POST.secret)
    kinds = {
        "unknown client": request_of(POST._replace(id=same_length("q", POST.id), secret=wrong)),
        "wrong secret": request_of(POST._replace(id=BASIC.id, secret=wrong)),
        "wrong method": request_of(POST),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    order = list(kinds)
    shuffle = random.Random(7).shuffle
    with socket.create_connection(process.address, 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(TRIES + 500):
            shuffle(order)
            for kind in order:
                seconds = seconds_of(connection, kinds[kind])
                if number >= 500:
                    taken[kind].append(seconds)
    medians = {kind: statistics.median(seconds) * 1e6 for kind, seconds in taken.items()}
    told = {kind: chance_to_tell(taken[kind], taken["unknown client"]) for kind in kinds}
    print({kind: f"{median:.1f} µs" for kind, median in medians.items()}, told)
    # In requests of 50 µs over the loopback, where nothing of a network hides a difference.
    assert max(medians.values()) - min(medians.values()) < 0.05 * min(medians.values())
