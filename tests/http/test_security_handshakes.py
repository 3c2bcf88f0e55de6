"""Handshakes are bounded: who opens connections and says nothing keeps nobody else out."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.web.handshakes import MAX_WAITING, Handshakes
from app.web.tls import HANDSHAKE_SECONDS, load_pair
from tests.programs.certificates import Issued, issue

pytestmark = pytest.mark.anyio
WAITING, CROWD = 3, 300


class Echo(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Listening(NamedTuple):
    handshakes: Handshakes
    address: tuple[str, int]
    trust: ssl.SSLContext

    async def echo(self) -> bytes:
        """What a client gets back that does everything right."""
        reader, writer = await asyncio.open_connection(*self.address, ssl=self.trust)
        writer.write(b"hello")
        answer = await reader.readexactly(5)
        writer.close()
        return answer

    async def settle(self, waiting: int) -> None:
        for _ in range(200):
            if self.handshakes.waiting == waiting:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.handshakes.waiting} handshakes wait, not {waiting}")


@contextlib.asynccontextmanager
async def listener(tmp_path: Path, max_waiting: int, handshake_seconds: float) -> AsyncIterator[Listening]:
    authority: Issued = issue(tmp_path, "authority")
    pair = issue(tmp_path, "listener", authority)
    bound = socket.create_server(("127.0.0.1", 0))
    context = load_pair(pair.certificate_file, pair.key_file)
    handshakes = Handshakes(
        bound, Echo, context, backlog=CROWD, max_waiting=max_waiting, handshake_seconds=handshake_seconds
    )
    trust = ssl.create_default_context(cafile=str(authority.certificate_file))
    yield Listening(handshakes, bound.getsockname(), trust)
    handshakes.close()
    await handshakes.wait_closed()


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Listening]:
    async with listener(tmp_path, WAITING, handshake_seconds=1) as it:
        yield it


async def test_a_client_is_served(listening: Listening) -> None:
    assert await listening.echo() == b"hello"
    await listening.settle(0)


async def test_one_more_than_may_wait_takes_the_place_of_the_oldest_of_its_crowd(listening: Listening) -> None:
    lone = await asyncio.open_connection(*listening.address, local_addr=("127.0.0.2", 0))
    silent = [await asyncio.open_connection(*listening.address) for _ in range(3 * WAITING)]
    await listening.settle(WAITING)
    for reader, writer in silent[: 2 * WAITING + 1]:
        assert await asyncio.wait_for(reader.read(1), 0.5) == b""  # ended long before its time
        writer.close()
    del silent[: 2 * WAITING + 1]
    assert not lone[0].at_eof()
    for _ in range(3):
        assert await listening.echo() == b"hello"
    silent.append(lone)
    # Who says nothing is let go.
    for reader, writer in silent:
        assert await asyncio.wait_for(reader.read(1), 5) == b""
        writer.close()
    await listening.settle(0)


async def test_a_crowd_of_one_address_is_served_that_connects_before_it_speaks(tmp_path: Path) -> None:
    async with listener(tmp_path, MAX_WAITING, HANDSHAKE_SECONDS) as listening:

        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            await writer.start_tls(listening.trust, server_hostname=listening.address[0])
            writer.write(b"hello")
            answer = await reader.readexactly(5)
            writer.close()
            return answer

        crowd = [await asyncio.open_connection(*listening.address) for _ in range(CROWD)]
        await listening.settle(CROWD)
        assert await asyncio.gather(*(speak(*one) for one in crowd)) == [b"hello"] * CROWD


async def test_what_is_no_handshake_ends_its_own_connection_alone(listening: Listening) -> None:
    reader, writer = await asyncio.open_connection(*listening.address)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(100), 5)
    writer.close()
    assert await listening.echo() == b"hello"


async def test_a_close_ends_what_is_under_way(listening: Listening) -> None:
    reader, writer = await asyncio.open_connection(*listening.address)
    await listening.settle(1)
    listening.handshakes.close()
    await listening.handshakes.wait_closed()
    assert await asyncio.wait_for(reader.read(1), 5) == b""
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*listening.address)
