"""Rules of Grafana's dashboard-linter about queries (see :mod:`tests.dashboards.lint`)."""

import re
from collections.abc import Iterator, Mapping

import promql_parser as promql

from tests.dashboards.boards import RATE_INTERVAL, Board, parseable, parsed, targets, variables, walk
from tests.dashboards.logql import LogQLError, parse_logql


def _logql_targets(board: Board) -> Iterator[tuple[str, str]]:
    everywhere = any(variable["query"] == "loki" for variable in variables(board, "datasource"))
    for where, target in targets(board):
        source = target.get("datasource")
        if everywhere or (isinstance(source, Mapping) and source.get("type") == "loki"):
            yield where, target.get("expr", "")


def target_logql(board: Board) -> list[str]:
    """What Loki is asked is LogQL."""
    wrong = []
    for where, expression in _logql_targets(board):
        try:
            parse_logql(expression)
        except LogQLError as error:
            wrong.append(f"{where}: {error}")
    return wrong


def target_logql_auto(board: Board) -> list[str]:
    """What Loki is asked over a range is asked over ``$__auto``."""
    wrong = []
    for where, expression in _logql_targets(board):
        try:
            windows = parse_logql(expression)
        except LogQLError as error:
            windows = [str(error)]
        wrong += [f"{where}: {window}" for window in windows if window != "$__auto"]
    return wrong


def target_promql(board: Board) -> list[str]:
    """What Prometheus is asked is PromQL."""
    wrong = []
    for where, target in targets(board):
        if (where, target.get("expr", "")) in _logql_targets(board):
            continue
        try:
            parsed(target.get("expr", ""))
        except ValueError as error:
            wrong.append(f"{where}: {error}")
    return wrong


def target_rate_interval(board: Board) -> list[str]:
    """Rates are over ``$__rate_interval``, which always holds four scrapes."""
    own = promql.parse_duration(RATE_INTERVAL)
    return [
        f"{where}: {above[-1]}"
        for where, expression in parseable(board)
        for node, above in walk(expression)
        if isinstance(node, promql.MatrixSelector)
        and node.range != own
        and above
        and isinstance(above[-1], promql.Call)
        and above[-1].func.name in {"rate", "irate"}
    ]


def _matched(board: Board, label: str) -> list[str]:
    wrong = []
    for where, expression in parseable(board):
        for node, _ in walk(expression):
            if isinstance(node, promql.VectorSelector):
                found = [(m.op, m.value) for m in node.matchers.matchers if m.name == label]
                if (promql.MatchOp.Re, f"${label}") not in found:
                    wrong.append(f"{where}: {node}")
    return wrong


def target_job(board: Board) -> list[str]:
    """Every selector is bound to the chosen job."""
    return _matched(board, "job")


def target_instance(board: Board) -> list[str]:
    """Every selector is bound to the chosen instance."""
    return _matched(board, "instance")


def target_counter_agg(board: Board) -> list[str]:
    """A counter is shown as its rate or increase; ours is stricter: so are a histogram's three."""
    return [
        f"{where}: {node}"
        for where, expression in parseable(board)
        for node, above in walk(expression)
        if isinstance(node, promql.VectorSelector)
        and re.search(r"_(total|bucket|count|sum)$", str(node.name))
        and not (
            len(above) > 1
            and isinstance(above[-1], promql.MatrixSelector)
            and isinstance(above[-2], promql.Call)
            and above[-2].func.name in {"rate", "irate", "increase"}
        )
    ]
