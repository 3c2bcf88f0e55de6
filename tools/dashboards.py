#!/usr/bin/env python3
"""Writes dashboards/*.json from the compact description below: run by `make dashboards`; a test compares the files.

python tools/dashboards.py            # write
python tools/dashboards.py --check    # exit 1 if a file is out of date
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "dashboards"
J = 'job=~"$job",instance=~"$instance"'
ROUTES = 'http_route!~"/health.*|/metrics|/admin.*"'
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}


class Query(NamedTuple):
    """One query of a panel and its legend."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """One panel; ``threshold`` is a key of ``alerts/thresholds.yaml``, whose value becomes its red line."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    threshold: str | None = None
    kind: str = "timeseries"


def _quantiles(metric: str, by: str = "", selector: str = "") -> list[Query]:
    labels = f"{J},{selector}" if selector else J
    names = f", {by}" if by else ""
    legend = f" {{{{{by}}}}}" if by else ""
    return [
        Query(
            f"histogram_quantile({q}, sum by (job, le{names}) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))",
            f"p{int(q * 100)}{legend}",
        )
        for q in (0.5, 0.95, 0.99)
    ]


def _rate(metric: str, by: str, selector: str = "") -> Query:
    labels = f"{J},{selector}" if selector else J
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return Query(f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))", legend)


INTROSPECTED = 'operation="introspect",outcome=~"active|inactive"'
REQUESTS = "http_server_request_duration_seconds"
OPERATIONS = "token_operation_duration_seconds"
RUN = 'testid=~"$testid"'
MEASURED = f'{RUN},measured="yes"'

