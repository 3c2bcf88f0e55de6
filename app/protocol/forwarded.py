"""The addresses that proxies say a request came through: ``X-Forwarded-For`` and ``Forwarded`` (RFC 7239).

Pure parsing, from the right: the last hop was written by the proxy that is next to us, those before it by whoever was
further away, and the first ones by anybody.

Rules:
- A hop is an IP address, or None where it names none that can be read (``unknown``, an obfuscated name, garbage).
- IPv4 in IPv6 is IPv4: a client has one address, whatever the listener's family.
- Nothing here raises, and every parser takes linear time.
"""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

IPAddress = IPv4Address | IPv6Address

MAX_LENGTH = 4096
"""Of ``Forwarded`` in bytes: ten hops take fewer than a thousand."""

# RFC 9110 section 5.6.2 and 5.6.4: token, quoted-string; RFC 7239 section 4: pairs by ";", elements by ",".
_PAIR = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|\"((?:[^\"\\]|\\.)*)\")[ \t]*([;,]|$)"
)
_ESCAPED = re.compile(r"\\(.)")


def read_address(text: str) -> IPAddress | None:
    """An address, with or without brackets and port; None for anything else."""
    text = text.strip(" \t")
    if text.startswith("["):
        inner, bracket, port = text[1:].partition("]")
        if not bracket or not _is_port(port):
            return None
        return _ipv6(inner)
    if text.count(":") == 1:
        text, _, digits = text.partition(":")
        if not _is_port(f":{digits}"):
            return None
    if ":" in text:
        return _ipv6(text)
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def x_forwarded_for_from_the_right(value: str) -> Iterator[IPAddress | None]:
    """The hops of ``X-Forwarded-For``, its lines joined by commas, the last one first."""
    end = len(value)
    while end >= 0:
        start = value.rfind(",", 0, end)
        yield read_address(value[start + 1 : end])
        end = start


def forwarded_from_the_right(value: str) -> Iterator[IPAddress | None]:
    """The ``for`` of each element of ``Forwarded`` (RFC 7239 section 5.2), the last one first.

    What does not follow the grammar is one hop that cannot be read: nobody can tell where its elements end.
    """
    hops = _forwarded_hops(value) if len(value) <= MAX_LENGTH else None
    yield from (None,) if hops is None else reversed(hops)


def _forwarded_hops(value: str) -> list[IPAddress | None] | None:
    hops: list[IPAddress | None] = []
    named: list[str] = []
    position = 0
    while True:
        pair = _PAIR.match(value, position)
        if pair is None:
            return None
        name, token, quoted, separator = pair.groups()
        if name.lower() == "for":
            named.append(token if quoted is None else _ESCAPED.sub(r"\1", quoted))
        if separator != ";":
            # RFC 7239 section 4: each parameter MUST NOT occur more than once per element.
            hops.append(read_address(named[0]) if len(named) == 1 else None)
            named = []
        if not separator:
            return hops
        position = pair.end()


def _is_port(text: str) -> bool:
    """Nothing, or a colon and a port; RFC 7239 section 6 allows an obfuscated one, which says nothing either."""
    return not text or re.fullmatch(r":(?:[0-9]{1,5}|_[A-Za-z0-9._-]+)", text) is not None


def _ipv6(text: str) -> IPAddress | None:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return None
    if address.scope_id is not None:
        return None  # the name of an interface means nothing here
    return address.ipv4_mapped or address
