"""The hops that proxies tell of, read from the right."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.forwarded import (
    MAX_LENGTH,
    forwarded_from_the_right,
    read_address,
    x_forwarded_for_from_the_right,
)

ADDRESSES = [
    ("203.0.113.7", "203.0.113.7"),
    (" 203.0.113.7\t", "203.0.113.7"),
    ("203.0.113.7:4711", "203.0.113.7"),
    ("2001:db8::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:4711", "2001:db8::1"),
    ("[2001:DB8:0:0::1]:_obfuscated", "2001:db8::1"),
    ("::ffff:203.0.113.7", "203.0.113.7"),
    ("", None),
    ("unknown", None),
    ("_hidden", None),
    ("203.0.113", None),
    ("203.0.113.07", None),
    ("203.0.113.7:port", None),
    ("[2001:db8::1", None),
    ("[2001:db8::1]4711", None),
    ("[203.0.113.7]", None),
    ("fe80::1%eth0", None),
    ("example.com", None),
]


@pytest.mark.parametrize(("text", "address"), ADDRESSES)
def test_an_address_is_read_with_or_without_brackets_and_port(text: str, address: str | None) -> None:
    assert read_address(text) == (None if address is None else ip_address(address))


FORWARDED = [
    ("for=192.0.2.60", ["192.0.2.60"]),
    ('For="[2001:db8:cafe::17]:4711"', ["2001:db8:cafe::17"]),
    ("for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60"]),
    ("for=192.0.2.43, for=198.51.100.17", ["198.51.100.17", "192.0.2.43"]),
    ("for=unknown , FOR=198.51.100.17", ["198.51.100.17", None]),
    ('for="_gazonk"', [None]),
    ("proto=https", [None]),
    ("for=192.0.2.1;for=192.0.2.2", [None]),
    ('for="192.0.2.\\60"', ["192.0.2.60"]),
    ('by="a,b;c", for=192.0.2.1', ["192.0.2.1", None]),
    ('for="192.0.2.1, for=192.0.2.2', [None]),
    ("for=192.0.2.1 for=192.0.2.2", [None]),
    ("for = 192.0.2.1", [None]),
    ("", [None]),
    (",", [None]),
    ("for=192.0.2.1" + ", for=192.0.2.1" * MAX_LENGTH, [None]),
]


@pytest.mark.parametrize(("value", "hops"), FORWARDED)
def test_forwarded_follows_its_grammar_or_says_nothing(value: str, hops: list[str | None]) -> None:
    assert list(forwarded_from_the_right(value)) == [None if hop is None else ip_address(hop) for hop in hops]


addresses = st.ip_addresses().filter(lambda address: getattr(address, "ipv4_mapped", None) is None)


def quoted(address: IPv4Address | IPv6Address) -> str:
    return f'for="[{address}]"' if isinstance(address, IPv6Address) else f"for={address}"


@given(st.lists(addresses, min_size=1, max_size=6))
def test_what_proxies_write_is_read_back_from_the_right(hops: list[IPv4Address | IPv6Address]) -> None:
    assert list(x_forwarded_for_from_the_right(", ".join(map(str, hops)))) == hops[::-1]
    assert list(forwarded_from_the_right(", ".join(map(quoted, hops)))) == hops[::-1]


@given(st.text(max_size=200), addresses)
def test_whatever_a_client_sends_the_hop_that_a_proxy_appends_is_the_last(
    sent: str, real: IPv4Address | IPv6Address
) -> None:
    assert next(x_forwarded_for_from_the_right(f"{sent}, {real}")) == real
    # Forwarded has quotes that a client may leave open: then nothing can be read, and never anything false.
    assert next(forwarded_from_the_right(f"{sent}, {quoted(real)}")) in (real, None)


@given(st.text(alphabet='for="[]:;,.\\ 0123abcf_', max_size=100))
def test_no_text_is_too_strange(text: str) -> None:
    for hop in (*x_forwarded_for_from_the_right(text), *forwarded_from_the_right(text)):
        assert hop is None or isinstance(hop, IPv4Address | IPv6Address)
