"""The limits of requests: which number counts, what the classes leave each other, and what those over it are told."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from app.endpoints.answers import error_answer
from app.endpoints.exchange import Request
from app.endpoints.limits import TIMED_ONE_IN, Decides, Limits, OwnLimiter
from app.model.clients import Client, ClientAuthMethod, IntrospectionPolicy
from app.observability.audit import silent_audit
from app.observability.metrics import Metrics
from app.protocol.errors import ErrorCode, ProtocolError, invalid_client
from app.ratelimit.failures import Failures
from app.ratelimit.limiter import RateLimiter
from tests.unit.endpoints.wiring import Clock


class Told:
    """An audit that remembers the limits that it was told of."""

    def __init__(self) -> None:
        self.limits: list[tuple[str, str]] = []

    def limit_hit(self, _request: Request, limit: str, key: str) -> None:
        self.limits.append((limit, key))


def make(
    clock: Clock | None = None,
    audit: Any = None,
    failures: int = 0,
    make_limiter: Callable[[str], Decides] = OwnLimiter,
    **members: int,
) -> Limits:
    return Limits(
        make_limiter=make_limiter,
        **({"client_per_minute": 10} | members),
        failures=Failures(failures),
        metrics=Metrics(),
        audit=audit or silent_audit(),
        monotonic=clock or Clock(1000.0),
        stopwatch=lambda: 0.0,
    )


def asked(operation: str = "issue", peer: str = "203.0.113.7") -> Request:
    return Request("POST", operation=operation, peer=peer)


def admitted(limits: Limits, client: Client, request: Request, requests: int = 100) -> int:
    for passed in range(requests):
        try:
            limits.admit(request, client)
        except ProtocolError:
            return passed
    return requests


@pytest.mark.parametrize(
    ("per_minute", "default", "expected"),
    [(None, 10, 10), (5, 10, 5), (20, 10, 20), (None, 0, 100), (0, 10, 100), (5, 0, 5)],
)
def test_the_clients_own_limit_counts_before_the_services(per_minute: int | None, default: int, expected: int) -> None:
    client = Client("billing", rate_limit_per_minute=per_minute)
    assert admitted(make(client_per_minute=default), client, asked()) == expected


@pytest.mark.parametrize(("per_minute", "retry_after"), [(1, 60), (7, 9), (60, 1), (6000, 1)])
def test_a_client_over_its_limit_is_told_whole_seconds_and_the_limit(per_minute: int, retry_after: int) -> None:
    limits = make(client_per_minute=per_minute)
    assert admitted(limits, Client("billing"), asked(), 10_000) == per_minute
    with pytest.raises(ProtocolError) as raised:
        limits.admit(asked(), Client("billing"))
    assert (raised.value.error, raised.value.reason) == (ErrorCode.SLOW_DOWN, "rate_limited")
    headers = dict(error_answer(raised.value).headers)
    assert headers[b"retry-after"] == b"%d" % retry_after
    # draft-ietf-httpapi-ratelimit-headers-11 sections 3 and 4
    assert headers[b"ratelimit-policy"] == b'"client";q=%d;w=60' % per_minute
    assert headers[b"ratelimit"] == b'"client";r=0;t=%d' % retry_after
    limits.admit(asked(), Client("other"))
    for result, count in (("allowed", per_minute + 1), ("limited", 2)):
        labels = {"class": "client", "result": result}
        assert limits._metrics.registry.get_sample_value("rate_limit_decisions_total", labels) == count
    timed = math.ceil((per_minute + 3) / TIMED_ONE_IN)
    assert limits._metrics.registry.get_sample_value("rate_limit_duration_seconds_count") == timed


SERVER = Client("api", introspect=IntrospectionPolicy.AUDIENCE)


def test_introspection_by_resource_servers_is_a_class_of_its_own_and_off_by_default() -> None:
    limits = make(client_per_minute=5)
    assert admitted(limits, SERVER, asked("introspect")) == 100
    assert admitted(limits, SERVER, asked("issue")) == 5
    assert admitted(limits, SERVER, asked("introspect")) == 100
    limits = make(client_per_minute=5, introspection_per_minute=7)
    assert admitted(limits, SERVER, asked("introspect")) == 7
    assert admitted(limits, SERVER, asked("revoke")) == 5


def test_introspection_of_its_own_tokens_counts_like_any_request_of_a_client() -> None:
    limits = make(client_per_minute=5)
    assert admitted(limits, Client("billing"), asked("introspect"), 3) == 3
    assert admitted(limits, Client("billing"), asked("issue")) == 2


def test_nobody_uses_up_the_limit_of_a_public_client_for_all() -> None:
    public = Client("app", auth_method=ClientAuthMethod.NONE)
    limits = make(client_per_minute=5)
    assert admitted(limits, public, asked(peer="198.51.100.1")) == 5
    assert admitted(limits, public, asked(peer="198.51.100.2")) == 5
    assert admitted(limits, public, asked(peer="2001:db8:1:2::1")) == 5
    assert admitted(limits, public, asked(peer="2001:db8:1:2:ffff::1")) == 0  # the same /64


def test_who_only_names_a_public_client_takes_no_room_of_clients_that_prove_who_they_are() -> None:
    """From many addresses, each with a bucket of its own, fuller than the client's: its bucket stays what it is."""

    class Small:
        def __init__(self, _limit: str) -> None:
            limiter = RateLimiter(max_keys=50)
            self.decide, self.sweep = limiter.retry_after, limiter.sweep

    limits = make(make_limiter=Small, client_per_minute=5)
    assert admitted(limits, Client("billing"), asked(), 4) == 4
    public = Client("app", auth_method=ClientAuthMethod.NONE)
    for number in range(500):
        assert admitted(limits, public, asked(peer=f"198.51.{number >> 8}.{number & 255}")) == 5
    assert admitted(limits, Client("billing"), asked()) == 1


