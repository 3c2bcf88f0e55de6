"""PromQL that the panels share. Every selector is bound to the chosen cluster, namespace, job and instance.

A plain scrape gives neither a cluster nor a namespace; "All" stands for ``.*`` there, which also matches their absence.
"""

from tools.dashboards.model import Query

TARGET = 'cluster=~"$cluster",namespace=~"$namespace",job=~"$job",instance=~"$instance"'
WINDOW = "$__rate_interval"

REQUESTS = "http_server_request_duration_seconds"
OPERATIONS = "token_operation_duration_seconds"
ROUTES = 'http_route!~"/health.*|/metrics|/admin.*"'
INTROSPECTED = 'operation="introspect",outcome=~"active|inactive"'
ISSUED = 'operation=~"issue|refresh",outcome="ok"'
GUESSED = 'reason=~"unknown_client|wrong_secret|wrong_method"'


def selector(metric: str, matchers: str = "") -> str:
    """A metric of the chosen targets."""
    return f"{metric}{{{TARGET},{matchers}}}" if matchers else f"{metric}{{{TARGET}}}"


def rate(metric: str, matchers: str = "") -> str:
    """A counter's rate a second."""
    return f"rate({selector(metric, matchers)}[{WINDOW}])"


def increase(metric: str, window: str, matchers: str = "") -> str:
    """By how much a counter rose in a window that the alert looks at, too."""
    return f"increase({selector(metric, matchers)}[{window}])"


def summed(by: str, expression: str) -> str:
    """A sum by labels."""
    return f"sum by ({by}) ({expression})"


def rates(metric: str, by: str, matchers: str = "") -> Query:
    """A counter's rate by labels, which the legend shows."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return Query(summed(by, rate(metric, matchers)), legend)


def ratio(by: str, part: str, whole: str) -> str:
    """The part of a whole, both summed by the same labels; nothing of nothing is 0, not NaN."""
    return f"{summed(by, part)} / ({summed(by, whole)} > 0)"


def quantile(of: float, metric: str, by: str = "", matchers: str = "") -> str:
    """A quantile of a histogram over all chosen targets, or by labels."""
    names = f"job, {by}, le" if by else "job, le"
    return f"histogram_quantile({of}, {summed(names, rate(f'{metric}_bucket', matchers))})"


def quantiles(metric: str, by: str = "", matchers: str = "", of: tuple[float, ...] = (0.5, 0.95, 0.99)) -> list[Query]:
    """Several quantiles."""
    legend = f" {{{{{by}}}}}" if by else ""
    return [Query(quantile(q, metric, by, matchers), f"p{q * 100:g}{legend}") for q in of]


def whole_requests(route: str) -> Query:
    """The p95 of a route's good answers, from arrival to answer: the histogram that names traces (exemplars)."""
    good = f'http_route="{route}",http_response_status_code="200"'
    return Query(quantile(0.95, REQUESTS, "", good), "p95 of the whole request")
