"""The pages lead where they say: relative links to files and headings, indexes to all that they are to list."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {"node_modules", ".venv", ".git", ".pytest_cache", ".tools", "build"}
FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def pages(root: Path) -> Iterator[Path]:
    """Every Markdown page that is ours."""
    for page in sorted(root.rglob("*.md")):
        if not SKIPPED.intersection(page.relative_to(root).parts):
            yield page


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them: lower case, no punctuation, `-` for a space."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(FENCE.sub("", text))
    }


def broken(page: Path, root: Path) -> list[str]:
    """The page's relative links that lead nowhere, or out of the repository."""
    found = []
    for link in LINK.findall(CODE.sub("", FENCE.sub("", page.read_text()))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or not target.is_relative_to(root):
            found.append(f"{link}: no such file")
        elif anchor and (target.suffix != ".md" or anchor not in anchors(target.read_text())):
            found.append(f"{link}: no such heading")
    return found


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    wrong = {str(page.relative_to(ROOT)): found for page in pages(ROOT) if (found := broken(page, ROOT))}
    assert wrong == {}
    assert len(list(pages(ROOT))) > 50, "pages were overlooked"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](there.md)", []),
        ("[a](there.md#a-heading-with-code)", []),
        ("[a](https://example.com/none.md)", []),
        ("`[a](none.md)`\n```\n[a](none.md)\n```\n", []),
        ("[a](none.md)", ["none.md: no such file"]),
        ("[a](../)", ["../: no such file"]),
        ("[a](there.md#none)", ["there.md#none: no such heading"]),
        ("[a](#none)", ["#none: no such heading"]),
    ],
)
def test_a_link_that_leads_nowhere_is_found(text: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading, with `code`\n")
    (page := tmp_path / "page.md").write_text(text)
    assert broken(page, tmp_path) == expected


def test_the_index_of_decisions_lists_all_of_them() -> None:
    records = {page.name for page in (ROOT / "docs/adr").glob("0*.md")}
    assert records == set(re.findall(r"\]\((0[^)]+\.md)\)", (ROOT / "docs/adr/README.md").read_text()))


def test_the_architecture_page_has_a_line_for_each_package_and_folder() -> None:
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = [Path(name).parts for name in listed.stdout.splitlines()]
    folders = {parts[0] for parts in files if len(parts) > 1}
    folders |= {f"{parts[0]}/{parts[1]}" for parts in files if len(parts) > 2 and parts[0] in ("app", "tests")}
    page = (ROOT / "docs/architecture.md").read_text()
    assert "app/storage" in folders
    assert {
        folder for folder in folders - {"app", "tests"} if not re.search(rf"`{re.escape(folder)}/?`", page)
    } == set()