def test_every_refusal_names_its_limit() -> None:
    limits, request = make(failures=2), asked()
    request.client_id = request.named = "billing"
    refusals = [limits.failed(request, invalid_client("wrong_secret")) for _ in range(3)][2:]
    refusals += [limits.in_delay(request, limits.delay_of(request)), limits.no_place(request, Client("billing"))]
    told = [dict(error_answer(refusal).headers) for refusal in refusals]
    assert [headers[b"ratelimit-policy"] for headers in told] == [
        b'"failure";q=2;w=60',
        b'"failure";q=2;w=60',
        b'"secret_check";q=8;qu="concurrent-requests"',
    ]
    assert [headers[b"ratelimit"] for headers in told] == [
        b'"failure";r=0;t=30',
        b'"failure";r=0;t=30',
        b'"secret_check";r=0;t=1',
    ]
    assert [headers[b"retry-after"] for headers in told] == [b"30", b"30", b"1"]


def test_an_attack_on_one_class_starves_no_other() -> None:
    limits = make(failures=10)
    for number in range(1000):
        request = asked(peer=f"198.51.{number % 256}.7")
        request.client_id = request.named = "billing"
        limits.failed(request, invalid_client("wrong_secret"))
    assert admitted(limits, Client("billing"), asked()) == 10


def test_refusals_of_a_client_are_told_as_of_one_row() -> None:
    told = Told()
    limits = make(audit=told, client_per_minute=1)
    admitted(limits, Client("billing"), asked(), 2)
    admitted(limits, Client("billing"), asked(peer="203.0.113.8"), 1)
    admitted(limits, Client("shop"), asked(), 2)
    assert told.limits == [("client", "billing"), ("client", "billing"), ("client", "shop")]


def test_failures_of_an_address_are_told_as_of_one_row_whichever_clients_it_names() -> None:
    """With a row for each client that exists, and one for all others, a refusal's time would tell which there are."""
    told = Told()
    limits = make(audit=told, failures=1)
    for name in (None, "billing", "shop", None):
        request = asked()
        request.client_id, request.named = name, name or "unknown"
        for _ in range(3):
            limits.failed(request, invalid_client("wrong_secret"))
    assert set(told.limits) == {("failure", "203.0.113.7")}


def test_one_ipv6_network_is_told_of_as_one() -> None:
    told = Told()
    limits = make(audit=told, failures=1)
    for host in range(1, 20):
        limits.failed(asked(peer=f"2001:db8::{host:x}"), invalid_client("unknown_client"))
    assert len(told.limits) == 18
    assert len(set(told.limits)) == 1
