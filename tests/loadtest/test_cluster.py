"""A run in a cluster: what is fetched of it, out of the pod's log, and what becomes of the release."""

import json
from pathlib import Path

from loadtest.cluster import write_reports


def test_the_reports_are_taken_out_of_the_log(tmp_path: Path) -> None:
    reports = {"report.md": "# fine\n", "junit.xml": "<testsuite/>\n"}
    output = f"running\n{json.dumps({'reports': reports}, separators=(',', ':'))}\n" + '{"scenario":"smoke"}\n'
    assert write_reports(output, tmp_path) == ("report.md", "junit.xml")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == reports


def test_a_report_stays_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    names = ("../outside", "/outside", "a/b", "..", ".", "")
    assert write_reports(json.dumps({"reports": dict.fromkeys(names, "x")}, separators=(",", ":")), folder) == ()
    assert [path.name for path in tmp_path.rglob("*")] == ["report"]


def test_a_line_that_is_no_report_is_left(tmp_path: Path) -> None:
    assert write_reports('{"reports":[1]}\n{"reports":{"a":\n', tmp_path) == ()
