"""The service's own figures before and after a run."""

import urllib.request
from collections.abc import Mapping
from http.client import HTTPException

import msgspec
from prometheus_client.parser import text_string_to_metric_families

Series = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
"""Values by the sample's name and its sorted labels."""


def fetch(url: str) -> str:
    """The text of ``/metrics``. Raises OSError."""
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url} is not an http URL")
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - the scheme was looked at
            text: str = response.read().decode()
            return text
    except HTTPException as error:
        raise OSError(f"{url} sent no whole answer: {error!r}") from error


def parse(text: str) -> Series:
    """The samples of a scrape."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Usage(msgspec.Struct, frozen=True):
    """What the service took between two scrapes."""

    cpu_cores: float | None
    """CPU seconds for each second; None where the service tells none, as on a system without /proc."""
    resident_before_bytes: float | None
    resident_after_bytes: float | None
    limiter_p99_ms: float | None
    """The 99th percentile of a rate limiter's decision (upper end of its bucket); None where none was measured."""


def usage(before: Series, after: Series, seconds: float) -> Usage:
    """The difference of two scrapes that are ``seconds`` apart."""
    cpu = [plain(series, "process_cpu_seconds_total") for series in (before, after)]
    return Usage(
        None if cpu[0] is None or cpu[1] is None else (cpu[1] - cpu[0]) / seconds,
        plain(before, "process_resident_memory_bytes"),
        plain(after, "process_resident_memory_bytes"),
        _quantile_ms(before, after, "rate_limit_duration_seconds", 0.99),
    )


def plain(series: Series, name: str) -> float | None:
    """The value of a series without labels; None where there is none, which is not 0."""
    return series.get((name, ()))


def _quantile_ms(before: Series, after: Series, name: str, quantile: float) -> float | None:
    """The upper end of the bucket that holds the quantile, in milliseconds; None without observations."""
    buckets: dict[float, float] = {}
    for (sample, labels), value in after.items():
        if sample == f"{name}_bucket":
            bound = float(dict(labels)["le"])
            buckets[bound] = buckets.get(bound, 0.0) + value - before.get((sample, labels), 0.0)
    total = buckets.get(float("inf"), 0.0)
    if total <= 0:
        return None
    return next(bound for bound in sorted(buckets) if buckets[bound] >= quantile * total) * 1000
