"""A dashboard's JSON as tests look at it: its variables, its panels, and the expressions of its queries."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import promql_parser as promql

from tests.alerts.promql import children

Board = Mapping[str, Any]
RATE_INTERVAL = "1d7h3m11s"
"""Stands for ``$__rate_interval`` while an expression is parsed: nobody writes such a window himself."""
_SHOWS_FIGURES = frozenset({"stat", "singlestat", "graph", "table", "timeseries", "gauge", "heatmap"})


def panels(board: Board) -> Iterator[Mapping[str, Any]]:
    """Every panel that shows figures, those inside collapsed rows included."""
    for panel in board["panels"]:
        for each in (panel, *panel.get("panels", ())):
            if each["type"] in _SHOWS_FIGURES:
                yield each


def targets(board: Board) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every query, with where it is."""
    for panel in panels(board):
        for number, target in enumerate(panel.get("targets") or ()):
            yield f"{panel.get('title')}, query {number}", target


def parsed(expression: str) -> promql.Expr:
    """PromQL with Grafana's variables. Raises ValueError."""
    for name, window in (("$__rate_interval", RATE_INTERVAL), ("$__range", "1h"), ("$__interval", "30s")):
        expression = expression.replace(f"[{name}]", f"[{window}]")
    return promql.parse(expression)


def parseable(board: Board) -> Iterator[tuple[str, promql.Expr]]:
    """Every query that is PromQL at all; that all are is a rule of its own."""
    for where, target in targets(board):
        try:
            yield where, parsed(target.get("expr", ""))
        except ValueError:
            continue


def walk(node: promql.Expr, above: Sequence[promql.Expr] = ()) -> Iterator[tuple[promql.Expr, Sequence[promql.Expr]]]:
    """Every part of an expression with what it stands in, the nearest last."""
    yield node, above
    for child in children(node):
        yield from walk(child, (*above, node))


def variables(board: Board, kind: str) -> list[Mapping[str, Any]]:
    return [variable for variable in board["templating"]["list"] if variable["type"] == kind]


def uid(of: Mapping[str, Any]) -> str:
    source = of.get("datasource")
    return str(source.get("uid")) if isinstance(source, Mapping) else str(source)
