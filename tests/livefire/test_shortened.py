"""The rules of live fire are the repository's own: in less time, and otherwise the same."""

import re
from pathlib import Path

import pytest
import yaml

from tests.alerts.promql import parse
from tests.alerts.rule_files import ALERTS, RULE_FILES, alerts, thresholds
from tests.livefire.shortened import (
    OVERRIDES,
    QUICK_ROTATION,
    short_routing,
    short_rules,
    shorten_expression,
    shortened,
)


@pytest.mark.parametrize(
    ("text", "short"), [("2m", "4000ms"), ("30d", "86400000ms"), ("1h", "120000ms"), ("30s", "1000ms")]
)
def test_a_duration_is_divided(text: str, short: str) -> None:
    assert shortened(text) == short


def test_ranges_offsets_and_horizons_are_shortened_and_numbers_are_not() -> None:
    expression = "predict_linear(a[30m], 6 * 3600) > 0.9  # threshold A.ratio\nand b[5m] offset 10m > 300"
    assert shorten_expression(expression, {"A.ratio": "0.9"}) == shorten_expression(expression)
    assert shorten_expression(expression) == (
        "predict_linear(a[60000ms], 720) > 0.9  # threshold A.ratio\nand b[10000ms] offset 20000ms > 300"
    )


def test_overridden_thresholds_are_ones_that_there_are() -> None:
    known = thresholds()
    for name in (name for overrides in OVERRIDES for name in overrides):
        group, _, key = name.partition(".")
        assert key in known[group]


def test_an_overridden_threshold_is_the_only_change() -> None:
    plain, short = short_rules().splitlines(), short_rules(QUICK_ROTATION).splitlines()
    changed = [(old, new) for old, new in zip(plain, short, strict=True) if old != new]
    assert len(changed) == len(QUICK_ROTATION)
    assert all(any(number in new for number in QUICK_ROTATION.values()) for _, new in changed)


def test_every_rule_is_there_and_differs_in_times_and_overridden_numbers_alone() -> None:
    short = [rule for group in yaml.safe_load(short_rules())["groups"] for rule in group["rules"]]
    real = [
        rule
        for path in RULE_FILES
        if path.stem != "kubernetes"
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]
    number = re.compile(r"\d[\d.]*(ms|[smhd]\b)?( \* 3600)?")
    assert len(short) == len(real)
    for ours, theirs in zip(short, real, strict=True):
        parse(ours["expr"])
        assert number.sub("#", ours["expr"]) == number.sub("#", theirs["expr"])
        assert ours.keys() == theirs.keys()
        assert {**ours, "expr": 0, "for": 0} == {**theirs, "expr": 0, "for": 0}


def test_the_routing_is_the_example_but_for_its_waits_and_receivers() -> None:
    urls = {name: f"http://127.0.0.1:1/{name}" for name in ("pager", "tickets", "dead-mans-switch")}
    text = (ALERTS / "examples" / "alertmanager.yaml").read_text()
    short, real = yaml.safe_load(short_routing(text, urls)), yaml.safe_load(text)
    assert short["inhibit_rules"] == real["inhibit_rules"]
    assert [route.get("matchers") for route in short["route"]["routes"]] == [
        route.get("matchers") for route in real["route"]["routes"]
    ]
    assert short["route"]["group_wait"] == "1000ms"


def test_every_alert_is_fired() -> None:
    scenarios = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*_fire.py"))
    kubernetes = {rule["alert"] for rule in _kubernetes()}
    for alert in alerts().keys() - kubernetes:
        assert f'"{alert}"' in scenarios, alert


def _kubernetes() -> list[dict[str, str]]:
    document = yaml.safe_load((ALERTS / "kubernetes.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]
