"""What is written within one turn of the loop leaves in one piece, and nothing waits longer."""

import asyncio
from collections.abc import Callable
from typing import Any

from app.web.gathering import HELD_BYTES, Gathering


class RecordingTransport(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[bytes | str] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.events.append(bytes(data))

    def close(self) -> None:
        self.closing = True
        self.events.append("close")

    def abort(self) -> None:
        self.closing = True
        self.events.append("abort")

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 4711)}.get(name, default)


def after_one_turn(act: Callable[[Gathering, RecordingTransport], None]) -> list[bytes | str]:
    """What reached the transport when the loop has turned once after ``act``."""

    async def run() -> list[bytes | str]:
        transport = RecordingTransport()
        act(Gathering(transport, asyncio.get_running_loop()), transport)
        await asyncio.sleep(0)
        return transport.events

    return asyncio.run(run())


def test_a_head_and_its_body_leave_in_one_piece() -> None:
    def respond(gathering: Gathering, transport: RecordingTransport) -> None:
        gathering.write(b"HTTP/1.1 200 OK\r\n\r\n")
        gathering.write(b"{}")
        assert transport.events == []

    assert after_one_turn(respond) == [b"HTTP/1.1 200 OK\r\n\r\n{}"]


def test_a_piece_that_nothing_follows_leaves_by_itself() -> None:
    assert after_one_turn(lambda gathering, _: gathering.write(b"HTTP/1.1 100 Continue\r\n\r\n")) == [
        b"HTTP/1.1 100 Continue\r\n\r\n"
    ]


def test_turns_of_the_loop_are_kept_apart_and_in_order() -> None:
    async def run() -> list[bytes | str]:
        transport = RecordingTransport()
        gathering = Gathering(transport, asyncio.get_running_loop())
        for number in range(3):
            gathering.write(b"%d" % number)
            gathering.write(b"!")
            await asyncio.sleep(0)
        return transport.events

    assert asyncio.run(run()) == [b"0!", b"1!", b"2!"]


def test_what_is_held_leaves_before_the_connection_closes() -> None:
    def close(gathering: Gathering, _: RecordingTransport) -> None:
        gathering.write(b"last words")
        gathering.close()

    assert after_one_turn(close) == [b"last words", "close"]


def test_an_aborted_connection_sends_nothing_more() -> None:
    def abort(gathering: Gathering, _: RecordingTransport) -> None:
        gathering.write(b"too late")
        gathering.abort()

    assert after_one_turn(abort) == ["abort"]


def test_nothing_is_written_to_a_peer_that_has_gone() -> None:
    def leave(gathering: Gathering, transport: RecordingTransport) -> None:
        gathering.write(b"too late")
        transport.closing = True

    assert after_one_turn(leave) == []


def test_more_than_the_bound_leaves_at_once() -> None:
    def flood(gathering: Gathering, transport: RecordingTransport) -> None:
        gathering.write(b"a" * HELD_BYTES)
        assert transport.events == []
        gathering.write(b"b")
        assert transport.events == [b"a" * HELD_BYTES + b"b"]

    assert len(after_one_turn(flood)) == 1


def test_a_buffer_that_changes_after_it_was_written_is_sent_as_it_was() -> None:
    def reuse(gathering: Gathering, _: RecordingTransport) -> None:
        buffer = bytearray(b"first")
        gathering.write(buffer)
        buffer[:] = b"later"

    assert after_one_turn(reuse) == [b"first"]


def test_the_peer_is_known_through_it() -> None:
    def look(gathering: Gathering, _: RecordingTransport) -> None:
        assert gathering.get_extra_info("peername") == ("192.0.2.1", 4711)
        assert gathering.get_extra_info("sslcontext") is None

    assert after_one_turn(look) == []