DASHBOARDS: dict[str, tuple[str, list[Panel]]] = {
    "overview": (
        "auth-service / Overview",
        [
            Panel(
                "Error budget left",
                "Part of the 30 days' budget that is left, by objective.",
                "percentunit",
                [Query('job:auth_service_slo_error_budget_left:ratio{job=~"$job"}', "{{slo}}")],
                None,
                "stat",
            ),
            Panel(
                "Burn rate",
                "Budgets burnt at this multiple over the last hour; 1 is what lasts 30 days.",
                "none",
                [
                    Query(
                        'job:auth_service_slo_errors:ratio_rate1h{job=~"$job"} / on (job, slo) '
                        "auth_service:slo_error_budget:ratio",
                        "{{slo}}",
                    )
                ],
                "ErrorBudgetBurnFast.burnRate1h",
            ),
            Panel(
                "Requests",
                "Answered requests a second by route.",
                "reqps",
                [_rate(f"{REQUESTS}_count", "http_route", ROUTES)],
            ),
            Panel(
                "Errors",
                "Part of the requests that were answered with 5xx.",
                "percentunit",
                [
                    Query(
                        f'sum by (job) (rate({REQUESTS}_count{{{J},http_response_status_code=~"5..",{ROUTES}}}'
                        f"[$__rate_interval])) / sum by (job) (rate({REQUESTS}_count{{{J},{ROUTES}}}"
                        "[$__rate_interval]))",
                        "{{job}}",
                    )
                ],
                "HighErrorRate.ratio",
            ),
            Panel(
                "Duration by route",
                "95 of 100 requests are answered within this time.",
                "s",
                _quantiles(REQUESTS, "http_route", ROUTES)[1:2],
            ),
            Panel(
                "Introspection",
                "How long introspections take that succeed.",
                "s",
                _quantiles(OPERATIONS, "", INTROSPECTED),
                "HighResponseTime.seconds",
            ),
            Panel(
                "Event loop lag",
                "How late a timer fires: the waiting that a handler cannot see.",
                "s",
                _quantiles("event_loop_lag_seconds", "instance"),
                "HighResponseTime.lagSeconds",
            ),
            Panel(
                "Synthetic probe",
                "Runs of the service's own probe in ten minutes by result; none where it is off.",
                "short",
                [Query(f"sum by (result) (increase(synthetic_probe_runs_total{{{J}}}[10m]))", "{{result}}")],
            ),
            Panel(
                "Probe duration",
                "How long a run of the probe takes: issue, introspect, revoke, introspect.",
                "s",
                _quantiles("synthetic_probe_duration_seconds"),
            ),
            Panel(
                "Refusals",
                "Refused and failed token operations a second by reason.",
                "ops",
                [_rate("token_operation_failures_total", "operation, reason")],
            ),
        ],
    ),
    "tokens": (
        "auth-service / Tokens",
        [
            Panel(
                "Issued per minute",
                "Access tokens issued a minute by grant and format.",
                "none",
                [
                    Query(
                        f"60 * sum by (grant_type, format) (rate(tokens_issued_total{{{J}}}[$__rate_interval]))",
                        "{{grant_type}} {{format}}",
                    )
                ],
            ),
            Panel(
                "Active tokens",
                "Live opaque access tokens; replicas on one Redis tell the same.",
                "short",
                [Query(f"max by (job) (active_tokens{{{J}}})", "{{job}}")],
                None,
                "stat",
            ),
            Panel(
                "Operations",
                "Token operations a second by outcome.",
                "ops",
                [_rate(f"{OPERATIONS}_count", "operation, outcome")],
            ),
            Panel("Issuance", "How long issuing takes.", "s", _quantiles(OPERATIONS, "", 'operation="issue"')),
            Panel("Revocation", "How long revoking takes.", "s", _quantiles(OPERATIONS, "", 'operation="revoke"')),
            Panel(
                "Refresh token reuse",
                "Refresh tokens that came a second time, in ten minutes.",
                "short",
                [Query(f"sum by (job) (increase(refresh_token_reuse_total{{{J}}}[10m]))", "{{job}}")],
                "RefreshTokenReuseSpike.reuses",
            ),
            Panel(
                "Failed authentications",
                "Client authentications that failed, a second.",
                "ops",
                [
                    _rate(
                        "token_operation_failures_total", "reason", 'reason=~"unknown_client|wrong_secret|wrong_method"'
                    )
                ],
                "BruteForce.perSecond",
            ),
            Panel(
                "Rate limiter",
                "Decisions of the limiter a second.",
                "ops",
                [_rate("rate_limit_decisions_total", "class, result")],
            ),
        ],
    ),
    "stores": (
        "auth-service / Stores and cache",
        [
            Panel(
                "Operations",
                "Store operations a second.",
                "ops",
                [_rate("store_operation_duration_seconds_count", "operation")],
            ),
            Panel(
                "Duration",
                "How long store operations take, waiting included.",
                "s",
                _quantiles("store_operation_duration_seconds", "backend"),
                "StoreSlow.seconds",
            ),
            Panel(
                "Errors",
                "Store operations that failed, a second.",
                "ops",
                [_rate("store_errors_total", "backend, kind")],
            ),
            Panel(
                "Connections",
                "Connections to the store by state.",
                "short",
                [Query(f"sum by (instance, state) (store_connections{{{J}}})", "{{instance}} {{state}}")],
            ),
            Panel("Batch size", "Operations that are sent at once.", "short", _quantiles("store_batch_size")[:2]),
            Panel(
                "Memory of Redis",
                "What Redis uses.",
                "bytes",
                [Query(f"max by (job) (store_memory_used_bytes{{{J}}})", "used")],
            ),
            Panel(
                "Cache", "Lookups in the read cache a second.", "ops", [_rate("token_cache_requests_total", "result")]
            ),
            Panel(
                "Revocation reaches replicas",
                "From publishing a revocation to hearing it.",
                "s",
                _quantiles("revocation_propagation_seconds"),
                "RevocationPropagationSlow.seconds",
            ),
            Panel(
                "Cached tokens",
                "Entries of the read cache.",
                "short",
                [Query(f"max by (instance) (token_cache_entries{{{J}}})", "{{instance}}")],
            ),
            Panel(
                "Lease",
                "1 while the cache may be believed.",
                "short",
                [Query(f"min by (instance) (token_cache_lease_valid{{{J}}})", "{{instance}}")],
            ),
            Panel(
                "Eviction allowed",
                "1 where Redis may throw keys away.",
                "short",
                [Query(f"max by (job) (store_eviction_allowed{{{J}}})", "{{job}}")],
            ),
            Panel(
                "Rate limiter",
                "How long a decision of the limiter takes.",
                "s",
                _quantiles("rate_limit_duration_seconds"),
            ),
            Panel(
                "Degraded",
                "1 while memory stands in for Redis.",
                "short",
                [Query(f"max by (instance) (store_degraded{{{J}}})", "{{instance}}")],
                None,
                "stat",
            ),
        ],
    ),
    "keys": (
        "auth-service / Keys and rotation",
        [
            Panel(
                "Keys",
                "Keys of the ring by state.",
                "short",
                [Query(f"max by (algorithm, state) (signing_keys{{{J}}})", "{{algorithm}} {{state}}")],
            ),
            Panel(
                "Next rotation",
                "Time until another key begins to sign.",
                "s",
                [
                    Query(
                        f"min by (algorithm) (signing_key_next_rotation_timestamp_seconds{{{J}}}) - time()",
                        "{{algorithm}}",
                    )
                ],
                None,
                "stat",
            ),
            Panel(
                "Age",
                "Age of the newest key that signs.",
                "s",
                [Query(f'max by (algorithm) (signing_key_age_seconds{{{J},state="signing"}})', "{{algorithm}}")],
                "SigningKeyOld.seconds",
            ),
            Panel(
                "Rotations",
                "Attempts to rotate in a day by result.",
                "short",
                [Query(f"sum by (result) (increase(signing_key_rotations_total{{{J}}}[1d]))", "{{result}}")],
            ),
            Panel(
                "Unknown keys",
                "JWTs a second that name a key which the ring does not have.",
                "ops",
                [_rate("unknown_kid_total", "job")],
                "UnknownKid.perSecond",
            ),
            Panel(
                "Keys of clients",
                "Sets of keys fetched from where clients publish them, in an hour by result.",
                "short",
                [Query(f"sum by (result) (increase(outgoing_fetches_total{{{J}}}[1h]))", "{{result}}")],
            ),
            Panel(
                "Refused reloads",
                "Configuration reloads that were refused, in an hour.",
                "short",
                [Query(f"sum by (source) (increase(config_reload_failures_total{{{J}}}[1h]))", "{{source}}")],
            ),
        ],
    ),
    "resources": (
        "auth-service / Resources",
        [
            Panel(
                "CPU of the event loop",
                "Part of one core, or of the limit below it.",
                "percentunit",
                [
                    Query(
                        f"rate(event_loop_cpu_seconds_total{{{J}}}[$__rate_interval]) / "
                        f"clamp_max(process_cpu_limit_cores{{{J}}}, 1)",
                        "{{instance}}",
                    )
                ],
                "HighCPUUsage.loopRatio",
            ),
            Panel(
                "CPU of the process",
                "Part of the limit.",
                "percentunit",
                [
                    Query(
                        f"rate(process_cpu_seconds_total{{{J}}}[$__rate_interval]) / process_cpu_limit_cores{{{J}}}",
                        "{{instance}}",
                    )
                ],
                "HighCPUUsage.processRatio",
            ),
            Panel(
                "Memory",
                "Part of the memory limit.",
                "percentunit",
                [Query(f"process_resident_memory_bytes{{{J}}} / process_memory_limit_bytes{{{J}}}", "{{instance}}")],
                "MemoryNearLimit.ratio",
            ),
            Panel(
                "Saturation",
                "99 of 100 probes of the event loop are late by less.",
                "s",
                _quantiles("event_loop_lag_seconds", "instance")[2:],
                "EventLoopBlocked.seconds",
            ),
            Panel("Open files", "Open file descriptors.", "short", [Query(f"process_open_fds{{{J}}}", "{{instance}}")]),
            Panel(
                "Garbage collections",
                "Collections a second by generation.",
                "ops",
                [_rate("python_gc_collections_total", "generation")],
            ),
            Panel(
                "Clock",
                "Difference to the clock of Prometheus.",
                "s",
                [Query(f"abs(process_clock_seconds{{{J}}} - timestamp(process_clock_seconds{{{J}}}))", "{{instance}}")],
                "ClockSkew.seconds",
            ),
            Panel(
                "Lost spans",
                "Spans a second that the collector did not get.",
                "ops",
                [_rate("otlp_dropped_total", "instance")],
            ),
            Panel(
                "Lost audit events",
                "Audit events a second that could not be written.",
                "ops",
                [_rate("audit_events_dropped_total", "instance")],
            ),
            Panel(
                "Versions",
                "Instances by version.",
                "short",
                [Query(f"count by (version) (build_info{{{J}}})", "{{version}}")],
            ),
        ],
    ),
    "kubernetes": (
        "auth-service / Kubernetes",
        [
            Panel(
                "Replicas",
                "Pods now, and as many as there may be.",
                "short",
                [
                    Query('kube_horizontalpodautoscaler_status_current_replicas{namespace=~"$namespace"}', "now"),
                    Query('kube_horizontalpodautoscaler_spec_max_replicas{namespace=~"$namespace"}', "at most"),
                ],
            ),
            Panel(
                "Available",
                "Pods that are available, of those wanted.",
                "short",
                [
                    Query('kube_deployment_status_replicas_available{namespace=~"$namespace"}', "{{deployment}}"),
                    Query('kube_deployment_spec_replicas{namespace=~"$namespace"}', "{{deployment}} wanted"),
                ],
            ),
            Panel(
                "Restarts",
                "Restarts of containers in 15 minutes.",
                "short",
                [
                    Query(
                        'sum by (pod) (increase(kube_pod_container_status_restarts_total{namespace=~"$namespace"}'
                        "[15m]))",
                        "{{pod}}",
                    )
                ],
                "PodRestarting.restarts",
            ),
            Panel(
                "Throttling",
                "Part of the scheduler's periods in which a pod was held back.",
                "percentunit",
                [
                    Query(
                        'sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{namespace=~"$namespace"}'
                        "[$__rate_interval])) / sum by (pod) (rate(container_cpu_cfs_periods_total"
                        '{namespace=~"$namespace"}[$__rate_interval]))',
                        "{{pod}}",
                    )
                ],
                "CPUThrottling.ratio",
            ),
            Panel(
                "Key rotation job",
                "Time since its last success.",
                "s",
                [
                    Query(
                        'time() - max by (cronjob) (kube_cronjob_status_last_successful_time{namespace=~"$namespace"})',
                        "{{cronjob}}",
                    )
                ],
                "KeyRotationJobFailing.seconds",
            ),
        ],
    ),
    "load-test": (
        "auth-service / Load test",
        [
            Panel(
                "Requests",
                "Requests a second that k6 made and measures, by endpoint.",
                "reqps",
                [
                    Query(
                        f"sum by (testid, endpoint) (rate(k6_http_reqs_total{{{MEASURED}}}[$__rate_interval]))",
                        "{{testid}} {{endpoint}}",
                    )
                ],
            ),
            Panel(
                "Response time as the client sees it",
                "95th and 99th percentile of each endpoint, since the run began.",
                "s",
                [
                    Query(
                        f"max by (testid, endpoint) (k6_http_req_duration_p{q}{{{MEASURED}}})",
                        f"p{q} {{{{testid}}}} {{{{endpoint}}}}",
                    )
                    for q in (95, 99)
                ],
            ),
            Panel(
                "Failed requests",
                "Part of the measured requests that were not answered as expected.",
                "percentunit",
                [
                    Query(
                        f'(sum by (testid) (rate(k6_http_reqs_total{{{MEASURED},expected_response="false"}}'
                        f"[$__rate_interval])) or 0 * sum by (testid) (rate(k6_http_reqs_total{{{MEASURED}}}"
                        f"[$__rate_interval]))) / sum by (testid) (rate(k6_http_reqs_total{{{MEASURED}}}"
                        "[$__rate_interval]))",
                        "{{testid}}",
                    )
                ],
            ),
            Panel(
                "Answers",
                "Answers a second by status; 0 is no answer.",
                "reqps",
                [
                    Query(
                        f"sum by (testid, status) (rate(k6_http_reqs_total{{{MEASURED}}}[$__rate_interval]))",
                        "{{testid}} {{status}}",
                    )
                ],
            ),
            Panel(
                "Virtual users",
                "Those that run. Where they rise while the rate does not, the service is slower than the plan.",
                "short",
                [Query(f"max by (testid) (k6_vus{{{RUN}}})", "{{testid}}")],
            ),
            Panel(
                "What fails a run at once",
                "Iterations that k6 was too slow for, and wrong answers of the service; both must stay 0.",
                "short",
                [
                    Query(f"sum by (testid) (increase(k6_{name}_total{{{RUN}}}[$__rate_interval]))", legend)
                    for name, legend in (
                        ("dropped_iterations", "dropped {{testid}}"),
                        ("wrong_answers", "wrong {{testid}}"),
                    )
                ],
            ),
        ],
    ),
}


