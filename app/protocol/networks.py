"""Which addresses count as one."""

from ipaddress import AddressValueError, IPv6Address
from typing import overload


@overload
def network_of(address: str) -> str: ...
@overload
def network_of(address: str | None) -> str | None: ...
def network_of(address: str | None) -> str | None:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address (RFC 6177 section 2); None for None.

    An IPv4 address is one in its IPv6 form as well (RFC 4291 section 2.5.5.2): so a listener of both sees IPv4 peers.
    """
    if address is None or ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    return f"{parsed.packed[:8].hex()}::/64" if parsed.ipv4_mapped is None else str(parsed.ipv4_mapped)
