"""For each numeric threshold: series in which it alone decides, on either side of it.

``EDGES["ALERT.name"]`` makes the series of a test from the value that is compared with the threshold; everything else
in them is far beyond its own threshold. Alerts fire over their thresholds; that of certificates below it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

AT_MINUTES = 240
"""When the alert is looked at; every sample series is as long, one sample a minute."""
AT = AT_MINUTES * 60
JOB = 'job="auth-service"'
ONE = f'{JOB},instance="a"'

Series = Mapping[str, str]
"""Values in promtool's notation by series."""


class Edge(NamedTuple):
    """How a threshold is come near to."""

    series: Callable[[float], Series]
    whole: bool = False
    """It counts: just over it is one more, and at it nothing is said."""
    below: bool = False
    """It fires below its threshold."""


def gauge(value: float) -> str:
    return f"{value!r}x{AT_MINUTES}"


def rising(start: float, per_second: float) -> str:
    return f"{start!r}+{per_second * 60!r}x{AT_MINUTES}"


def counter(per_second: float) -> str:
    return rising(0, per_second)


def changing(times: float) -> str:
    """A gauge that changed so often in the last minutes."""
    return " ".join([f"0x{AT_MINUTES - int(times)}", *(str(number) for number in range(1, int(times) + 1))])


def flapping(times: float) -> str:
    """A gauge that changes so often in each ten minutes."""
    value, values = 0, ["0"]
    for minute in range(AT_MINUTES):
        value ^= minute % 10 < times
        values.append(str(value))
    return " ".join(values)


def histogram(name: str, labels: str, quantile: float, value: float, per_second: float = 100) -> Series:
    """A histogram whose quantile is the value: half-way between its bounds."""
    low = per_second * (quantile - 0.5) / 0.5
    rates = {f"{value * 0.5!r}": low, f"{value * 1.5!r}": per_second, "+Inf": per_second}
    buckets = {f'{name}_bucket{{{labels},le="{bound}"}}': counter(rate) for bound, rate in rates.items()}
    return {**buckets, f"{name}_count{{{labels}}}": counter(per_second)}


def introspections(p95: float, per_second: float = 100) -> Series:
    labels = f'{ONE},operation="introspect",outcome="active"'
    return histogram("token_operation_duration_seconds", labels, 0.95, p95, per_second)


def requests(status: int, per_second: float) -> Series:
    labels = f'{ONE},http_route="/oauth/token",http_response_status_code="{status}"'
    return {f"http_server_request_duration_seconds_count{{{labels}}}": counter(per_second)}


def part(name: str, label: str, values: tuple[str, str], ratio: float, more: str = ONE) -> Series:
    """Two counters; the one with the first value of the label is this part of both."""
    of, rest = values
    return {
        f'{name}{{{more},{label}="{of}"}}': counter(10 * ratio),
        f'{name}{{{more},{label}="{rest}"}}': counter(10 * (1 - ratio)),
    }


def memory(limit: float, per_second: float = 1e4, started: float = 0, tokens_per_second: float = 0) -> Series:
    return {
        f"process_resident_memory_bytes{{{ONE}}}": rising(1e8, per_second),
        f"process_memory_limit_bytes{{{ONE}}}": gauge(limit),
        f"process_start_time_seconds{{{ONE}}}": gauge(started),
        f"active_tokens{{{ONE}}}": rising(0, tokens_per_second),
    }


def cpu(loop: float, process: float) -> Series:
    return {
        f"event_loop_cpu_seconds_total{{{ONE}}}": counter(loop),
        f"process_cpu_seconds_total{{{ONE}}}": counter(process),
        f"process_cpu_limit_cores{{{ONE}}}": gauge(2),
    }


def burns(per_second: float = 1, **rates: float) -> Series:
    """Burn rates over windows; nothing burns over those that are not named."""
    windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
    errors = {
        f'job:auth_service_slo_errors:ratio_rate{window}{{{JOB},slo="availability"}}': gauge(
            0.001 * rates.get(f"r{window}", 0)
        )
        for window in windows
    }
    budget = f'auth_service:slo_error_budget:ratio{{{JOB},slo="availability"}}'
    return {**errors, budget: gauge(0.001), **requests(200, per_second)}


def _predicted(ratio: float) -> Series:
    reached = 1e8 + 1e4 * (AT + 6 * 3600)
    return memory(reached / ratio)


def _plain_count(name: str, window_seconds: float, labels: str = ONE) -> Callable[[float], Series]:
    return lambda value: {f"{name}{{{labels}}}": counter(value / window_seconds)}


def _plain_gauge(name: str, labels: str = ONE) -> Callable[[float], Series]:
    return lambda value: {f"{name}{{{labels}}}": gauge(value)}


def _ago(name: str, labels: str, for_seconds: float) -> Callable[[float], Series]:
    """A moment that was so long ago when the alert began to be pending in time."""
    return lambda value: {f"{name}{{{labels}}}": gauge(AT - for_seconds - value)}


