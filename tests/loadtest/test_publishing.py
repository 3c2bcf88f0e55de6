"""What runs leave in the documentation."""

import json
from pathlib import Path

import pytest

from loadtest import publishing
from loadtest.verdict import EndpointFigures, Verdict

PAGE = "# Page\n<!-- runs: begin (python -m loadtest) -->\nold\n<!-- runs: end -->\nrest\n"
FIGURES = EndpointFigures("introspect", 300_000, 0.00001, 0.2, 0.9, 2.5, 30)
CAPACITY = Verdict(
    "introspections",
    "local",
    "generator limited",
    60,
    (FIGURES,),
    generator={"requests_per_second": 8000.0, "needed": 10_000},
)


def test_a_block_is_made_anew_and_the_rest_is_left() -> None:
    filled = publishing.fill(PAGE, "runs", "new\n\n")
    assert filled == PAGE.replace("old", "new")
    assert publishing.fill(filled, "runs", "new") == filled


@pytest.mark.parametrize("page", ["# Page\n", PAGE.replace("<!-- runs: end -->", ""), PAGE.replace("runs", "others")])
def test_a_page_without_the_block_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="runs"):
        publishing.fill(page, "runs", "new")


def test_a_run_is_a_row_with_its_rate_and_what_k6_could_do() -> None:
    table = publishing.runs_table([CAPACITY])
    assert "| introspections | 60 | introspect | 5,000 | 300,000 | 0.001% |" in table
    assert table.endswith("| 8,000/s | generator limited |")


def test_runs_are_read_from_their_folders(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    report = {"scenario": "smoke", "run_id": "1", "verdict": "pass", "seconds": 10, "generator": None, "steps": []}
    endpoint = {"endpoint": "issue", "requests": 50, "failed": 0, "p50_ms": 1, "p95_ms": 2, "p99_ms": 3, "max_ms": 4}
    (tmp_path / "report.json").write_text(json.dumps(report | {"endpoints": [endpoint]}))
    publishing.publish_runs("runs", [tmp_path], tmp_path / "page.md")
    assert "| smoke | 10 | issue | 5 | 50 | 0.000% |" in (tmp_path / "page.md").read_text()
