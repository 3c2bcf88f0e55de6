"""A host that publishes documents over https, as a test wants it to."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.programs.certificates import Issued
from tests.programs.served import Served

Answer = Callable[[BaseHTTPRequestHandler], None]


def document(body: bytes, status: int = 200, **fields: str) -> Answer:
    """An answer; ``cache_control="…"`` is the field Cache-Control."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), **fields}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class DocumentServer(Served):
    """Listens on a free port of 127.0.0.1 while it is entered. ``answers`` are by path; the rest is 404."""

    def __init__(self, certificate: Issued) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        """Path and fields, names in lower case."""
        self.connections = 0
        documents = self

        class Handler(BaseHTTPRequestHandler):
            def setup(self) -> None:
                documents.connections += 1
                super().setup()

            def do_GET(self) -> None:
                documents.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                documents.answers.get(self.path, document(b"", 404))(self)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Who hangs up in the middle is what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate_file, certificate.key_file)
        # The handshake is left to the first read, which is in the connection's own thread.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Where a document is."""
        return f"https://{host}:{self.port}{path}"
