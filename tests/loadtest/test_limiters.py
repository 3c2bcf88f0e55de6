"""How many processes count for themselves, as the Job of a hot client is told."""

from typing import Any

import pytest

from loadtest.limiters import ready, told


def pod(status: str, **metadata: str) -> dict[str, Any]:
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": status}]}}


def job(*values: str) -> dict[str, Any]:
    env = [{"name": "BASE_URL", "value": "http://x"}, *({"name": "LIMITERS", "value": value} for value in values)]
    return {"spec": {"template": {"spec": {"containers": [{"name": "k6", "env": env}]}}}}


def test_pods_count_that_are_ready_and_stay() -> None:
    new: dict[str, Any] = {"metadata": {}, "status": {}}
    leaving = pod("True", deletionTimestamp="2026-01-01T00:00:00Z")
    assert ready({"items": [pod("True"), pod("True"), pod("False"), new, leaving]}) == 2


@pytest.mark.parametrize(
    ("values", "pods", "becomes"),
    [
        (("10",), 3, ("3",)),
        (("1",), 3, ("1",)),
        (("10", "4"), 3, ("10", "4")),
        (("10",), 0, ("10",)),
        ((), 3, ()),
    ],
    ids=["as many as may be", "one counts for all", "given by hand", "none is seen", "not about it"],
)
def test_the_job_is_told_of_the_pods_that_there_are(values: tuple[str, ...], pods: int, becomes: tuple[str]) -> None:
    assert told(job(*values), pods) == job(*becomes)
