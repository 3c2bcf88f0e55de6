"""A response that comes whole leaves in one piece, and nothing leaves that HTTP forbids."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from app.web.cycle import Cycle

pytestmark = pytest.mark.anyio

Message = dict[str, Any]
Application = Callable[[Any, Any, Callable[[Any], Awaitable[None]]], Awaitable[None]]


class RecordingTransport(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing


class Exchange:
    """One request, answered by an application through a cycle."""

    def __init__(self, method: str = "GET", *, keep_alive: bool = True, expects_continue: bool = False) -> None:
        self.transport = RecordingTransport()
        self.flow = FlowControl(self.transport)
        self.ended = 0
        self.cycle = Cycle(
            scope={"type": "http", "method": method},  # type: ignore[typeddict-item]
            transport=self.transport,
            flow=self.flow,
            logger=logging.getLogger("tests.cycle"),
            access_logger=logging.getLogger("tests.cycle"),
            access_log=False,
            default_headers=[(b"date", b"today")],
            message_event=asyncio.Event(),
            expect_100_continue=expects_continue,
            keep_alive=keep_alive,
            on_response=self._end,
        )

    def _end(self) -> None:
        self.ended += 1

    async def answer(self, *messages: Message) -> bytes:
        """What was sent for an application that sends these messages."""

        async def application(_scope: Any, _receive: Any, send: Any) -> None:
            for message in messages:
                await send(message)

        await self.cycle.run_asgi(application)
        return b"".join(self.transport.written)


def head(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def rest(body: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def failure_of(records: Iterable[logging.LogRecord]) -> str:
    return " ".join(str(record.exc_info[1]) for record in records if record.exc_info)


async def test_a_head_and_its_body_leave_in_one_piece() -> None:
    exchange = Exchange()
    await exchange.answer(head(200, (b"content-type", b"a/b"), (b"content-length", b"2")), rest(b"{}"))
    assert exchange.transport.written == [
        b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\n{}"
    ]
    assert (exchange.ended, exchange.transport.closing) == (1, False)


async def test_a_length_that_is_not_given_is_added() -> None:
    assert await Exchange().answer(head(), rest(b"{}")) == (
        b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize("given", [(), ((b"content-length", b"2"),)])
async def test_head_gets_the_headers_alone(given: tuple[tuple[bytes, bytes], ...]) -> None:
    sent = await Exchange("HEAD").answer(head(200, *given), rest(b"{}"))
    assert sent == b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\n"


@pytest.mark.parametrize(("status", "line"), [(204, b"204 No Content"), (304, b"304 Not Modified")])
async def test_statuses_without_a_body_have_none_and_no_length(status: int, line: bytes) -> None:
    """RFC 9110 section 8.6: no Content-Length in a 204; in a 304 it would be that of the 200."""
    assert await Exchange().answer(head(status), rest(b"")) == b"HTTP/1.1 %s\r\ndate: today\r\n\r\n" % line


@pytest.mark.parametrize(("length", "body"), [(b"1", b"{}"), (b"3", b"{}"), (b"1", b"")])
async def test_a_body_of_another_length_is_an_error(
    length: bytes, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = Exchange()
    sent = await exchange.answer(head(200, (b"content-length", length)), rest(body))
    assert sent.startswith(b"HTTP/1.1 500 ")
    assert b"200 OK" not in sent
    assert exchange.transport.closing
    assert "not as long" in failure_of(caplog.records)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n<html>"])
@pytest.mark.parametrize("place", ["name", "value"])
async def test_a_header_that_would_split_the_response_is_refused(
    end: bytes, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    header = (b"x" + end + b"set-cookie", b"1") if place == "name" else (b"x-y", b"1" + end + b"set-cookie: 1")
    sent = await Exchange().answer(head(200, header), rest(b"{}"))
    assert sent.startswith(b"HTTP/1.1 500 ")
    assert b"cookie" not in sent
    assert "more than one line" in failure_of(caplog.records)


@pytest.mark.parametrize("value", [b"close", b"Close", b"x, close"])
async def test_a_response_may_close_the_connection(value: bytes) -> None:
    exchange = Exchange()
    sent = await exchange.answer(head(200, (b"connection", value)), rest())
    assert exchange.transport.closing
    assert sent.count(b"connection: ") == 1


async def test_a_connection_that_ends_says_so() -> None:
    exchange = Exchange(keep_alive=False)
    assert b"\r\nconnection: close\r\n" in await exchange.answer(head(), rest(b"{}"))
    assert exchange.transport.closing


async def test_a_body_in_pieces_is_chunked() -> None:
    sent = await Exchange().answer(head(), rest(b"ab", more=True), rest(b"cde"))
    assert (
        sent == b"HTTP/1.1 200 OK\r\ndate: today\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    )


async def test_an_application_that_fails_before_its_body_has_sent_nothing() -> None:
    assert (await Exchange().answer(head(200, (b"x-own", b"1")))).startswith(b"HTTP/1.1 500 ")


async def test_a_second_response_is_refused() -> None:
    assert (await Exchange().answer(head(200), head(200))).startswith(b"HTTP/1.1 500 ")
    exchange = Exchange()
    sent = await exchange.answer(head(), rest(b"{}"), rest(b"more"))
    assert sent.count(b"HTTP/1.1 ") == 1
    assert sent.endswith(b"{}")


async def test_nothing_is_written_while_the_client_does_not_read() -> None:
    exchange = Exchange()
    exchange.flow.pause_writing()
    answering = asyncio.ensure_future(exchange.answer(head(200, (b"content-length", b"2")), rest(b"{}")))
    for _ in range(3):
        await asyncio.sleep(0)
    assert exchange.transport.written == []
    exchange.flow.resume_writing()
    assert (await answering).endswith(b"{}")


async def test_nothing_is_written_to_a_client_that_has_gone() -> None:
    exchange = Exchange()
    exchange.cycle.disconnected = True
    assert await exchange.answer(head(), rest(b"{}")) == b""


async def test_an_answer_before_the_body_makes_the_client_not_send_it() -> None:
    exchange = Exchange("POST", expects_continue=True)
    await exchange.answer(head(413, (b"connection", b"close")), rest(b"{}"))
    assert (await exchange.cycle.receive())["type"] == "http.disconnect"
    assert b"100 Continue" not in b"".join(exchange.transport.written)
