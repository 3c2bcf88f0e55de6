"""The guard: what is connected to is what was judged."""

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

import httpcore
import pytest

from app.outgoing.guard import ForbiddenAddressError, GuardedNetwork
from app.outgoing.names import LookUpFailed

pytestmark = pytest.mark.anyio
PUBLIC, ANOTHER = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


class Network(httpcore.AsyncNetworkBackend):
    """Notes what it is asked to connect to; of ``away`` it reaches nothing."""

    def __init__(self, *away: str) -> None:
        self.away = away
        self.asked: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.asked.append((host, port))
        if host in self.away:
            raise httpcore.ConnectError("away")
        return httpcore.AsyncMockStream([])


class Names:
    """Answers with one list of addresses after the other."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        if not self.answers:
            raise OSError("no such host")
        return self.answers.pop(0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_address_that_was_judged_is_the_one_connected_to() -> None:
    network, names = Network(), Names([PUBLIC], ["127.0.0.1"])
    await GuardedNetwork([], names, network).connect_tcp("rebinding.example", 443)
    assert network.asked == [(PUBLIC, 443)]
    assert names.asked == [("rebinding.example", 443)], "a second answer is never asked for"


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], [ANOTHER, "::ffff:169.254.169.254"]])
async def test_a_name_with_one_forbidden_address_is_not_connected_to(addresses: list[str]) -> None:
    network = Network()
    with pytest.raises(ForbiddenAddressError) as refused:
        await GuardedNetwork([], Names(addresses), network).connect_tcp("mixed.example", 443)
    assert network.asked == []
    assert not any(address in str(refused.value) for address in addresses)


async def test_allowed_networks_are_connected_to() -> None:
    network = Network()
    guarded = GuardedNetwork([ip_network("10.0.0.0/24")], Names(["10.0.0.1"], ["10.0.1.1"]), network)
    await guarded.connect_tcp("inside.example", 8443)
    with pytest.raises(ForbiddenAddressError):
        await guarded.connect_tcp("inside.example", 8443)
    assert network.asked == [("10.0.0.1", 8443)]


async def test_of_several_addresses_one_that_answers_is_enough() -> None:
    network = Network(ANOTHER)
    await GuardedNetwork([], Names([ANOTHER, PUBLIC]), network).connect_tcp("two.example", 443)
    assert network.asked == [(ANOTHER, 443), (PUBLIC, 443)]
    with pytest.raises(httpcore.ConnectError):
        await GuardedNetwork([], Names([ANOTHER]), network).connect_tcp("one.example", 443)


async def test_a_name_that_was_not_looked_up_is_connected_to_nothing_and_says_why() -> None:
    async def busy(_host: str, _port: int) -> list[str]:
        raise LookUpFailed("all places are taken")

    network = Network()
    with pytest.raises(httpcore.ConnectError, match="all places are taken"):
        await GuardedNetwork([], busy, network).connect_tcp("busy.example", 443)
    assert network.asked == []


@pytest.mark.parametrize("answers", [(), ([],)])
async def test_a_name_without_an_address_is_connected_to_nothing(answers: tuple[list[str], ...]) -> None:
    network = Network()
    with pytest.raises(httpcore.ConnectError, match="no address"):
        await GuardedNetwork([], Names(*answers), network).connect_tcp("nowhere.example", 443)
    assert network.asked == []


async def test_sockets_of_this_machine_are_no_hosts() -> None:
    with pytest.raises(ForbiddenAddressError):
        await GuardedNetwork([]).connect_unix_socket("/run/docker.sock")
