"""The security page names a test beside each defence: each is there, so the page cannot promise what nobody checks."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[^`:\s]+\.py)::([^`\s]+)`")


@cache
def defined_in(path: Path) -> frozenset[str]:
    """The tests that a file defines, as pytest writes them behind the file's name."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        before = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            before + member.name
            for member in members
            if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name.startswith("test_")
        }
    return frozenset(found)


def missing(page: str) -> list[str]:
    """The tests that a page names and that do not exist."""
    return [
        f"{path}::{name}"
        for path, name in NAMED.findall(page)
        if not (ROOT / path).is_file() or name not in defined_in(ROOT / path)
    ]


def test_every_test_that_the_page_names_exists() -> None:
    page = PAGE.read_text()
    assert len(NAMED.findall(page)) > 50
    assert missing(page) == []


def test_every_row_of_a_table_of_defences_names_a_test() -> None:
    lines = PAGE.read_text().splitlines()
    rows = 0
    for number, line in enumerate(lines):
        if not re.fullmatch(r"\| what \|.*\| test \|", line):
            continue
        for row in lines[number + 2 :]:
            if not row.startswith("|"):
                break
            rows += 1
            assert NAMED.search(row.rpartition("| ")[2]), row
    assert rows > 40


def test_a_name_of_a_test_is_not_written_in_a_form_that_is_not_looked_at() -> None:
    page = NAMED.sub("", PAGE.read_text())
    assert re.findall(r"\S*::test_\S*|\btest_\w+", page) == []


@pytest.mark.parametrize(
    "named",
    [
        "tests/tools/test_security_page.py::test_that_nobody_wrote",
        "tests/tools/test_nothing.py::test_every_test_that_the_page_names_exists",
        "tests/unit/keys/test_jwt.py::test_a_missing_media_type_is_refused",  # it stands in a class
    ],
)
def test_a_test_that_is_not_there_would_be_found(named: str) -> None:
    here = "tests/tools/test_security_page.py::test_every_test_that_the_page_names_exists"
    assert missing(f"`{named}` and `{here}`") == [named]
