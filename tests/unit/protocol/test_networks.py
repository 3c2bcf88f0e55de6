"""Which addresses count as one: all that one subscriber can have."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.networks import network_of


@given(st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_the_last_64_bits_never_count(network: int, bits: int, others: int) -> None:
    assert network_of(str(IPv6Address(network << 64 | bits))) == network_of(str(IPv6Address(network << 64 | others)))


@pytest.mark.parametrize("address", ["203.0.113.7", "unix", "not:an:address"])
def test_anything_else_counts_as_it_is(address: str) -> None:
    assert network_of(address) == address


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_the_same_one_where_a_listener_of_both_gives_it_as_ipv6(address: object) -> None:
    assert network_of(f"::ffff:{address}") == network_of(f"::ffff:{address}%eth0") == network_of(str(address))


def test_a_scope_does_not_count() -> None:
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth1") != network_of("fe81::1")


def test_where_no_address_is_known_there_is_no_network() -> None:
    assert network_of(None) is None
