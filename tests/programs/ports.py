"""Ports of the loopback interface that nobody listens on.

They lie below those that the kernel gives to outgoing connections (``ip_local_port_range``), and each of several test
processes has a part of them for itself: one could else take what another was given a moment ago.
"""

import os
import socket
from collections import deque

_FIRST, _BEYOND, _PARTS = 12_000, 32_000, 8
_part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PARTS
_size = (_BEYOND - _FIRST) // _PARTS
_lowest = _FIRST + _part * _size
_next = os.getpid() * 61 % _size
"""Other runs on this machine begin elsewhere."""
_given: deque[int] = deque(maxlen=64)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago, and none of those given a moment ago.

    Another process may take it before it is used: who starts a server on it must be ready to try again with another.
    Raises RuntimeError where all are taken.
    """
    global _next  # noqa: PLW0603 - where the search goes on
    for _ in range(_size):
        port = _lowest + _next
        _next = (_next + 1) % _size
        if port in _given:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.append(port)
        return port
    raise RuntimeError(f"all ports from {_lowest} to {_lowest + _size - 1} are taken")


def accepts_connections(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
