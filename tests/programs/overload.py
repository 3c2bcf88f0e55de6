"""Requests at a pace that nobody's answers hold back, over many connections that pipeline them.

``python -m tests.programs.overload HOST PORT CONNECTIONS PER_SECOND SECONDS REQUEST ANSWER_BYTES`` sends the request of
the file REQUEST so many times a second, as far as the other side takes it, reads whatever comes, and prints as JSON how
many were due, sent and answered (by the bytes of an answer).
"""

import contextlib
import json
import resource
import selectors
import socket
import sys
import time
from pathlib import Path

_TICK_SECONDS = 0.01
_LONGEST_DEBT = 2000
"""Requests that one connection may owe: what is due beyond that counts as due, and is not made up for."""


class _Pipe:
    """One connection, and what it still has to send."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.owed = 0.0
        self.rest = b""


def run(
    address: tuple[str, int], request: bytes, *, connections: int, per_second: float, seconds: float, answer_bytes: int
) -> dict[str, int]:
    """Requests that were due, sent and answered. Connections that end are opened anew."""
    pipes = selectors.DefaultSelector()
    for number in range(connections):
        pipes.register(_connect(address, number), selectors.EVENT_READ)
    owners = {key.fd: _Pipe(key.fileobj) for key in pipes.get_map().values()}  # type: ignore[arg-type]
    due, sent, received = 0.0, 0, 0
    last = time.monotonic()
    end = last + seconds
    while (now := time.monotonic()) < end:
        share = per_second * (now - last) / connections
        last = now
        for fd, pipe in list(owners.items()):
            due += share
            pipe.owed = min(pipe.owed + share, _LONGEST_DEBT)
            try:
                sent += _send(pipe, request)
            except OSError:
                _replace(pipes, owners, fd, address)
        for key, _ in pipes.select(0):
            try:
                piece = owners[key.fd].connection.recv(1 << 18)
            except BlockingIOError:
                continue
            except OSError:
                piece = b""
            received += len(piece)
            if not piece:
                _replace(pipes, owners, key.fd, address)
        time.sleep(max(0.0, last + _TICK_SECONDS - time.monotonic()))
    return {"due": int(due), "sent": sent, "answered": received // answer_bytes}


def _connect(address: tuple[str, int], number: int) -> socket.socket:
    connection = socket.socket()
    connection.bind((f"127.0.{1 + number // 10_000}.1", 0))
    connection.connect(address)
    connection.setblocking(False)
    return connection


def _send(pipe: _Pipe, request: bytes) -> int:
    """Send what is owed, as far as it is taken; how many requests were begun."""
    if pipe.rest:
        pipe.rest = pipe.rest[_taken(pipe, pipe.rest) :]
        if pipe.rest:
            return 0
    count = int(pipe.owed)
    if not count:
        return 0
    whole = request * count
    taken = _taken(pipe, whole)
    begun = -(-taken // len(request))
    pipe.rest = whole[taken : begun * len(request)]
    pipe.owed -= begun
    return begun


def _taken(pipe: _Pipe, data: bytes) -> int:
    try:
        return pipe.connection.send(data)
    except BlockingIOError:
        return 0


def _replace(pipes: selectors.BaseSelector, owners: dict[int, _Pipe], fd: int, address: tuple[str, int]) -> None:
    old = owners.pop(fd)
    pipes.unregister(old.connection)
    old.connection.close()
    with contextlib.suppress(OSError):
        new = _connect(address, 0)
        pipes.register(new, selectors.EVENT_READ)
        owners[new.fileno()] = _Pipe(new)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host, port, connections, per_second, seconds, file, answer_bytes = sys.argv[1:]
    came_to = run(
        (host, int(port)),
        Path(file).read_bytes(),
        connections=int(connections),
        per_second=float(per_second),
        seconds=float(seconds),
        answer_bytes=int(answer_bytes),
    )
    print(json.dumps(came_to))
