"""The bare server: a constant answer from one ASGI function, the yardstick of every ratio.

    python -m uvicorn --no-access-log --loop uvloop --http httptools --port 9001 benchmarks.bare_server:app

It reads the request and does nothing with it: what the server and the interpreter cost before any work is done.
Never to be changed, or no ratio can be compared with an earlier one.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]

BODY = b'{"active":true,"scope":"read","client_id":"c","exp":1999999999,"iat":1,"sub":"s","token_type":"Bearer"}'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"content-length", b"%d" % len(BODY)),
]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer the same to everything."""
    if scope["type"] != "http":
        return
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})
