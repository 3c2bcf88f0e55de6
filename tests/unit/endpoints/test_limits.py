"""The rate limit of a client: which number counts, and what a client over it is told."""

import pytest

from app.endpoints.limits import ClientLimits
from app.model.clients import Client
from app.observability.metrics import Metrics
from app.protocol.errors import ErrorCode, ProtocolError
from app.ratelimit.limiter import RateLimiter


def admitted(per_minute: int | None, default: int, requests: int = 100) -> int:
    limits = ClientLimits(RateLimiter(), default, Metrics(), lambda: 1000.0)
    client = Client("billing", rate_limit_per_minute=per_minute)
    for passed in range(requests):
        try:
            limits.admit(client)
        except ProtocolError:
            return passed
    return requests


@pytest.mark.parametrize(
    ("per_minute", "default", "expected"),
    [(None, 10, 10), (5, 10, 5), (20, 10, 20), (None, 0, 100), (0, 10, 100), (5, 0, 5)],
)
def test_the_clients_own_limit_counts_before_the_services(per_minute: int | None, default: int, expected: int) -> None:
    assert admitted(per_minute, default) == expected


@pytest.mark.parametrize(("per_minute", "retry_after"), [(1, 60), (7, 9), (60, 1), (6000, 1)])
def test_a_client_over_its_limit_is_told_whole_seconds(per_minute: int, retry_after: int) -> None:
    metrics = Metrics()
    limits = ClientLimits(RateLimiter(), per_minute, metrics, lambda: 1000.0)
    for _ in range(per_minute):
        limits.admit(Client("billing"))
    with pytest.raises(ProtocolError) as raised:
        limits.admit(Client("billing"))
    assert (raised.value.error, raised.value.reason) == (ErrorCode.SLOW_DOWN, "rate_limited")
    assert raised.value.retry_after_seconds == retry_after
    limits.admit(Client("other"))
    for result, count in (("allowed", per_minute + 1), ("limited", 1)):
        labels = {"class": "client", "result": result}
        assert metrics.registry.get_sample_value("rate_limit_decisions_total", labels) == count
