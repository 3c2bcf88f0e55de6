"""A dashboard as Grafana's JSON (schema version 39, Grafana 10.4 and newer)."""

from typing import Any

from tools.dashboards.model import Dashboard, Panel, Row, threshold
from tools.dashboards.queries import REQUESTS, TARGET, selector
from tools.dashboards.variables import PROMETHEUS, variables

RUNBOOKS = "https://runbooks.example.com/auth-service/"
_HEIGHTS = {"timeseries": 7, "stat": 4, "heatmap": 7}
_COLUMNS = 24


def document(dashboard: Dashboard) -> dict[str, Any]:
    """One dashboard."""
    return {
        "uid": f"auth-service-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["auth-service"],
        "editable": False,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "links": [_other_dashboards()],
        "annotations": {"list": [] if dashboard.variables == "exporters" else [_deploys(), _starts(), _rotations()]},
        "templating": {"list": variables(dashboard.variables)},
        "panels": _panels(dashboard),
    }


def described(panel: Panel) -> str:
    """A panel's description; it names its threshold, by which the chart finds the line that it may have to move."""
    if panel.threshold is None:
        return panel.description
    side = "below" if panel.below else "above"
    return f"{panel.description} Red {side} the threshold {panel.threshold} of the alerts."


def _other_dashboards() -> dict[str, Any]:
    return {
        "title": "auth-service",
        "type": "dashboards",
        "tags": ["auth-service"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }


def _annotation(name: str, colour: str, expression: str, title: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": PROMETHEUS,
        "enable": True,
        "iconColor": colour,
        "expr": expression,
        "step": "30s",
        "titleFormat": title,
    }


def _deploys() -> dict[str, Any]:
    """A version that was not there a minute ago."""
    now = f"count by (job, version) (build_info{{{TARGET}}})"
    before = f"count by (job, version) (build_info{{{TARGET}}} offset 1m)"
    others = f"count by (job) (build_info{{{TARGET}}} offset 1m)"
    expression = f"({now} unless on (job, version) {before}) and on (job) {others}"
    return _annotation("Deploys", "blue", expression, "version {{version}} deployed")


def _starts() -> dict[str, Any]:
    """Times since the start rather than changes of it: a new pod has no value from before."""
    expression = f"time() - {selector('process_start_time_seconds')} < 60"
    return _annotation("Starts", "light-blue", expression, "{{instance}} started")


def _rotations() -> dict[str, Any]:
    """Whoever rotates: the age of what signs falls."""
    age = selector("signing_key_age_seconds", 'state="signing"')
    expression = f"max by (job, algorithm) (resets({age}[1m])) > 0"
    return _annotation("Rotations", "purple", expression, "another {{algorithm}} key signs")


def _panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    y = 0
    for row in dashboard.rows:
        shown.append(_row(row, len(shown) + 1, y))
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > _COLUMNS:
                x, y, height = 0, y + height, 0
            height = max(height, _HEIGHTS[panel.kind])
            position = {"h": _HEIGHTS[panel.kind], "w": panel.width, "x": x, "y": y}
            shown.append(_panel(panel, len(shown) + 1, position))
            x += panel.width
        y += height
    return shown


def _row(row: Row, number: int, y: int) -> dict[str, Any]:
    position = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": position, "panels": []}


def _panel(panel: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": described(panel),
        "datasource": PROMETHEUS,
        "gridPos": position,
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": PROMETHEUS,
                "expr": query.expression,
                "legendFormat": query.legend,
                "exemplar": panel.kind == "timeseries" and f"{REQUESTS}_bucket" in query.expression,
                "format": "heatmap" if panel.kind == "heatmap" else "time_series",
                # A whole range looked at from every point of it would be asked for hundreds of times.
                "range": "$__range" not in query.expression,
                "instant": "$__range" in query.expression,
            }
            for index, query in enumerate(panel.queries)
        ],
    }
    if panel.threshold is not None:
        alert = panel.threshold.partition(".")[0]
        shown["links"] = [{"title": f"Runbook: {alert}", "url": f"{RUNBOOKS}{alert}.md", "targetBlank": True}]
    return shown


def _field(panel: Panel) -> dict[str, Any]:
    low, high = ("red", "green") if panel.below else ("green", "red")
    steps: list[dict[str, Any]] = [{"color": low, "value": None}]
    if panel.threshold is not None:
        steps.append({"color": high, "value": threshold(panel.threshold)})
    elif panel.below:
        steps.append({"color": high, "value": 0})
    field: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if not panel.signed:
        field["min"] = 0
    if panel.kind == "timeseries":
        field["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if panel.threshold is None else "dashed"},
        }
    return field


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value" if panel.threshold or panel.below else "none",
            "graphMode": "area",
            "textMode": "value_and_name" if "{{" in panel.queries[0].legend or len(panel.queries) > 1 else "value",
        }
    if panel.kind == "heatmap":
        return {
            "calculate": False,
            "cellGap": 1,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
            "yAxis": {"unit": panel.unit},
        }
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
