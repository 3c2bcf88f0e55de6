"""Each alert fires when it should and only then; what it says is whole; every threshold can be replaced."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.alerts.narrowed import TEST_FILES, subjects, write_narrowed
from tests.alerts.rule_files import ALERTS, MARKER, RULE_FILES, alerts, thresholds

RequireProgram = Callable[[str], str]
NO_DATA_IS_ITS_BUSINESS = {"TargetAbsent", "Watchdog"}


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ALERTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_pass_every_lint(require_program: RequireProgram) -> None:
    run(require_program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *map(str, RULE_FILES))


@pytest.mark.parametrize(("path", "subject"), list(subjects()), ids=lambda value: getattr(value, "stem", value))
def test_an_alert_does_what_its_tests_say(
    require_program: RequireProgram, tmp_path: Path, path: Path, subject: str
) -> None:
    run(require_program("promtool"), "test", "rules", str(write_narrowed(path, subject, tmp_path)))


def test_the_test_files_name_their_rules_as_promtool_finds_them() -> None:
    for path in TEST_FILES:
        for file in yaml.safe_load(path.read_text())["rule_files"]:
            assert (path.parent / file).resolve() in RULE_FILES


def test_values_mean_to_a_single_test_what_they_mean_in_the_file(tmp_path: Path) -> None:
    """``0x60`` is sixty zeros, and a number to most readers of YAML."""
    for path, subject in subjects():
        narrowed = write_narrowed(path, subject, tmp_path).read_text()
        for series in (each for test in yaml.safe_load(narrowed)["tests"] for each in test["input_series"]):
            assert isinstance(series["values"], str)
            assert re.search(rf"values: '?{re.escape(series['values'])}(?=['\s}}])", path.read_text())


def test_a_test_of_an_alert_that_does_not_exist_is_found(tmp_path: Path) -> None:
    mistyped = {"name": "Watchdog: fires", "alert_rule_test": [{"alertname": "Wachdog", "exp_alerts": []}]}
    document = {"rule_files": [str(RULE_FILES[0])], "tests": [mistyped]}
    path = tmp_path / "mistyped.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(AssertionError, match="Wachdog"):
        write_narrowed(path, "Watchdog", tmp_path)


def test_the_example_of_alertmanager_is_valid(require_program: RequireProgram) -> None:
    run(require_program("amtool"), "check-config", "examples/alertmanager.yaml")


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_says_all_that_is_needed(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert alert["labels"]["team"] == "auth-service"
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert alert["annotations"]["runbook_url"] == f"https://runbooks.example.com/auth-service/{name}.md"
    assert not alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["description"].endswith(".")


def test_every_alert_has_tests_of_each_kind() -> None:
    titles = {test["name"] for path in TEST_FILES for test in yaml.safe_load(path.read_text())["tests"]}
    for name, alert in alerts().items():
        assert f"{name}: fires" in titles
        if "for" in alert:
            assert f"{name}: not before its time" in titles
        if name not in NO_DATA_IS_ITS_BUSINESS:
            assert {f"{name}: no data", f"{name}: just under the threshold"} <= titles
        if any(function in alert["expr"] for function in ("rate(", "increase(", "ratio_rate")):
            assert f"{name}: a counter starts again" in titles


def test_thresholds_are_where_they_are_listed_and_have_the_listed_value() -> None:
    found: dict[str, dict[str, object]] = {}
    for path in RULE_FILES:
        for match in MARKER.finditer(path.read_text()):
            found.setdefault(match[3], {})[match[4]] = yaml.safe_load(match[1])
    assert found == thresholds()


def test_a_replaced_threshold_is_the_only_change(require_program: RequireProgram, tmp_path: Path) -> None:
    changed = []
    for path in RULE_FILES:
        text = MARKER.sub(lambda match: ("7m" if match[4] == "for" else "0.777") + match[2], path.read_text())
        (tmp_path / path.name).write_text(text)
        changed.append(str(tmp_path / path.name))
        before, after = path.read_text().splitlines(), text.splitlines()
        different = [old for old, new in zip(before, after, strict=True) if old != new]
        assert all("# threshold " in line for line in different)
    run(require_program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *changed)


def test_every_duration_and_number_to_compare_with_is_a_threshold() -> None:
    for name, alert in alerts().items():
        assert ("for" in alert) == ("for" in thresholds().get(name, {}))
