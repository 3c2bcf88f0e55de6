"""Attacks by connections, from a process of its own: many, slow, half open, garbage, oversized, and ambiguous.

``python -m tests.programs.connection_attacks NAME HOST PORT SECONDS`` keeps an attack up for so long, leaves without a
farewell, and prints as JSON what came of it.
"""

import asyncio
import json
import resource
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HALF_A_HEAD = b"POST /oauth/token HTTP/1.1\r\nhost: x\r\nx-slow: "
HALF_A_BODY = (
    b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    b"content-length: 60000\r\n\r\n" + b"x" * 20_000
)
GOOD = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n"
INNER = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
_POST = b"POST /oauth/token HTTP/1.1\r\nhost: x\r\n"
_SIZED = b"content-length: %d\r\n" % len(INNER)

# RFC 9112 section 6.3 and 11.2: a length and chunks, in the spellings that readers have disagreed on.
SMUGGLING: tuple[bytes, ...] = (
    _POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    _POST + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n" + INNER,
    _POST + _SIZED + b"content-length: 0\r\n\r\n" + INNER,
    _POST + b"content-length: 0, %d\r\n\r\n" % len(INNER) + INNER,
    _POST + b"content-length: +%d\r\n\r\n" % len(INNER) + INNER,
    _POST + b"content-length: 0x0\r\n\r\n" + INNER,
    _POST + _SIZED + b"transfer-encoding : chunked\r\n\r\n" + INNER,
    _POST + _SIZED + b"transfer-encoding: \x0bchunked\r\n\r\n" + INNER,
    _POST + _SIZED + b"transfer-encoding: xchunked\r\n\r\n" + INNER,
    _POST + _SIZED + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n" + INNER,
    _POST + _SIZED + b"x: y\rtransfer-encoding: chunked\r\n\r\n" + INNER,
    _POST + _SIZED + b"x: y\ntransfer-encoding: chunked\r\n\r\n" + INNER,
    _POST + b" transfer-encoding: chunked\r\n" + _SIZED + b"\r\n" + INNER,
    _POST + b"transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n" + INNER,
    _POST + b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n" + INNER,
    _POST + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n" + INNER,
    _POST.replace(b"1.1", b"1.0") + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    # Protocols that are framed like HTTP, and by their own rules.
    _POST.replace(b"HTTP/1.1", b"RTSP/1.1") + _SIZED + b"\r\n" + INNER,
    b"SOURCE /oauth/token ICE/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n" + INNER,
)


class Attack(NamedTuple):
    """What each connection of an attack does."""

    connections: int
    first: Sequence[bytes] = (b"",)
    """What it sends at once; connections take these in turn."""
    drip: bytes = b""
    """What it sends again and again."""
    again_seconds: float | None = None
    """After how long an ended one is opened anew; None: never, and the attack is over when all have ended."""


ATTACKS: Mapping[str, Attack] = {
    "idle": Attack(10_000),
    "slow-loris": Attack(2000, (HALF_A_HEAD,), b"a", 0.5),
    "half-open uploads": Attack(2000, (HALF_A_BODY,), b"", 0.5),
    "pipelined garbage": Attack(200, (GOOD * 40 + b"\0\1\2garbage\r\n\r\n" + GOOD * 40,), b"", 0.1),
    "oversized heads": Attack(200, (GOOD[:-2] + b"x-large: " + b"a" * 60_000 + b"\r\n\r\n",), b"", 0.1),
    "smuggling": Attack(10 * len(SMUGGLING), SMUGGLING, b"", 0.1),
}
DRIP_SECONDS = 0.3
_AT_ONCE = 200


class _Connection(asyncio.Protocol):
    """One connection of an attack."""

    def __init__(self, run: "_Run", number: int) -> None:
        self._run = run
        self._number = number
        self._received = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._run.open.add(self)
        transport.write(self._run.attack.first[self._number % len(self._run.attack.first)])

    def data_received(self, data: bytes) -> None:
        self._received += data

    def connection_lost(self, _error: Exception | None) -> None:
        self._run.lost(self, self._number, self._received)


class _Run:
    """An attack that is going on."""

    def __init__(self, attack: Attack, address: tuple[str, int]) -> None:
        self.attack = attack
        self.open: set[_Connection] = set()
        self.opened = self.refused = self.ended = self.most = 0
        self.answers: Counter[str] = Counter()
        self.smuggled = 0
        self._address = address
        self._waiting: set[asyncio.Task[None]] = set()
        self._ending = False

    def lost(self, connection: _Connection, number: int, received: bytes) -> None:
        self.open.discard(connection)
        if self._ending:
            return
        self.ended += 1
        answers = received.split(b"HTTP/1.1 ")[1:]
        self.answers.update(answer[:3].decode("latin-1") for answer in answers)
        if self.attack.first is SMUGGLING:
            self.smuggled += max(0, len(answers) - 1)
        if self.attack.again_seconds is not None:
            task = asyncio.ensure_future(self._again(number, self.attack.again_seconds))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _again(self, number: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._connect(number)

    async def _connect(self, number: int) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self, number), *self._address, local_addr=(f"127.0.{1 + number // 5000}.1", 0)
            )
            self.opened += 1
            self.most = max(self.most, len(self.open))
        except OSError:
            self.refused += 1

    async def go_on(self, seconds: float) -> dict[str, object]:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        for start in range(0, self.attack.connections, _AT_ONCE):
            last = min(start + _AT_ONCE, self.attack.connections)
            await asyncio.gather(*(self._connect(number) for number in range(start, last)))
        while loop.time() < end and (self.open or self.attack.again_seconds is not None):
            await asyncio.sleep(DRIP_SECONDS)
            for connection in list(self.open) if self.attack.drip else ():
                assert connection.transport is not None
                connection.transport.write(self.attack.drip)
        self._ending = True
        for task in self._waiting:
            task.cancel()
        return {
            "opened": self.opened,
            "most": self.most,
            "refused": self.refused,
            "ended": self.ended,
            "answers": dict(self.answers),
            "smuggled": self.smuggled,
        }


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    name, host, port, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(_Run(ATTACKS[name], (host, int(port))).go_on(float(seconds)))))
