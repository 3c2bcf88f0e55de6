"""Whose address a request has: the peer's, unless a trusted proxy says who asked it."""

import tracemalloc
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.endpoints.addresses import ClientAddresses
from app.endpoints.exchange import Request

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PROXY, CLIENT = "10.0.0.1", "203.0.113.7"


def address(peer: str | None, x_forwarded_for: str | None = None, forwarded: str | None = None) -> str | None:
    request = Request("POST", peer=peer)
    request.x_forwarded_for = None if x_forwarded_for is None else x_forwarded_for.encode()
    request.forwarded = None if forwarded is None else forwarded.encode()
    return ClientAddresses(TRUSTED).of(request)


CASES = [
    # peer, X-Forwarded-For, Forwarded, address
    (CLIENT, None, None, CLIENT),
    (CLIENT, "198.51.100.1", "for=198.51.100.1", CLIENT),
    (PROXY, None, None, PROXY),
    (PROXY, CLIENT, None, CLIENT),
    (PROXY, None, f"for={CLIENT}", CLIENT),
    (PROXY, f"198.51.100.1, {CLIENT}", None, CLIENT),
    (PROXY, f"{CLIENT}, 10.0.0.2, 10.3.4.5", None, CLIENT),
    (PROXY, f"198.51.100.1, {CLIENT}, 10.0.0.2", None, CLIENT),
    (PROXY, "10.0.0.3, 10.0.0.2", None, "10.0.0.3"),
    (PROXY, "unknown", None, PROXY),
    (PROXY, f"{CLIENT}, unknown, 10.0.0.2", None, "10.0.0.2"),
    (PROXY, "", None, PROXY),
    (PROXY, CLIENT, f"for={CLIENT};proto=https", CLIENT),
    (PROXY, CLIENT, "for=198.51.100.1", PROXY),
    (PROXY, CLIENT, "for=", PROXY),
    ("fd00::1", "2001:db8::1", None, "2001:db8::1"),
    ("::ffff:10.0.0.1", CLIENT, None, CLIENT),
    ("::ffff:203.0.113.7", None, None, CLIENT),
    ("2001:DB8:0::1", None, None, "2001:db8::1"),
    ("fe80::1%eth0", None, None, "fe80::1"),
    (None, CLIENT, None, None),
    ("not-an-address", CLIENT, None, "not-an-address"),
]


@pytest.mark.parametrize(("peer", "x_forwarded_for", "forwarded", "expected"), CASES)
def test_the_rightmost_hop_that_is_no_trusted_proxy_counts(
    peer: str | None, x_forwarded_for: str | None, forwarded: str | None, expected: str | None
) -> None:
    assert address(peer, x_forwarded_for, forwarded) == expected


def test_without_trusted_proxies_no_header_counts() -> None:
    request = Request("POST", peer=PROXY)
    request.x_forwarded_for = CLIENT.encode()
    assert ClientAddresses().of(request) == PROXY


@given(st.lists(st.text(max_size=30), max_size=5))
def test_nothing_that_a_client_sends_changes_its_address(sent: list[str]) -> None:
    assert address(PROXY, ", ".join([*(text.replace("\n", "") for text in sent), CLIENT])) == CLIENT


def test_any_number_of_spoofed_hops_takes_a_bounded_place() -> None:
    addresses = ClientAddresses(TRUSTED)
    for number in range(20_000):
        request = Request("POST", peer=PROXY)
        request.x_forwarded_for = b"%d, 203.0.113.7" % number
        assert addresses.of(request) == CLIENT
    assert len(addresses._found) <= 4096


def test_a_chain_of_proxies_that_a_client_makes_up_has_an_end() -> None:
    assert address(PROXY, ", ".join(["10.0.0.9"] * 5000)) == "10.0.0.9"


def test_what_is_remembered_of_long_headers_is_bounded() -> None:
    """Whoever is behind a trusted proxy chooses most of the header: 4096 of 30 kB would be 120 MB."""
    addresses = ClientAddresses(TRUSTED)
    tracemalloc.start()
    try:
        for number in range(500):
            request = Request("POST", peer=PROXY)
            request.x_forwarded_for = b"%d, " % number * 5_000 + CLIENT.encode()
            assert addresses.of(request) == CLIENT
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000