EDGES: Mapping[str, Edge] = {
    "HighResponseTime.seconds": Edge(introspections),
    "HighResponseTime.lagSeconds": Edge(
        lambda value: {**introspections(0.001), **histogram("event_loop_lag_seconds", ONE, 0.95, value)}
    ),
    "HighResponseTime.requestsPerSecond": Edge(lambda value: introspections(1, value)),
    "HighErrorRate.ratio": Edge(lambda value: {**requests(500, 100 * value), **requests(200, 100 * (1 - value))}),
    "HighErrorRate.requestsPerSecond": Edge(lambda value: requests(500, value)),
    "HighErrorRate.errors": Edge(lambda value: {**requests(500, value / 300), **requests(200, 1.1)}),
    "MemoryLeak.ratio": Edge(_predicted),
    "MemoryLeak.bytesPerToken": Edge(lambda value: memory(1e8, value * 25, tokens_per_second=25)),
    "MemoryLeak.ageSeconds": Edge(lambda value: memory(1e8, started=AT - 600 - value)),
    "MemoryNearLimit.ratio": Edge(
        lambda value: {
            f"process_resident_memory_bytes{{{ONE}}}": gauge(100 * value),
            f"process_memory_limit_bytes{{{ONE}}}": gauge(100),
        }
    ),
    "HighCPUUsage.loopRatio": Edge(lambda value: cpu(value, 0)),
    "HighCPUUsage.processRatio": Edge(lambda value: cpu(0, 2 * value)),
    "EventLoopBlocked.seconds": Edge(lambda value: histogram("event_loop_lag_seconds", ONE, 0.99, value)),
    "InstanceRestarting.restarts": Edge(
        lambda value: {f"process_start_time_seconds{{{ONE}}}": changing(value)}, whole=True
    ),
    "ClockSkew.seconds": Edge(lambda value: {f"process_clock_seconds{{{ONE}}}": rising(value, 1)}),
    "ErrorBudgetBurnFast.burnRate1h": Edge(lambda value: burns(r1h=value, r5m=999)),
    "ErrorBudgetBurnFast.burnRate5m": Edge(lambda value: burns(r1h=999, r5m=value)),
    "ErrorBudgetBurnFast.burnRate6h": Edge(lambda value: burns(r6h=value, r30m=999)),
    "ErrorBudgetBurnFast.burnRate30m": Edge(lambda value: burns(r6h=999, r30m=value)),
    "ErrorBudgetBurnFast.requestsPerSecond": Edge(lambda value: burns(value, r1h=999, r5m=999)),
    "ErrorBudgetBurnSlow.burnRate1d": Edge(lambda value: burns(r1d=value, r2h=999)),
    "ErrorBudgetBurnSlow.burnRate2h": Edge(lambda value: burns(r1d=999, r2h=value)),
    "ErrorBudgetBurnSlow.burnRate3d": Edge(lambda value: burns(r3d=value, r6h=999)),
    "ErrorBudgetBurnSlow.burnRate6h": Edge(lambda value: burns(r3d=999, r6h=value)),
    "StoreErrors.ratio": Edge(
        lambda value: {
            f'store_errors_total{{{ONE},backend="redis",kind="full"}}': counter(10 * value),
            f'store_operation_duration_seconds_count{{{ONE},backend="redis",operation="get"}}': counter(10),
        }
    ),
    "StoreSlow.seconds": Edge(
        lambda value: histogram("store_operation_duration_seconds", f'{ONE},backend="redis"', 0.99, value)
    ),
    "StoreMemoryFull.ratio": Edge(
        lambda value: {
            f"store_memory_used_bytes{{{ONE}}}": gauge(100 * value),
            f"store_memory_max_bytes{{{ONE}}}": gauge(100),
        }
    ),
    "StoreFlapping.changes": Edge(
        lambda value: {f'store_connections{{{ONE},state="connected"}}': flapping(value)}, whole=True
    ),
    "CertificateExpiring.seconds": Edge(
        lambda value: {
            f'tls_certificate_expiry_timestamp_seconds{{{ONE},certificate="listener"}}': gauge(AT - 3600 + value)
        },
        below=True,
    ),
    "CacheLeaseLost.ratio": Edge(lambda value: part("token_cache_requests_total", "result", ("bypass", "hit"), value)),
    "RevocationPropagationSlow.seconds": Edge(
        lambda value: histogram("revocation_propagation_seconds", ONE, 0.99, value)
    ),
    "KeyRotationOverdue.seconds": Edge(
        _ago("signing_key_next_rotation_timestamp_seconds", f'{ONE},algorithm="ES256"', 300)
    ),
    "SigningKeyOld.seconds": Edge(_plain_gauge("signing_key_age_seconds", f'{ONE},algorithm="ES256",state="signing"')),
    "KeyRotationFailing.failures": Edge(_plain_count("signing_key_rotations_total", 3600, f'{ONE},result="failed"')),
    "UnknownKid.perSecond": Edge(_plain_count("unknown_kid_total", 1)),
    "ManyRequestsLimited.ratio": Edge(
        lambda value: part(
            "rate_limit_decisions_total", "result", ("limited", "allowed"), value, f'{ONE},class="client"'
        )
    ),
    "RefreshTokenReuseSpike.reuses": Edge(_plain_count("refresh_token_reuse_total", 600)),
    "BruteForce.perSecond": Edge(
        _plain_count("token_operation_failures_total", 1, f'{ONE},operation="issue",reason="wrong_secret"')
    ),
    "TracesDropped.spans": Edge(_plain_count("otlp_dropped_total", 600)),
    "SyntheticProbeFailing.ratio": Edge(
        lambda value: part("synthetic_probe_runs_total", "result", ("failed", "ok"), value)
    ),
    "KeyRotationJobFailing.seconds": Edge(
        _ago("kube_cronjob_status_last_successful_time", 'namespace="n",cronjob="auth-service-rotation"', 300)
    ),
    "PodRestarting.restarts": Edge(
        _plain_count("kube_pod_container_status_restarts_total", 900, 'namespace="n",pod="p",container="auth-service"')
    ),
    "CPUThrottling.ratio": Edge(
        lambda value: {
            f'container_cpu_cfs_{name}_total{{namespace="n",pod="p",container="auth-service"}}': counter(rate)
            for name, rate in (("throttled_periods", 10 * value), ("periods", 10))
        }
    ),
}
