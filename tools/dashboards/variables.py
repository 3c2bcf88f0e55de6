"""Template variables: what a dashboard is looked at through.

Rules:
- A plain scrape gives neither ``cluster`` nor ``namespace``: they begin at All, which is ``.*`` and matches absence.
- ``job`` begins at the first job that exports the service's own metrics, not at All: names such as
  ``process_resident_memory_bytes`` are everybody's.
- Where the series are those of several exporters, all jobs are shown, and their metrics' names are nobody else's.
"""

from collections.abc import Callable
from typing import Any

from tools.dashboards.model import Variables

PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
_OWN = "token_operation_duration_seconds_count"
_EVERYWHERE, _SOMEWHERE = ".*", ".+"


def variables(kind: Variables) -> list[dict[str, Any]]:
    """The list of a dashboard."""
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "regex": ""}
    return [source, *_OF_KIND[kind]()]


def _of_the_service() -> list[dict[str, Any]]:
    return [
        _variable("cluster", _OWN, "", _EVERYWHERE),
        _variable("namespace", _OWN, 'cluster=~"$cluster"', _EVERYWHERE),
        _variable("job", _OWN, 'cluster=~"$cluster",namespace=~"$namespace"', all_by_default=False),
        _variable("instance", _OWN, 'cluster=~"$cluster",namespace=~"$namespace",job=~"$job"'),
    ]


def _of_exporters() -> list[dict[str, Any]]:
    pods = "kube_pod_container_status_restarts_total"
    exported = f'__name__=~"{pods}|container_memory_working_set_bytes",container="auth-service"'
    return [
        _variable("cluster", pods, 'container="auth-service"', _EVERYWHERE),
        _variable("namespace", pods, 'cluster=~"$cluster",container="auth-service"', all_by_default=False),
        _variable("job", "", f'{exported},cluster=~"$cluster",namespace=~"$namespace"'),
        _variable("instance", "", f'{exported},cluster=~"$cluster",namespace=~"$namespace",job=~"$job"'),
    ]


def _of_the_load_test() -> list[dict[str, Any]]:
    both = f'__name__=~"k6_vus|{_OWN}"'
    return [
        _variable("cluster", "", both, _EVERYWHERE),
        _variable("namespace", "", f'{both},cluster=~"$cluster"', _EVERYWHERE),
        _variable("job", "", f'{both},cluster=~"$cluster",namespace=~"$namespace"'),
        _variable("instance", "", f'{both},cluster=~"$cluster",namespace=~"$namespace",job=~"$job"'),
        {**_variable("testid", "k6_vus", 'cluster=~"$cluster",namespace=~"$namespace"'), "label": "Run"},
    ]


_OF_KIND: dict[Variables, Callable[[], list[dict[str, Any]]]] = {
    "service": _of_the_service,
    "exporters": _of_exporters,
    "load test": _of_the_load_test,
}


def _variable(
    name: str, metric: str, matchers: str, all_value: str = _SOMEWHERE, *, all_by_default: bool = True
) -> dict[str, Any]:
    query = f"label_values({metric}{{{matchers}}}, {name})" if matchers else f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": PROMETHEUS,
        "query": query,
        "definition": query,
        "refresh": 2,
        "includeAll": all_by_default,
        "allValue": all_value,
        "multi": True,
        "sort": 1,
        **({"current": {"selected": True, "text": ["All"], "value": ["$__all"]}} if all_by_default else {}),
    }
