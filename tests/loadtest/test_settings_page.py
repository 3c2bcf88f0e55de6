"""What k6/README.md says a script takes is what the scripts read, and what ``make loadtest`` hands through."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from loadtest.__main__ import main
from loadtest.target import ALL_SCRIPTS, CHOSEN_BY_SCENARIO, SOME_SCRIPTS, given_by
from loadtest.verdict import Exit

K6 = Path(__file__).parents[2] / "k6"
PAGE = (K6 / "README.md").read_text()
NAME = re.compile(r"`([A-Z][A-Z0-9_]+)`")
SET_BY_MAKE = {"BASE_URL", "CLIENT_ID", "CLIENT_SECRET", "REPORT_DIR", "CALIBRATION_URL", "METRICS_URL"}
OF_THE_HOT_CLIENT = {"HOT_CLIENT_ID", "HOT_CLIENT_SECRET"}


def read_by(*scripts: str) -> set[str]:
    """The names of the environment that these scripts read."""
    found = set()
    for path in (path for pattern in scripts for path in K6.glob(pattern)):
        text = path.read_text()
        found |= set(re.findall(r"\b(?:text|textOrFile|positive|choice|count)\('([A-Z][A-Z0-9_]+)'", text))
        found |= set(re.findall(r"__ENV\.([A-Z][A-Z0-9_]+)", text))
    return found


def test_what_all_scripts_take_is_on_the_page_and_handed_through() -> None:
    (sentence,) = re.findall(r"^All take .*?(?=; `make loadtest` hands)", PAGE, re.MULTILINE | re.DOTALL)
    assert set(NAME.findall(sentence)) == set(ALL_SCRIPTS)
    assert read_by("_settings.js") == set(ALL_SCRIPTS) | SET_BY_MAKE
    (set_by_itself,) = re.findall(r"It sets by itself.*?\.\n", PAGE, re.DOTALL)
    assert set(NAME.findall(set_by_itself)) >= SET_BY_MAKE


def test_what_some_scripts_take_is_in_the_table_and_handed_through() -> None:
    taken = read_by("[a-z]*.js", "_pool.js")
    assert taken == set(SOME_SCRIPTS) | set(CHOSEN_BY_SCENARIO) | OF_THE_HOT_CLIENT
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    missing = [name for name in taken if not re.search(rf"\b{name}\b", table)]
    assert missing == []


def test_nothing_else_of_the_environment_reaches_k6() -> None:
    assert given_by({"MAX_VUS": "5", "LIMITERS": "2", "HOME": "x", "STEPS": ""}) == {"MAX_VUS": "5", "LIMITERS": "2"}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("STAGE", "spike", "SCENARIO=spike"),
        ("CHANGE", "failover", "SCENARIO=failover"),
        ("OPERATION", "issue", "SCENARIO=capacity-issue"),
        ("OPERATION", "introspect", r"SCENARIO=capacity\|capacity-issue"),
        ("STAGE", "production", r"SCENARIO=seed\|basic\|stress\|spike\|endurance"),
    ],
)
def test_what_a_scenario_says_is_refused_with_the_scenario_to_choose(name: str, value: str, says: str) -> None:
    with pytest.raises(KeyError, match=rf"{name}={value} is said by the scenario: unset it, and choose {says}\W*$"):
        given_by({name: value})


@pytest.mark.parametrize("command", [("run", "smoke"), ("cluster",), ("guide",), ("changes",), ("sweep",)])
def test_every_command_refuses_it_as_usage(command: tuple[str, ...], tmp_path: Path) -> None:
    done = CliRunner(env={"STAGE": "spike"}).invoke(main, [*command, "--out", str(tmp_path / "report")])
    assert done.exit_code == Exit.USAGE
    assert "SCENARIO=spike" in done.output


def test_the_page_says_what_is_not_handed_through() -> None:
    (sentence,) = re.findall(r"those of the table but .*?:", PAGE, re.DOTALL)
    assert set(NAME.findall(sentence)) == set(CHOSEN_BY_SCENARIO)
