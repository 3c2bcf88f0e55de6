"""Whose address a request has: the peer's, unless the peer is a proxy that we trust to say who asked it.

Rules:
- The rightmost hop that is not itself a trusted proxy counts. What stands left of it is anybody's word.
- Where that hop cannot be read, the proxy that wrote it counts: whoever hides shares one address with others who do.
- ``X-Forwarded-For`` and ``Forwarded`` that disagree count for nothing, for the same reason: a proxy writes one of
  them and hands on the other as the client sent it.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network

from app.endpoints.exchange import Request
from app.protocol.forwarded import (
    IPAddress,
    forwarded_from_the_right,
    read_address,
    x_forwarded_for_from_the_right,
)

Network = IPv4Network | IPv6Network

_REMEMBERED = 4096
_REMEMBERED_BYTES = 256
"""Longer headers are read each time: all but the end is whatever the client sent, and would fill the memory."""
_MAX_HOPS = 32
"""Trusted proxies in a row: no chain is longer, and a client may make up as many as a head holds."""


class ClientAddresses:
    """Finds the address of requests; used by the event loop alone."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)
        self._found: dict[tuple[str, bytes | None, bytes | None], str] = {}

    def of(self, request: Request) -> str | None:
        """The address that counts, in its shortest form; None where the peer has none (a Unix socket)."""
        peer = request.peer
        if peer is None or (not self._trusted and ":" not in peer):
            return peer
        asked = (peer, request.x_forwarded_for, request.forwarded) if self._trusted else (peer, None, None)
        found = self._found.get(asked)
        if found is None:
            found = self._find(*asked)
            if len(asked[1] or b"") + len(asked[2] or b"") > _REMEMBERED_BYTES:
                return found
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[asked] = found
        return found

    def _find(self, peer: str, x_forwarded_for: bytes | None, forwarded: bytes | None) -> str:
        address = read_address(peer.partition("%")[0])
        if address is None:
            return peer
        if not self._trusts(address):
            return str(address)
        said = []
        if x_forwarded_for is not None:
            said.append(self._hop(address, x_forwarded_for_from_the_right(x_forwarded_for.decode("latin-1"))))
        if forwarded is not None:
            said.append(self._hop(address, forwarded_from_the_right(forwarded.decode("latin-1"))))
        return str(said[0] if said and said[0] == said[-1] else address)

    def _hop(self, peer: IPAddress, hops: Iterable[IPAddress | None]) -> IPAddress:
        """The rightmost hop that is no trusted proxy, or the last one before it that can be read."""
        known = peer
        for _, hop in zip(range(_MAX_HOPS), hops, strict=False):
            if hop is None:
                break
            known = hop
            if not self._trusts(hop):
                break
        return known

    def _trusts(self, address: IPAddress) -> bool:
        return any(address in network for network in self._trusted)
