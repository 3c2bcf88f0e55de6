"""A transport that sends what is written within one turn of the event loop in one piece.

uvicorn writes a response's head and body separately, and uvloop makes a system call of each write: some 7 µs on
loopback, a quarter of what a request costs with a constant answer. The price is one callback of the loop.

Rules:
- Nothing waits longer than until the loop's next turn: ``100 Continue`` leaves although no body follows it.
- What is held is bounded: past :data:`HELD_BYTES` it leaves at once, so that the transport beneath can ask for a pause.
- Closing sends what is held first, as any transport does.
"""

import asyncio
from typing import Any

HELD_BYTES = 64 * 1024
"""uvloop's own high-water mark for asking a protocol to pause."""


class Gathering(asyncio.Transport):
    """What uvicorn's protocol needs of a transport, in front of the real one."""

    __slots__ = ("_held", "_loop", "_size", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` after what was written before it, at the latest in the loop's next turn."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(bytes(data))  # bytes stay what they are; what could change is copied
        self._size += len(data)
        if self._size > HELD_BYTES:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def abort(self) -> None:
        self._held.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def _send(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))
