"""The synthetic probe of a running service."""

import time
from collections.abc import Callable

import pytest

from tests.conftest import StartRedis
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import ServiceProcess, wait_until

CallsOf = Callable[[ServiceProcess], ServiceCalls]


@pytest.mark.parametrize("issuer_path", ["", "/tenant"])
def test_it_runs_by_itself_and_is_no_client_that_others_see(
    start_service: StartService, calls_of: CallsOf, issuer_path: str
) -> None:
    service = calls_of(
        start_service(PROBE_INTERVAL_SECONDS="0.1", EXTERNAL_BASE_URL=f"https://auth.example.com{issuer_path}")
    )
    wait_until(lambda: service.metric("synthetic_probe_runs_total", result="ok") >= 3, "the probe ran three times")
    assert service.metric("synthetic_probe_runs_total", result="failed") == 0
    assert service.metric("synthetic_probe_duration_seconds_count") >= 3
    metadata = service.http.get(f"/.well-known/oauth-authorization-server{issuer_path}").json()
    assert "auth-service:probe" not in metadata["scopes_supported"]


def test_it_fails_while_redis_is_away_and_recovers_by_itself(
    start_service_once: StartService, calls_of: CallsOf, redis_process: StartRedis
) -> None:
    redis = redis_process()
    # Long enough that Redis is gone before the next run, and not in the middle of one.
    settings = {"REDIS_URL": redis.url, "STORE_FALLBACK": "fail", "PROBE_INTERVAL_SECONDS": "1"}
    service = calls_of(start_service_once(**settings))
    wait_until(lambda: service.metric("synthetic_probe_runs_total", result="ok") >= 1, "the probe ran")
    redis.stop()
    wait_until(lambda: service.metric("synthetic_probe_runs_total", result="failed") >= 2, "the probe failed")
    assert "the synthetic probe fails: issuing: answered with the status 503" in service.process.logs
    redis.restart()
    wait_until(lambda: "the synthetic probe succeeds again" in service.process.logs, "the probe succeeded again")


def test_without_the_setting_there_is_none(start_service_once: StartService, calls_of: CallsOf) -> None:
    service = calls_of(start_service_once())
    time.sleep(0.3)
    assert service.metric("synthetic_probe_runs_total", result="ok") == 0
