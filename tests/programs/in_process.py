"""The service's listeners inside the test's own process, on the event loop that the service runs on."""

import secrets
from collections.abc import Callable

import uvloop

from app.web.serving import Draining, Listener, serve


def serve_until_signalled(listener: Listener, on_listening: Callable[[], None]) -> None:
    """Serve one listener until the process is signalled; ``on_listening`` is called on its loop."""
    uvloop.run(
        serve([listener], Draining(), drain_seconds=0, random_bytes=secrets.token_bytes, on_listening=on_listening)
    )
