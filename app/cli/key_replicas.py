"""Waiting until every replica publishes the new ring, where no store tells the replicas about a revoked key."""

import asyncio
import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec

POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 3.0
MAX_BODY_BYTES = 1_000_000


class Replica(msgspec.Struct, frozen=True):
    """One process of the service, by address."""

    secure: bool
    host: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


def resolve(url: str) -> tuple[Replica, ...]:
    """The replicas behind a URL: every address of its name, so that a headless Service names them all.

    Raises ValueError for what is no http(s) URL, and OSError if the name is not known.
    """
    parts = urlsplit(url if "//" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r:.200} is not the address of a replica; it looks like http://host:port")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    addresses = sorted({str(entry[4][0]) for entry in found})
    return tuple(Replica(secure, parts.hostname, address, port) for address in addresses)


async def wait_until_dropped(
    replicas: tuple[Replica, ...],
    kids: frozenset[str],
    *,
    seconds: float,
    clock: Callable[[], float],
    tell: Callable[[Replica], None],
) -> tuple[Replica, ...]:
    """Ask each replica until none of ``kids`` is in its JWKS; ``tell`` of each that has dropped them.

    Returns those that have not within ``seconds``. ``clock`` is monotonic.
    """
    waiting, deadline = list(replicas), clock() + seconds
    while True:
        held = await asyncio.gather(*(asyncio.to_thread(_published, replica) for replica in waiting))
        for replica, published in zip(tuple(waiting), held, strict=True):
            if published is not None and not published & kids:
                waiting.remove(replica)
                tell(replica)
        if not waiting or clock() >= deadline:
            return tuple(waiting)
        await asyncio.sleep(POLL_SECONDS)


def fetch(replica: Replica, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body (at most MAX_BODY_BYTES) of a GET. Raises OSError and http.client.HTTPException."""
    connection = http.client.HTTPConnection(replica.address, replica.port, timeout=TIMEOUT_SECONDS)
    try:
        if replica.secure:
            connection = http.client.HTTPSConnection(replica.host, replica.port, timeout=TIMEOUT_SECONDS)
            plain = socket.create_connection((replica.address, replica.port), TIMEOUT_SECONDS)
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=replica.host)
        connection.request("GET", path, headers={"Host": replica.host, "Accept": "*/*", **(headers or {})})
        response = connection.getresponse()
        return response.status, response.read(MAX_BODY_BYTES)
    finally:
        connection.close()


def _published(replica: Replica) -> frozenset[str] | None:
    """The kids in a replica's JWKS; None if it cannot be had."""
    try:
        status, body = fetch(replica, "/jwks.json")
        return frozenset(key["kid"] for key in msgspec.json.decode(body)["keys"]) if status == 200 else None
    except (OSError, http.client.HTTPException, msgspec.DecodeError, LookupError, TypeError):
        return None
