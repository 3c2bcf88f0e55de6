"""Which Host headers the operators' listener answers to."""

import pytest

from app.admin.hosts import OperatorHosts

HOSTS = OperatorHosts(["Ops.Example.com"])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:9465",
        "10.1.2.3:80",
        "[::1]",
        "[::1]:9465",
        "[fd00::7]:1",
        "localhost",
        "LOCALHOST:19465",
        "pod.localhost:80",
        "ops.example.com",
        "OPS.example.com:9465",
    ],
)
def test_addresses_this_machine_and_what_operators_named_are_good(host: str) -> None:
    assert HOSTS.allow(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":9465",
        "attacker.example",
        "attacker.example:9465",
        "127.0.0.1.attacker.example",
        "localhost.attacker.example",
        "notlocalhost",
        "x.ops.example.com",
        "ops.example.com.attacker.example",
        "[attacker.example]",
        "::1",
        "ops.example.com:9465:1",
        "2130706433.example",
    ],
)
def test_any_other_name_may_be_one_that_was_pointed_here(host: str | None) -> None:
    assert not HOSTS.allow(host)
