"""Which addresses count as one: all that one subscriber can have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.networks import network_of


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_the_last_64_bits_never_count(address: object, bits: int) -> None:
    other = type(address)((int(address) >> 64 << 64) | bits)  # type: ignore[call-overload,call-arg]
    assert network_of(str(address)) == network_of(str(other))


@pytest.mark.parametrize("address", ["203.0.113.7", "unix", "not:an:address"])
def test_anything_else_counts_as_it_is(address: str) -> None:
    assert network_of(address) == address


def test_a_scope_does_not_count() -> None:
    assert network_of("fe80::1%eth0") == network_of("fe80::2%eth1") != network_of("fe81::1")
