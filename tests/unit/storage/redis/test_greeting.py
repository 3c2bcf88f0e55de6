"""INFO is read leniently, and an ACL line names nothing but the installation's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.redis.acl import acl_line
from app.storage.redis.greeting import read_information


def test_information_is_names_and_values() -> None:
    text = b"# Server\r\nredis_version:7.0.15\r\nos:Linux 6.1 x86:64\r\n\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n"
    assert read_information(text) == {
        "redis_version": "7.0.15",
        "os": "Linux 6.1 x86:64",
        "maxmemory_policy": "noeviction",
    }


@given(st.binary(max_size=200))
def test_no_information_breaks_it(text: bytes) -> None:
    assert all(":" not in name for name in read_information(text))


def test_an_acl_line_is_bound_to_the_prefix() -> None:
    line = acl_line("auth", "team/prod")
    assert line.startswith("user auth on ><PASSWORD> resetkeys ~team/prod{* resetchannels &team/prod{* -@all +get ")
    assert "cluster" not in line
    assert "+cluster|slots" in acl_line("auth", "team/prod", cluster=True)


def test_an_acl_line_for_an_impossible_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="key prefix"):
        acl_line("auth", "a b")
