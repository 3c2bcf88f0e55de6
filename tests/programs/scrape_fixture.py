"""The scrape of a real service on a real Redis after an exercise run."""

import secrets
from collections.abc import Iterator, Mapping

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.programs.exercise import exercise
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import write_clients
from tests.programs.service_process import ServiceProcess, wait_until

OPENMETRICS = {"accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture(scope="session")
def exercised_service(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceCalls]:
    """A service on Redis that was asked everything once."""
    folder = tmp_path_factory.mktemp("exercised")
    settings = {
        "CLIENTS_FILE": str(write_clients(folder / "clients.yaml")),
        "REDIS_URL": redis_url,
        "REDIS_KEY_PREFIX": f"test-{secrets.token_hex(8)}",
    }
    process = ServiceProcess(folder, settings)
    calls = ServiceCalls(process)
    try:
        exercise(calls)
        wait_until(lambda: calls.metric("active_tokens") > 0, "the live tokens to be counted", seconds=30)
        yield calls
    finally:
        calls.close()
        process.kill()


@pytest.fixture(scope="session")
def scrape(exercised_service: ServiceCalls) -> Mapping[str, Metric]:
    """The families of its scrape by name, without ``_total`` and ``_info``, as OpenMetrics has them."""
    text = httpx.get(f"{exercised_service.process.metrics_url}/metrics", headers=OPENMETRICS).text
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {family.name: family for family in families}
