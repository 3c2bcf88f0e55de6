"""Which addresses an outgoing request may reach (RFC 9700 section 4.11.2; OWASP's cheat sheet on SSRF).

Rules:
- Everything that IANA's special-purpose registries (RFC 6890) do not call globally reachable is forbidden, and so is
  multicast: loopback, private, link-local with the clouds' metadata services, and the rest.
- An IPv6 address that carries an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo) is judged by both.
- The tables are written out: what :mod:`ipaddress` calls global has changed between Python's releases.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_FORBIDDEN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("link-local", ("169.254.0.0/16", "fe80::/10")),
    (
        "private",
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7", "fec0::/10"),
    ),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    (
        "reserved",
        (
            *("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.51.100.0/24", "203.0.113.0/24"),
            *("240.0.0.0/4", "::/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20"),
            "5f00::/16",
        ),
    ),
)
_BY_KIND: tuple[tuple[str, tuple[Network, ...]], ...] = tuple(
    (kind, tuple(ip_network(text) for text in networks)) for kind, networks in _FORBIDDEN
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The one block from which IANA gives global addresses; whatever else is not forbidden by name is not given."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052 section 2.1."""
_COMPATIBLE = IPv6Network("::/96")
"""RFC 4291 section 2.5.5.1, deprecated."""


def why_forbidden(address: Address, allowed: Sequence[Network]) -> str | None:
    """What kind of address it is that may not be reached; None if it may.

    ``allowed`` networks may be, whatever they are; an IPv4 network's addresses also as IPv6 writes them.
    """
    carried = carried_address(address)
    if any(_lies_in(each, network) for each in (address, carried) if each is not None for network in allowed):
        return None
    if carried is not None and (kind := _kind(carried)) is not None:
        return kind
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address in _NAT64):
        return None  # another way to write an IPv4 address, which was judged above
    return _kind(address)


def carried_address(address: Address) -> IPv4Address | None:
    """The IPv4 address that packets to an IPv6 address end up at; None for all others."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    return None


def _kind(address: Address) -> str | None:
    for kind, networks in _BY_KIND:
        if any(_lies_in(address, network) for network in networks):
            return kind
    return "reserved" if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST else None


def _lies_in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
