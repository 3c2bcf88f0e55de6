"""HTTP as the continuous client speaks it: connections that are kept, and no answer is ever a guess.

Rules:
- An answer that did not come whole within ``ANSWER_SECONDS`` is no answer (:class:`NoAnswer`): what became of the
  request is unknown, and whoever asked must say so.
- A connection that failed, or that the server asked to close, is not used again.
"""

import asyncio
import base64
from typing import NamedTuple
from urllib.parse import urlencode

ANSWER_SECONDS = 15.0


class NoAnswer(Exception):
    """The connection broke, or nothing came in time."""


class Answer(NamedTuple):
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


def basic(client_id: str, secret: str) -> str:
    """The value of an Authorization header for ids and secrets that need no percent-encoding."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


class Wire:
    """Connections to one listener of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, authorization: str, **form: str) -> Answer:
        """Send a form. Raises NoAnswer."""
        body = urlencode(form).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\nauthorization: {authorization}\r\n"
            f"content-type: application/x-www-form-urlencoded\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return await self._exchange(head.encode() + body)

    async def get(self, path: str) -> Answer:
        """Ask for a document. Raises NoAnswer."""
        return await self._exchange(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n\r\n".encode())

    def close(self) -> None:
        """End the idle connections."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _exchange(self, request: bytes) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._ask(request)
        except (TimeoutError, OSError, EOFError) as error:
            raise NoAnswer(type(error).__name__) from None

    async def _ask(self, request: bytes) -> Answer:
        reader, writer = await self._connection()
        keep = False
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            keep = headers.get("connection") != "close"
            return Answer(int(head[0].split(" ")[1]), headers, body)
        finally:
            if keep:
                self._idle.append((reader, writer))
            else:
                writer.close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)
