"""Overview: the objectives first, then requests, errors and durations, then what saturates and refuses."""

from tools.dashboards.model import Dashboard, Panel, Query, Row
from tools.dashboards.queries import (
    INTROSPECTED,
    ISSUED,
    OPERATIONS,
    REQUESTS,
    ROUTES,
    increase,
    quantile,
    quantiles,
    rate,
    rates,
    ratio,
    selector,
    whole_requests,
)

_COUNT = f"{REQUESTS}_count"
_FAILED = f'http_response_status_code=~"5..",{ROUTES}'


def _burn(window: str) -> list[Query]:
    metric = f"instance:auth_service_slo_burn_rate:ratio_rate{window}"
    return [Query(f"max by (slo) ({selector(metric)})", "{{slo}}")]


_OBJECTIVES = Row(
    "Objectives over 30 days",
    [
        Panel(
            "Error budget left",
            "Part of the 30 days' budget that is left, by objective (docs/slo.md); below 0 it is overdrawn.",
            "percentunit",
            [Query(f"min by (slo) ({selector('instance:auth_service_slo_error_budget_left:ratio')})", "{{slo}}")],
            kind="stat",
            width=24,
            below=True,
            signed=True,
        ),
        Panel(
            "Burn rate, 1 h",
            "How many times faster than allowed the budget went in the last hour; 1 is what lasts 30 days.",
            "none",
            _burn("1h"),
            "ErrorBudgetBurnFast.burnRate1h",
        ),
        Panel(
            "Burn rate, 6 h",
            "The same over six hours: what burns more slowly, for longer.",
            "none",
            _burn("6h"),
            "ErrorBudgetBurnFast.burnRate6h",
        ),
        Panel(
            "Burn rate, 1 d",
            "The same over a day: what makes a ticket, not a page.",
            "none",
            _burn("1d"),
            "ErrorBudgetBurnSlow.burnRate1d",
        ),
    ],
)

_RED = Row(
    "Requests, errors, duration",
    [
        Panel(
            "Request rate",
            "Answered requests a second, health, metrics and admin left out.",
            "reqps",
            [Query(f"sum({rate(_COUNT, ROUTES)})", "requests")],
            kind="stat",
            width=6,
        ),
        Panel(
            "Error ratio",
            "Part of the requests that were answered with 5xx, the deliberate 503s included.",
            "percentunit",
            [Query(ratio("job", rate(_COUNT, _FAILED), rate(_COUNT, ROUTES)), "{{job}}")],
            "HighErrorRate.ratio",
            "stat",
            width=6,
        ),
        Panel(
            "Introspection p95",
            "95 of 100 introspections that succeed take less.",
            "s",
            [Query(quantile(0.95, OPERATIONS, "", INTROSPECTED), "{{job}}")],
            "HighResponseTime.seconds",
            "stat",
            width=6,
        ),
        Panel(
            "Instances",
            "Targets that Prometheus reaches, and all that it knows.",
            "short",
            [Query(f"sum({selector('up')})", "up"), Query(f"count({selector('up')})", "known")],
            kind="stat",
            width=6,
        ),
        Panel(
            "Requests by route",
            "Answered requests a second.",
            "reqps",
            [rates(_COUNT, "http_route", ROUTES)],
            stacked=True,
        ),
        Panel(
            "Errors by route",
            "Part of each route's requests that were answered with 5xx.",
            "percentunit",
            [Query(ratio("http_route", rate(_COUNT, _FAILED), rate(_COUNT, ROUTES)), "{{http_route}}")],
            "HighErrorRate.ratio",
        ),
        Panel(
            "Duration by route, p95",
            "95 of 100 requests are answered within this time, from their arrival in the handler.",
            "s",
            quantiles(REQUESTS, "http_route", ROUTES, (0.95,)),
        ),
        Panel(
            "Answers by status",
            "Answered requests a second by HTTP status.",
            "reqps",
            [rates(_COUNT, "http_response_status_code", ROUTES)],
            stacked=True,
        ),
        Panel(
            "Introspection",
            "How long introspections take that succeed.",
            "s",
            [*quantiles(OPERATIONS, "", INTROSPECTED), whole_requests("/oauth/introspect")],
            "HighResponseTime.seconds",
        ),
        Panel(
            "Issuance",
            "How long it takes to issue or refresh a token.",
            "s",
            [*quantiles(OPERATIONS, "", ISSUED), whole_requests("/oauth/token")],
        ),
    ],
)

_SATURATION = Row(
    "Saturation and refusals",
    [
        Panel(
            "Event loop lag",
            "How late a timer fires: the waiting that a handler's own clock cannot see.",
            "s",
            quantiles("event_loop_lag_seconds", "instance", of=(0.95,)),
            "HighResponseTime.lagSeconds",
        ),
        Panel(
            "Refusals",
            "Token operations a second that were refused or failed, by reason.",
            "ops",
            [rates("token_operation_failures_total", "operation, reason")],
        ),
        Panel(
            "Synthetic probe",
            "Part of the service's own probe runs that failed, over ten minutes; empty where it is off.",
            "percentunit",
            [
                Query(
                    ratio(
                        "job",
                        increase("synthetic_probe_runs_total", "10m", 'result="failed"'),
                        increase("synthetic_probe_runs_total", "10m"),
                    ),
                    "{{job}}",
                )
            ],
            "SyntheticProbeFailing.ratio",
        ),
        Panel(
            "Duration of the probe",
            "How long a run of the service's own probe takes: issue, introspect, revoke, introspect.",
            "s",
            quantiles("synthetic_probe_duration_seconds"),
        ),
        Panel(
            "Limited requests",
            "Requests a second that were answered with 429, by class of request.",
            "reqps",
            [rates("rate_limit_decisions_total", "class", 'result="limited"')],
        ),
        Panel(
            "Store errors",
            "What the store did not do, and connections that failed, a second.",
            "ops",
            [rates("store_errors_total", "kind")],
        ),
    ],
)

OVERVIEW = Dashboard(
    "overview",
    "auth-service / Overview",
    "Is the service well: objectives, requests, errors, durations, and what saturates or refuses.",
    [_OBJECTIVES, _RED, _SATURATION],
)
