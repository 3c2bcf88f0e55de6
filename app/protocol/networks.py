"""Which addresses count as one."""

from ipaddress import AddressValueError, IPv6Address


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address (RFC 6177 section 2)."""
    if ":" not in address:
        return address
    try:
        return f"{IPv6Address(address.partition('%')[0]).packed[:8].hex()}::/64"
    except AddressValueError:
        return address
