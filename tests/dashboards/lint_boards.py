"""Rules of Grafana's dashboard-linter about variables and panels (see :mod:`tests.dashboards.lint`)."""

import re

from tests.dashboards.boards import Board, panels, parsed, targets, uid, variables

UNITS = frozenset(
    [
        *("none", "string", "short", "percent", "percentunit", "hex", "sci", "locale", "hertz"),
        *("bytes", "decbytes", "bits", "decbits", "Bps", "binBps", "bps", "binbps", "pps"),
        *("ns", "µs", "ms", "s", "m", "h", "d", "dtdurations", "dtdurationms", "dateTimeAsIso", "dateTimeFromNow"),
        *("cps", "ops", "reqps", "rps", "wps", "iops", "cpm", "opm", "rpm", "wpm"),
        *("bool", "bool_yes_no", "bool_on_off"),
    ]
)
"""Of the units in Grafana's ``valueFormats/categories.ts`` those that a service is measured in: ours is stricter."""


def template_datasource(board: Board) -> list[str]:
    """There is a variable for the data source, with the name and label that people know."""
    sources = variables(board, "datasource")
    if not sources:
        return ["there is no variable for the data source"]
    wrong = []
    for source in sources:
        kind = source["query"].lower()
        names, labels = {f"{kind}_datasource"}, {f"{kind.title()} data source"}
        if len(sources) == 1:
            names.add("datasource")
            labels.add("Data source")
        if source["name"] not in names:
            wrong.append(f"the data source is called {source['name']}")
        if source.get("label") not in labels:
            wrong.append(f"the data source is labelled {source.get('label')}")
    return wrong


def _template(board: Board, name: str) -> list[str]:
    found = [variable for variable in board["templating"]["list"] if variable["name"] == name]
    if not found:
        return [f"there is no variable {name}"]
    (variable,) = found
    wrong = []
    if uid(variable) not in {"$datasource", "${datasource}", "$prometheus_datasource", "${prometheus_datasource}"}:
        wrong.append(f"{name} asks {uid(variable)}")
    if variable["type"] != "query":
        wrong.append(f"{name} is a {variable['type']}")
    if variable.get("label") != name.title():
        wrong.append(f"{name} is labelled {variable.get('label')}")
    if variable.get("multi") is not True:
        wrong.append(f"{name} takes one value only")
    if variable.get("allValue") != ".+":
        wrong.append(f"{name} says {variable.get('allValue')} for all")
    return wrong


def template_job(board: Board) -> list[str]:
    """The job can be chosen."""
    return _template(board, "job")


def template_instance(board: Board) -> list[str]:
    """The instance can be chosen."""
    return _template(board, "instance")


def template_label_promql(board: Board) -> list[str]:
    """The queries of variables are functions of the data source over PromQL."""
    wrong = []
    for variable in variables(board, "query"):
        query = variable["query"] if isinstance(variable["query"], str) else variable["query"]["query"]
        call = re.fullmatch(r"([a-z_]+)\((.+)\)", query)
        if call is None:
            wrong.append(f"{variable['name']}: no function of the data source: {query}")
        elif call[1] not in {"label_names", "label_values", "metrics", "query_result"}:
            wrong.append(f"{variable['name']}: no function {call[1]}")
        else:
            argument = re.sub(r", *\w+$", "", call[2]) if call[1] == "label_values" else call[2]
            try:
                parsed(argument)
            except ValueError as error:
                wrong.append(f"{variable['name']}: {error}")
    return wrong


def template_on_time_change_reload(board: Board) -> list[str]:
    """Variables are asked for anew when the time range changes (refresh 2)."""
    return [f"{v['name']} refreshes {v.get('refresh')}" for v in variables(board, "query") if v.get("refresh") != 2]


def uneditable_dashboard(board: Board) -> list[str]:
    """Nobody edits what the next installation overwrites."""
    return [] if board.get("editable") is False else ["it is editable"]


def panel_datasource(board: Board) -> list[str]:
    """Panels ask the data source that was chosen; ours is stricter: their queries, too."""
    allowed = {form.format(v["name"]) for v in variables(board, "datasource") for form in ("${}", "${{{}}}")}
    asked = [(str(panel.get("title")), panel) for panel in panels(board)] + list(targets(board))
    return [f"{where} asks {uid(of)}" for where, of in asked if uid(of) not in allowed]


def panel_title_description(board: Board) -> list[str]:
    """Panels have a title and say what they show."""
    return [
        f"panel {panel['id']} has no {part}"
        for panel in panels(board)
        for part in ("title", "description")
        if not panel.get(part)
    ]


def panel_units(board: Board) -> list[str]:
    """Panels have a unit that Grafana knows."""
    wrong = []
    for panel in panels(board):
        field = panel.get("fieldConfig", {})
        properties = [each for override in field.get("overrides", ()) for each in override["properties"]]
        units = [field.get("defaults", {}).get("unit")] + [p["value"] for p in properties if p["id"] == "unit"]
        wrong += [f"{panel.get('title')} has the unit {unit}" for unit in units if unit not in UNITS]
    return wrong


def panel_no_targets(board: Board) -> list[str]:
    """Panels ask something."""
    return [f"{panel.get('title')} asks nothing" for panel in panels(board) if not panel.get("targets")]
