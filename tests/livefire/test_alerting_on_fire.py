"""What only long watching shows, and alerting itself; every query of the runbooks."""

import secrets

import pytest

from app.model.tokens import TokenKind
from app.protocol.opaque_token import new_tag, new_token
from tests.conftest import StartRedis
from tests.livefire.conftest import CableTo, Range, Repeatedly
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC
from tests.programs.service_process import wait_until
from tests.runbooks.pages import PAGES, blocks

pytestmark = [pytest.mark.live_fire, pytest.mark.timeout(900)]


def test_a_part_of_the_introspections_is_slow(
    firing_range: Range, redis_process: StartRedis, cable_to: CableTo, repeatedly: Repeatedly
) -> None:
    cable = cable_to(redis_process().port)
    calls = ServiceCalls(firing_range.start(REDIS_URL=cable.url))
    cached = calls.access_token(BASIC)

    def ask() -> None:
        """Four that the cache answers; one that only Redis can."""
        for _ in range(4):
            calls.introspect(BASIC, cached)
        calls.introspect(BASIC, new_token(TokenKind.ACCESS, new_tag(secrets.token_bytes), secrets.token_bytes))

    stop = repeatedly(ask, 0.005)
    with firing_range.incident(
        "Redis answers 55 ms late, one introspection in five waits for it", "ErrorBudgetBurnSlow"
    ):
        cable.delay_seconds = 0.055
    assert firing_range.monitoring.life("ErrorBudgetBurnFast").firing is None
    cable.delay_seconds = 0.0
    firing_range.over()
    stop()
    calls.close()


def test_the_dead_mans_switch_is_told_until_alerting_itself_fails(firing_range: Range) -> None:
    firing_range.start()
    firing_range.quiet()
    told = firing_range.monitoring.notifications

    def signs_of_life() -> int:
        return sum(each.receiver == "dead-mans-switch" and each.firing == ("Watchdog",) for each in told)

    with firing_range.incident("Prometheus is killed", "Watchdog"):
        wait_until(lambda: signs_of_life() >= 3, "three signs of life", seconds=60)
    firing_range.monitoring.count_from_now()
    firing_range.monitoring.lose_prometheus()
    firing_range.monitoring.await_end_at_alertmanager("Watchdog", 60)
    firing_range.over()
    assert {each.firing for each in told if each.receiver == "dead-mans-switch"} <= {("Watchdog",), ()}
    count = signs_of_life()
    with pytest.raises(AssertionError, match="another sign"):
        wait_until(lambda: signs_of_life() > count, "another sign of life", seconds=10)


def test_every_query_of_the_runbooks_runs(firing_range: Range) -> None:
    firing_range.start()
    firing_range.traffic()
    firing_range.quiet()
    queries = {query for page in PAGES for query in blocks(page, "promql")}
    assert len(queries) > 25
    for query in queries:
        firing_range.monitoring.query(query)
