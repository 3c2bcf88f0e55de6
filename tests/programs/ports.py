"""Ports of the loopback interface that nobody listens on."""

import socket
from collections import deque

_given: deque[int] = deque(maxlen=64)
"""The last ports that were given away: the kernel may offer one of them again before anybody listens on it."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, and none of those given a moment ago.

    Another process may take it before it is used: who starts a server on it must be ready to try again with another.
    """
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.append(port)
            return port


def accepts_connections(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
