"""What k6 needs of a token service, and of a constant responder beside it, with faults that a test chooses."""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = tuple[int, dict[str, object]]


@contextmanager
def answering(introspected: Callable[[int], Answer], *, seconds: float = 0.0) -> Iterator[str]:
    """A server, yielded as its URL: it is ready, issues a token, and answers the nth introspection as it is told.

    ``seconds``: how long each answer takes.
    """
    lock, asked = threading.Lock(), 0

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200, {"status": "ready"})

        def do_POST(self) -> None:
            nonlocal asked
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(seconds)
            if self.path == "/oauth/token":
                self._answer(200, {"access_token": "a", "token_type": "Bearer"})
                return
            with lock:
                asked += 1
                number = asked
            self._answer(*introspected(number))

        def _answer(self, status: int, answer: dict[str, object]) -> None:
            body = json.dumps(answer, separators=(",", ":")).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Nothing: what it answered is what k6 says of it."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
