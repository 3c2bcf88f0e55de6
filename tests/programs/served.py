"""A server of the standard library that a thread serves while a context lasts."""

import threading
from http.server import HTTPServer
from types import TracebackType
from typing import Self


class Served:
    """Has a server in ``_server`` and, not yet started, its thread in ``_thread``."""

    _server: HTTPServer
    _thread: threading.Thread

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
