"""Load test: what k6 makes and sees, and over it what the service tells of the same minutes."""

from tools.dashboards.model import Dashboard, Panel, Query, Row
from tools.dashboards.queries import (
    INTROSPECTED,
    OPERATIONS,
    REQUESTS,
    ROUTES,
    quantile,
    quantiles,
    rate,
    selector,
    summed,
)

RUN = 'testid=~"$testid"'
MEASURED = f'{RUN},measured="yes"'
_RUN_ITSELF = f'{RUN},scenario!="calibration"'
_UNEXPECTED = f'{MEASURED},expected_response="false"'
_MADE = "k6_http_reqs_total"
_DURATION = "k6_http_req_duration"


def _or_none(name: str) -> str:
    """Counts that k6 writes once they happen: 0 until then, as long as the run makes requests.

    What k6 drops in its calibration, at twice the run's rate, is no matter of the run.
    """
    counted = summed("testid", f"increase({selector(f'k6_{name}_total', _RUN_ITSELF)}[$__rate_interval])")
    return f"{counted} or 0 * {summed('testid', rate(_MADE, RUN))}"


_CLIENT = Row(
    "As the client sees it",
    [
        Panel(
            "Requests",
            "Requests a second that k6 made and measures, by endpoint.",
            "reqps",
            [Query(summed("testid, endpoint", rate(_MADE, MEASURED)), "{{testid}} {{endpoint}}")],
        ),
        Panel(
            "Response time",
            "95th and 99th percentile of each endpoint, since the run began.",
            "s",
            [
                Query(
                    f"max by (testid, endpoint) ({selector(f'{_DURATION}_p{q}', MEASURED)})",
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
                    f"({summed('testid', rate(_MADE, _UNEXPECTED))}"
                    f" or 0 * {summed('testid', rate(_MADE, MEASURED))})"
                    f" / ({summed('testid', rate(_MADE, MEASURED))} > 0)",
                    "{{testid}}",
                )
            ],
        ),
        Panel(
            "Answers",
            "Answers a second by status; 0 is no answer.",
            "reqps",
            [Query(summed("testid, status", rate(_MADE, MEASURED)), "{{testid}} {{status}}")],
        ),
        Panel(
            "Virtual users",
            "Those that run. Where they rise while the rate does not, the service is slower than the plan.",
            "short",
            [Query(f"max by (testid) ({selector('k6_vus', RUN)})", "{{testid}}")],
        ),
        Panel(
            "What fails a run at once",
            "Iterations that k6 was too slow for, and wrong answers of the service; both must stay 0.",
            "short",
            [
                Query(_or_none("dropped_iterations"), "dropped {{testid}}"),
                Query(_or_none("wrong_answers"), "wrong {{testid}}"),
            ],
        ),
    ],
)

_SERVICE = Row(
    "Over it, what the service tells",
    [
        Panel(
            "Made and answered",
            "Requests a second that k6 made, and that the service answered; the rest is other callers.",
            "reqps",
            [
                Query(f"sum({rate(_MADE, RUN)})", "made by k6"),
                Query(f"sum({rate(f'{REQUESTS}_count', ROUTES)})", "answered by the service"),
            ],
        ),
        Panel(
            "Client and service, p95",
            "What lies between the two is waiting: in the network, in queues, in the load generator.",
            "s",
            [
                Query(f"max({selector(f'{_DURATION}_p95', MEASURED)})", "k6, since the run began"),
                Query(quantile(0.95, OPERATIONS, "", INTROSPECTED), "introspection, {{job}}"),
                Query(quantile(0.95, REQUESTS, "", ROUTES), "all requests, {{job}}"),
            ],
            "HighResponseTime.seconds",
        ),
        Panel(
            "Event loop lag, p95",
            "How late a timer of the service fires: the waiting that its own clock cannot see.",
            "s",
            quantiles("event_loop_lag_seconds", "instance", of=(0.95,)),
            "HighResponseTime.lagSeconds",
        ),
        Panel(
            "CPU of the event loop",
            "Part of one core, or of the limit below it.",
            "percentunit",
            [
                Query(
                    f"{rate('event_loop_cpu_seconds_total')} / clamp_max({selector('process_cpu_limit_cores')}, 1)",
                    "{{instance}}",
                )
            ],
            "HighCPUUsage.loopRatio",
        ),
        Panel(
            "Memory, part of the limit",
            "At the limit the kernel ends the process.",
            "percentunit",
            [
                Query(
                    f"{selector('process_resident_memory_bytes')} / {selector('process_memory_limit_bytes')}",
                    "{{instance}}",
                )
            ],
            "MemoryNearLimit.ratio",
        ),
        Panel(
            "Refusals",
            "Token operations a second that the service refused or failed, by reason.",
            "ops",
            [Query(summed("reason", rate("token_operation_failures_total")), "{{reason}}")],
        ),
    ],
)

LOAD_TEST = Dashboard(
    "load-test",
    "auth-service / Load test",
    "What k6 makes and sees, and what the service tells of the same minutes.",
    [_CLIENT, _SERVICE],
    "load test",
)
