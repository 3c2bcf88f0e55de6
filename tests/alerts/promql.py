"""Reading PromQL: which metrics and labels an expression uses, and which labels its result has."""

from collections.abc import Iterator, Mapping

import promql_parser as promql

Labels = frozenset[str]


class Use:
    """One selector: its metric and the labels that it is asked for."""

    def __init__(self, metric: str, labels: Labels, values: Mapping[str, str]) -> None:
        self.metric = metric
        self.labels = labels
        self.values = values
        """The labels that are compared for equality, with their values."""


def parse(text: str) -> promql.Expr:
    """The expression's tree. Raises ValueError."""
    return promql.parse(text)


def uses(expression: promql.Expr) -> Iterator[Use]:
    """Every selector of an expression."""
    if isinstance(expression, promql.VectorSelector):
        matchers = expression.matchers.matchers
        equal = {m.name: m.value for m in matchers if m.op == promql.MatchOp.Equal}
        yield Use(str(expression.name), frozenset(m.name for m in matchers), equal)
    for child in children(expression):
        yield from uses(child)


def children(expression: promql.Expr) -> list[promql.Expr]:
    """The expressions that an expression is made of."""
    if isinstance(expression, promql.MatrixSelector):
        return [expression.vector_selector]
    if isinstance(expression, promql.BinaryExpr):
        return [expression.lhs, expression.rhs]
    if isinstance(expression, promql.Call):
        return list(expression.args)
    inner = getattr(expression, "expr", None)
    return [] if inner is None else [inner]


def result_labels(expression: promql.Expr, known: Mapping[str, Labels]) -> Labels:
    """The labels that every series of the result has; ``known`` has the labels of each metric.

    Raises KeyError for a metric that is not known, AssertionError where a label is used that is not there.
    """
    if isinstance(expression, promql.VectorSelector):
        name = str(expression.name)
        labels = known[name]
        wanted = frozenset(m.name for m in expression.matchers.matchers)
        assert wanted <= labels, f"{name} has no {sorted(wanted - labels)}"
        return labels
    if isinstance(expression, promql.AggregateExpr):
        inner = result_labels(expression.expr, known)
        by = frozenset(expression.modifier.labels) if expression.modifier else frozenset[str]()
        assert by <= inner, f"by ({sorted(by - inner)}) is not there: {expression}"
        if str(expression.op) == "count_values":
            assert expression.param is not None
            return by | {expression.param.val}
        return by
    if isinstance(expression, promql.BinaryExpr):
        return _binary(expression, known)
    if isinstance(expression, promql.Call):
        return _call(expression, known)
    if isinstance(expression, promql.NumberLiteral | promql.StringLiteral):
        return frozenset()
    (inner_expression,) = children(expression)
    return result_labels(inner_expression, known)


def _call(call: promql.Call, known: Mapping[str, Labels]) -> Labels:
    arguments = [result_labels(argument, known) for argument in call.args]
    union: Labels = frozenset().union(*arguments)
    text = str(call)
    if text.startswith("absent("):
        return frozenset({"job"})
    if text.startswith("histogram_quantile("):
        assert "le" in union, f"le is dropped: {call}"
        return union - {"le"}
    return union | {call.args[1].val} if text.startswith("label_replace(") else union


def _is_number(expression: promql.Expr) -> bool:
    if isinstance(expression, promql.ParenExpr | promql.UnaryExpr):
        return _is_number(children(expression)[0])
    if isinstance(expression, promql.BinaryExpr):
        return _is_number(expression.lhs) and _is_number(expression.rhs)
    return isinstance(expression, promql.NumberLiteral) or str(expression) == "time()"


def _binary(expression: promql.BinaryExpr, known: Mapping[str, Labels]) -> Labels:
    left, right = result_labels(expression.lhs, known), result_labels(expression.rhs, known)
    if _is_number(expression.lhs):
        return right
    if _is_number(expression.rhs):
        return left
    modifier, operator = expression.modifier, str(expression.op)
    on = frozenset(modifier.matching.labels) if modifier and modifier.matching else None
    if on is not None:
        assert on <= left, f"{sorted(on - left)} is not on the left: {expression}"
        assert on <= right, f"{sorted(on - right)} is not on the right: {expression}"
    elif operator != "or":
        assert left == right, f"without on() the labels must be the same: {sorted(left ^ right)}: {expression}"
    if operator in ("and", "unless"):
        return left
    if operator == "or":
        return left & right
    many_to_one = modifier is not None and modifier.card == promql.VectorMatchCardinality.ManyToOne
    return left if on is None or many_to_one else on
