"""The tests of one alert, with the rules that they are about and no others.

promtool evaluates every rule of its files once a minute of every test; all tests over all rules take a minute and
a half of a core, and these a third of that. ``promtool test rules alerts/tests/*.yaml`` stays what it is for users.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.alerts.rule_files import ALERTS

_NAME = re.compile(r"[A-Za-z_:][\w:]*")
_DECIMAL = re.compile(r"[-+]?[0-9]+$")
_INTEGER = "tag:yaml.org,2002:int"


class _Loader(yaml.CSafeLoader):
    """Reads ``0x60``, sixty zeros to promtool, as the text that it is, and not as a hexadecimal number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, _DECIMAL if tag == _INTEGER else pattern) for tag, pattern in resolvers]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
TEST_FILES = sorted((ALERTS / "tests").glob("*.yaml"))


@cache
def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return document


def subjects() -> Iterator[tuple[Path, str]]:
    """What tests are about, which their names begin with: mostly an alert; with the file that they are in."""
    for path in TEST_FILES:
        for subject in dict.fromkeys(_subject(test) for test in _read(path)["tests"]):
            yield path, subject


def write_narrowed(path: Path, subject: str, folder: Path) -> Path:
    """A file for ``promtool test rules``, with its rules beside it.

    Raises AssertionError for a test that asks about an alert which no rule is of: promtool takes it for one that does
    not fire.
    """
    document = _read(path)
    tests = [test for test in document["tests"] if _subject(test) == subject]
    groups = [group for file in document["rule_files"] for group in _read(path.parent / file)["groups"]]
    kept = _closure({name for test in tests for name in _asked(test)}, groups)
    narrowed = [{**group, "rules": [rule for rule in group["rules"] if _name(rule) in kept]} for group in groups]
    narrowed = [group for group in narrowed if group["rules"]]
    _write(folder / "rules.yaml", {"groups": narrowed})
    of_tests = {**document, "rule_files": ["rules.yaml"], "tests": tests}
    if "group_eval_order" in document:
        of_tests["group_eval_order"] = [group["name"] for group in narrowed]
    return _write(folder / "tests.yaml", of_tests)


def _subject(test: dict[str, Any]) -> str:
    name: str = test["name"]
    return name.partition(":")[0]


def _name(rule: dict[str, Any]) -> str:
    name: str = rule.get("alert") or rule["record"]
    return name


def _asked(test: dict[str, Any]) -> Iterator[str]:
    for each in test.get("alert_rule_test", ()):
        yield each["alertname"]
    for each in test.get("promql_expr_test", ()):
        yield from (name for name in _NAME.findall(each["expr"]) if ":" in name)


def _closure(asked: set[str], groups: list[dict[str, Any]]) -> set[str]:
    """The names of the rules asked about, and of those that they are made of."""
    rules: dict[str, list[dict[str, Any]]] = {}
    for group in groups:
        for rule in group["rules"]:
            rules.setdefault(_name(rule), []).append(rule)
    assert asked <= set(rules), f"no rule is of {sorted(asked - set(rules))}"
    kept: set[str] = set()
    waiting = set(asked)
    while waiting:
        name = waiting.pop()
        kept.add(name)
        made_of = {word for rule in rules[name] for word in _NAME.findall(rule["expr"]) if word in rules}
        waiting |= made_of - kept
    return kept


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))
    return path
