"""Which addresses may be reached: none that is not public, however it is written."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outgoing.addresses import carried_address, why_forbidden

FORBIDDEN = [
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("::1", "loopback"),
    ("169.254.169.254", "link-local"),  # the metadata service of most clouds
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fd00:ec2::254", "private"),  # Amazon's metadata service by IPv6
    ("100.100.100.200", "private"),  # Alibaba's
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("198.18.0.1", "private"),
    ("fec0::1", "private"),
    ("0.0.0.0", "reserved"),
    ("::", "reserved"),
    ("192.0.0.192", "reserved"),  # Oracle's
    ("192.0.2.1", "reserved"),
    ("198.51.100.1", "reserved"),
    ("203.0.113.1", "reserved"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("2001:db8::1", "reserved"),
    ("100::1", "reserved"),
    ("64:ff9b:1::1", "reserved"),
    ("4000::1", "reserved"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("ff02::1", "multicast"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::127.0.0.1", "loopback"),
    ("64:ff9b::a00:1", "private"),
    ("2002:7f00:1::", "loopback"),
    ("2002:0a00:0001::", "private"),
    ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "private"),  # Teredo: 10.0.0.1 behind it
]


@pytest.mark.parametrize(("text", "kind"), FORBIDDEN)
def test_what_is_not_public_is_forbidden(text: str, kind: str) -> None:
    assert why_forbidden(ip_address(text), []) == kind


@pytest.mark.parametrize(
    "text",
    [
        *("8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "11.0.0.1", "126.255.255.255", "128.0.0.1"),
        *("169.253.255.255", "169.255.0.0", "192.0.1.1", "100.63.255.255", "100.128.0.0", "223.255.255.255"),
        *("2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
    ],
)
def test_what_is_public_is_not(text: str) -> None:
    assert why_forbidden(ip_address(text), []) is None


def test_what_is_allowed_may_be_reached_and_nothing_beside_it() -> None:
    allowed = [ip_network("10.20.0.0/16"), ip_network("fd00:1::/32")]
    for text in ("10.20.0.1", "10.20.255.255", "::ffff:10.20.0.1", "fd00:1::7"):
        assert why_forbidden(ip_address(text), allowed) is None
    for text in ("10.21.0.1", "127.0.0.1", "::ffff:10.21.0.1", "fd00:2::7"):
        assert why_forbidden(ip_address(text), allowed) is not None


@given(st.ip_addresses(v=4))
def test_no_way_to_write_an_address_makes_a_forbidden_one_good(address: IPv4Address) -> None:
    kind = why_forbidden(address, [])
    number = int(address)
    written = [IPv6Address(0xFFFF_0000_0000 + number), IPv6Address((0x64_FF9B << 96) + number)]
    assert [why_forbidden(each, []) for each in written] == [kind, kind]
    assert [carried_address(each) for each in written] == [address, address]
    if kind is not None:
        assert why_forbidden(IPv6Address((0x2002 << 112) + (number << 80)), []) == kind


@given(st.ip_addresses())
def test_whatever_python_calls_private_is_forbidden(address: IPv4Address | IPv6Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert why_forbidden(address, []) is not None
