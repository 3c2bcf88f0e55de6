"""Every alert has a runbook, of one form; its commands exist and its queries use metrics that exist."""

import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from prometheus_client import Metric

from app.cli import cli
from tests.alerts.promql import Labels, parse, result_labels, uses
from tests.alerts.rule_files import ALERTS, RULE_FILES, alerts, external_metrics, rules
from tests.alerts.test_metrics_of_rules import OF_OTHER_SETTINGS
from tests.conftest import RequireProgram
from tests.observability.scraped import scraped_labels
from tests.runbooks.kept import PAGE as RUN_PAGE
from tests.runbooks.pages import (
    OF_A_NODE,
    PAGES,
    PROGRAMS,
    RUNBOOKS,
    SECTIONS,
    all_commands,
    blocks,
    commands,
    in_cluster,
    seen_lines,
)

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def test_there_is_one_runbook_for_each_alert() -> None:
    assert {page.stem for page in PAGES} == set(alerts())
    listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert dict(listed) == {name: alert["labels"]["severity"] for name, alert in alerts().items()}


@by_name
def test_a_runbook_has_all_its_parts(page: Path) -> None:
    text = page.read_text()
    assert tuple(re.findall(r"^## (.*)$", text, re.MULTILINE)) == SECTIONS
    assert f"Severity: {alerts()[page.stem]['labels']['severity']}." in text
    assert all(part.strip() for part in re.split(r"^## .*$", text, flags=re.MULTILINE))


@by_name
def test_the_links_of_a_runbook_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([\w./-]+)\)", page.read_text()):
        assert (page.parent / target).is_file()


@by_name
def test_the_commands_of_a_runbook_can_be_typed(page: Path, require_program: RequireProgram) -> None:
    assert commands(page)
    for command in commands(page):
        words = shlex.split(command)
        assert words[0] in PROGRAMS
        subprocess.run([require_program("bash"), "-n", "-c", command], check=True)
        if words[0] == "auth-service":
            check_own_command(words[1:])


def check_own_command(words: list[str]) -> None:
    """Let the command line's own parser read these words; nothing is run. Raises click.UsageError."""
    words = ["2026-01-01T00:00:00Z" if word == "TIME" else word for word in words]
    command: click.Command = cli
    with click.Context(cli) as context:
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            found = command.get_command(context, words.pop(0))
            assert found is not None
            command = found
        command.make_context(command.name, words, parent=context)


def test_every_command_was_run() -> None:
    """``make runbooks`` and ``make e2e PYTEST_ARGS="-k runbooks"`` write the tables."""
    tables = RUN_PAGE.read_text()
    rows = {row.replace("\\|", "|") for row in re.findall(r"^\| `(.*?)` \| ", tables, re.MULTILINE)}
    assert rows == {command for command in all_commands() if not command.startswith(OF_A_NODE)}


@by_name
def test_a_runbook_asks_for_what_its_alert_is_made_of(page: Path) -> None:
    of_alert = {use.metric for use in uses(parse(alerts()[page.stem]["expr"]))}
    asked = {use.metric for query in blocks(page, "promql") for use in uses(parse(query))}
    assert not of_alert or of_alert & asked


OF_LIVE_FIRE = [
    page for page in PAGES if page.stem not in {rule["alert"] for rule in rules(ALERTS / "kubernetes.yaml")}
]


@pytest.mark.parametrize("page", OF_LIVE_FIRE, ids=lambda path: path.stem)
def test_what_a_runbook_shows_is_of_its_own_commands_and_queries(page: Path) -> None:
    """``make live-fire`` writes it."""
    shown = seen_lines(page)
    here = [line for line in blocks(page, "sh") if not in_cluster(line)]
    assert [line[2:] for line in shown if line.startswith("$ ")] == here
    assert [line[2:] for line in shown if line.startswith("> ")] == blocks(page, "promql")


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
