"""Every alert has a runbook, of one form; its commands exist and its queries use metrics that exist."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from prometheus_client import Metric

from app.cli import cli
from tests.alerts.promql import Labels, parse, result_labels
from tests.alerts.rule_files import ROOT, RULE_FILES, alerts, external_metrics, rules
from tests.alerts.test_metrics_of_rules import OF_OTHER_SETTINGS
from tests.observability.scraped import scraped_labels

RUNBOOKS = ROOT / "docs/runbooks"
PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.stem != "README")
SECTIONS = ["Meaning", "Impact", "First five minutes", "Decision tree", "Mitigation", "Rollback", "Escalation"]
PROGRAMS = {"auth-service", "curl", "redis-cli", "helm", "kubectl"}
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in found for line in block.splitlines()]


def commands(page: Path) -> list[str]:
    inline = re.findall(r"`((?:auth-service|kubectl|helm|redis-cli|curl) [^`]+)`", page.read_text())
    return blocks(page, "sh") + [" ".join(command.split()) for command in inline]


def test_there_is_one_runbook_for_each_alert() -> None:
    assert {page.stem for page in PAGES} == set(alerts())
    listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert dict(listed) == {name: alert["labels"]["severity"] for name, alert in alerts().items()}


@by_name
def test_a_runbook_has_all_its_parts(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert f"Severity: {alerts()[page.stem]['labels']['severity']}." in text
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.MULTILINE))


@by_name
def test_the_links_of_a_runbook_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([\w./-]+)\)", page.read_text()):
        assert (page.parent / target).is_file()


@by_name
def test_the_commands_of_a_runbook_exist(page: Path) -> None:
    assert commands(page)
    for command in commands(page):
        words = shlex.split(command)
        assert words[0] in PROGRAMS
        if words[0] == "auth-service":
            check_own_command(words[1:])


def check_own_command(words: list[str]) -> None:
    """Assert that the command line knows these words, as far as no file or service is needed to know."""
    command: click.Command = cli
    with click.Context(cli) as context:
        while isinstance(command, click.Group):
            if command.invoke_without_command and (not words or words[0].startswith("-")):
                break
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
        options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_runbooks_begin_with_the_doctor() -> None:
    first = {page.stem: blocks(page, "sh")[0] for page in PAGES}
    assert {name for name, command in first.items() if command != "auth-service doctor"} == {"Watchdog"}


@by_name
def test_the_queries_of_a_runbook_use_what_exists(page: Path, scrape: Mapping[str, Metric]) -> None:
    known: dict[str, Labels] = {**external_metrics(), **OF_OTHER_SETTINGS, **scraped_labels(scrape)}
    for path in RULE_FILES:
        for rule in rules(path):
            if "record" in rule:
                known[rule["record"]] = frozenset({"job", "slo"})
    queries = blocks(page, "promql")
    assert queries
    for query in queries:
        result_labels(parse(query), known)
