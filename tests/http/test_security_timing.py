"""Time tells nobody which clients exist: 30,000 tries each of an unknown client, a wrong secret and a wrong method; and
one try each of 3,000 clients that exist and of as many that do not, by who has failed before."""

import base64
import random
import socket
import statistics
import time
from itertools import count

import pytest

from tests.programs.service_clients import BASIC, POST, RegisteredClient, with_secret
from tests.programs.service_fixtures import StartService

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TRIES = 30_000
WARMING_UP = 500
IDS = 3_000
BEFORE = 600
"""Failures of the address before: more than are told one by one, and than it may have a minute."""
TOLD_OF_IDS = 0.07
"""The same bound for one try at each id, of which there are fewer: it errs by 0.0075. Here it is 0.497 to 0.517 beyond
the bound of failures and 0.509 to 0.544 within, where each client is looked at for the first time; while the audit told
of each client that exists it was 0.618 to 0.680."""
TOLD_BOUND = 0.015
"""How far from a half the chance may be that a try of one kind takes longer than one of another. Where they take the
same it errs by 0.0024 (the square root of a sixth of TRIES' inverse), on busy machines too: what disturbs meets all
kinds. Here it is 0.494 to 0.504; where an unknown client is refused before its secret is hashed, 0.519 to 0.527."""
AS_IN_PRODUCTION = {
    "AUDIT_LOG": "stdout",
    "LOG_LEVEL": "info",
    "MAX_CONNECTION_AGE_SECONDS": "0",
    "RATE_LIMIT_FAILURES_PER_MINUTE": "300",
    "TRUSTED_PROXIES": "127.0.0.0/8",
}
"""The limiter and the audit at work; behind a proxy, so that each try may come from another address, and all over one
connection."""
FORM = b"grant_type=client_credentials"


def address_of(number: int) -> bytes:
    """Another one for each number below 810,000, all of one length: no address fails often enough to be delayed."""
    return b"10.%d.%d.%d" % (100 + number // 8100 % 100, 100 + number // 90 % 90, 10 + number % 90)


def request_of(client: RegisteredClient) -> bytes:
    """All but its last field's value, which is the address that it comes from."""
    pair = base64.b64encode(f"{client.id}:{client.secret}".encode())
    lines = (
        b"POST /oauth/token HTTP/1.1",
        b"host: localhost",
        b"authorization: Basic " + pair,
        b"content-type: application/x-www-form-urlencoded",
        b"content-length: %d" % len(FORM),
        b"x-forwarded-for: ",
    )
    return b"\r\n".join(lines)


def same_length(text: str, as_long_as: str) -> str:
    return (text * len(as_long_as))[: len(as_long_as)]


def seconds_of(connection: socket.socket, request: bytes, statuses: tuple[bytes, ...] = (b"401",)) -> float:
    started = time.perf_counter()
    connection.sendall(request)
    answer = connection.recv(4096)
    took = time.perf_counter() - started
    assert answer[9:12] in statuses, answer
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
    process = start_service_once(clients=(BASIC, POST), **AS_IN_PRODUCTION)
    wrong = same_length("z", POST.secret)
    kinds = {
        "unknown client": request_of(POST._replace(id=same_length("q", POST.id), secret=wrong)),
        "wrong secret": request_of(POST._replace(id=BASIC.id, secret=wrong)),
        "wrong method": request_of(POST),
    }
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    order = list(kinds)
    shuffle = random.Random(7).shuffle
    addresses = map(address_of, count())
    with socket.create_connection(process.address, 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(TRIES + WARMING_UP):
            shuffle(order)
            for kind in order:
                request = kinds[kind] + next(addresses) + b"\r\n\r\n" + FORM
                seconds = seconds_of(connection, request)
                if number >= WARMING_UP:
                    taken[kind].append(seconds)
    medians = {kind: statistics.median(seconds) * 1e6 for kind, seconds in taken.items()}
    told = {kind: chance_to_tell(taken[kind], taken["unknown client"]) for kind in kinds}
    print({kind: f"{median:.1f} µs" for kind, median in medians.items()}, told)
    # Over the loopback, where nothing of a network hides a difference.
    assert max(medians.values()) - min(medians.values()) < 0.05 * min(medians.values())
    assert max(abs(chance - 0.5) for chance in told.values()) < TOLD_BOUND, told


@pytest.mark.parametrize("per_minute", ["300", "1000000"], ids=["beyond the bound", "within the bound"])
def test_nobody_who_has_failed_before_can_tell_which_clients_exist(
    start_service_once: StartService, per_minute: str
) -> None:
    """From one address, which tries each id once: what is told of an address must not depend on what it names."""
    existing = [with_secret(f"client-{number:08}", secret=POST.secret) for number in range(IDS)]
    missing = [client._replace(id=client.id.replace("client", "nobody")) for client in existing]
    settings = AS_IN_PRODUCTION | {"RATE_LIMIT_FAILURES_PER_MINUTE": per_minute}
    process = start_service_once(clients=existing, **settings)
    wrong = same_length("z", POST.secret)
    tries = [(client._replace(secret=wrong), kind) for kind, of in enumerate((existing, missing)) for client in of]
    random.Random(7).shuffle(tries)
    before = [(BASIC._replace(id=f"before-{number:08}", secret=wrong), 2) for number in range(BEFORE)]
    taken: list[list[float]] = [[], [], []]
    with socket.create_connection(process.address, 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for client, kind in before + tries:
            request = request_of(client) + address_of(1) + b"\r\n\r\n" + FORM
            taken[kind].append(seconds_of(connection, request, (b"401", b"429")))
    told = chance_to_tell(taken[0], taken[1])
    print([f"{statistics.median(seconds) * 1e6:.1f} µs" for seconds in taken[:2]], told)
    assert abs(told - 0.5) < TOLD_OF_IDS
