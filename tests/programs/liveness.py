"""A liveness probe as a kubelet's: a new connection each time, and a time by which the answer must be there."""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

PROBE_SECONDS = 0.1
"""Between two probes."""
TIMEOUT_SECONDS = 5.0
"""As in the chart (``probes.liveness.timeoutSeconds``)."""


class Liveness:
    """What probes came to so far."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def __str__(self) -> str:
        return f"{len(self.seconds)} probes, slowest {max(self.seconds) * 1e3:.0f} ms, failed {self.failures}"


@contextlib.contextmanager
def probing(url: str) -> Iterator[Liveness]:
    """Probe ``/health/live`` of a listener until the block ends."""
    came_to, stopping = Liveness(), threading.Event()
    parts = urlsplit(url)

    def probe() -> None:
        while not stopping.wait(PROBE_SECONDS):
            started = time.monotonic()
            try:
                connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
                with contextlib.closing(connection):
                    connection.request("GET", "/health/live")
                    if connection.getresponse().status == 200:
                        came_to.seconds.append(time.monotonic() - started)
                    else:
                        came_to.failures.append("status")
            except (OSError, http.client.HTTPException) as error:
                came_to.failures.append(f"{error!r} after {time.monotonic() - started:.2f} s")

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield came_to
    finally:
        stopping.set()
        thread.join()