def document(name: str) -> dict[str, Any]:
    """One dashboard as Grafana's JSON."""
    title, panels = DASHBOARDS[name]
    of_the_service = name not in ("kubernetes", "load-test")
    return {
        "uid": f"auth-service-{name}",
        "title": title,
        "tags": ["auth-service"],
        "editable": False,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "graphTooltip": 1,
        "annotations": {"list": [_deploys(), _rotations()] if of_the_service else []},
        "templating": {"list": _variables(name)},
        "panels": [_panel(panel, number) for number, panel in enumerate(panels)],
    }


def _deploys() -> dict[str, Any]:
    return {
        "name": "Starts",
        "datasource": PROMETHEUS,
        "enable": True,
        "iconColor": "blue",
        "expr": f"changes(process_start_time_seconds{{{J}}}[1m]) > 0",
        "titleFormat": "started {{instance}}",
    }


def _rotations() -> dict[str, Any]:
    return {
        "name": "Rotations",
        "datasource": PROMETHEUS,
        "enable": True,
        "iconColor": "purple",
        "expr": f'increase(signing_key_rotations_total{{{J},result="rotated"}}[1m]) > 0',
        "titleFormat": "keys rotated",
    }


def _variables(name: str) -> list[dict[str, Any]]:
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    if name == "kubernetes":
        return [source, _variable("namespace", "label_values(kube_deployment_spec_replicas, namespace)")]
    if name == "load-test":
        return [source, _variable("testid", "label_values(k6_http_reqs_total, testid)")]
    return [
        source,
        _variable("job", "label_values(token_operation_duration_seconds_count, job)"),
        _variable("instance", 'label_values(token_operation_duration_seconds_count{job=~"$job"}, instance)'),
    ]


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": PROMETHEUS,
        "query": query,
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "allValue": ".+",
        "multi": True,
        "sort": 1,
    }


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    custom: dict[str, Any] = {"lineWidth": 1, "fillOpacity": 5, "showPoints": "never"}
    if panel.threshold is not None:
        steps.append({"color": "red", "value": threshold(panel.threshold)})
        custom["thresholdsStyle"] = {"mode": "line"}
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        defaults["custom"] = custom
    return {
        "id": number + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": PROMETHEUS,
        "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": PROMETHEUS,
                "expr": query.expression,
                "legendFormat": query.legend,
                "exemplar": "_bucket" in query.expression,
                "range": True,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def threshold(key: str) -> float:
    """A threshold of the alerts by ``NAME.KEY``."""
    name, _, field = key.partition(".")
    document: dict[str, dict[str, float]] = yaml.safe_load((ROOT / "alerts/thresholds.yaml").read_text())
    return document[name][field]


def files() -> dict[Path, str]:
    """Every file as it should be."""
    return {
        FOLDER / f"auth-service-{name}.json": json.dumps(document(name), indent=1, ensure_ascii=False) + "\n"
        for name in DASHBOARDS
    }


def main() -> int:
    wanted = files()
    if "--check" in sys.argv:
        return int(any(not path.is_file() or path.read_text() != text for path, text in wanted.items()))
    FOLDER.mkdir(exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
