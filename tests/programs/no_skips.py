"""With ``CI=true`` a skipped test is a failed one.

On a developer's machine a test whose program is missing is skipped and says how to get it. CI has everything, so a
skip there is a test that silently stopped testing. Targets of their own are deselected by marker, which is no skip.
"""

import os
from collections.abc import Generator

import pytest

REFUSAL = "skipped, and with CI=true nothing may be skipped: "


def _skips_are_failures() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true"}


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # A skip is reported as (file, line, reason); a skipped module may carry any object instead.
    longrepr = report.longrepr
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and _skips_are_failures():
        report.longrepr = REFUSAL + _reason(report)
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
