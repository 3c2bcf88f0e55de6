"""What is committed works on any machine: nothing in it names one, or the servers that packages came from."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import __version__

ROOT = Path(__file__).parents[2]
MAX_BYTES = 1024 * 1024

# Put together here, so that this file does not contain what it looks for.
FORBIDDEN = {
    "path of one machine": [f"/{folder}/" for folder in ("work", "root")] + [f"/{'home'}/"],
    "host of a package registry": [
        ".".join(parts)
        for parts in [
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("registry", "npmjs"),
            ("proxy", "golang", "org"),
            ("crates", "io"),
            ("deb", "debian", "org"),
            ("repo1", "maven"),
            ("repo", "maven", "apache"),
        ]
    ],
}


@pytest.fixture(scope="module")
def committed_files(require_program: Callable[[str], str]) -> list[Path]:
    # The folder may belong to another user than the one who runs the tests.
    command = [require_program("git"), "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    assert ROOT / "pyproject.toml" in files
    # What is about to be removed is still listed.
    return [file for file in files if file.is_file()]


def lines_with(files: list[Path], words: list[str]) -> Iterator[str]:
    pattern = re.compile("|".join(map(re.escape, words)))
    for file in files:
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                yield f"{file}:{number}: {line.strip()[:120]}"


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_no_file_names_a(committed_files: list[Path], kind: str) -> None:
    assert list(lines_with(committed_files, FORBIDDEN[kind])) == []


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_the_search_would_find_a(tmp_path: Path, kind: str) -> None:
    for word in FORBIDDEN[kind]:
        planted = tmp_path / "planted.txt"
        planted.write_text(f"first line\nfetched from {word}x\n")
        assert list(lines_with([planted], FORBIDDEN[kind])) == [f"{planted}:2: fetched from {word}x"]


def test_no_file_is_larger_than_a_mebibyte(committed_files: list[Path]) -> None:
    assert [str(file) for file in committed_files if file.stat().st_size > MAX_BYTES] == []


def test_scripts_are_executable_and_only_scripts_are(committed_files: list[Path]) -> None:
    wrong = [
        str(file.relative_to(ROOT))
        for file in committed_files
        if not file.is_symlink() and file.read_bytes().startswith(b"#!") != bool(file.stat().st_mode & 0o100)
    ]
    assert wrong == []


def test_every_make_target_that_a_page_names_exists(committed_files: list[Path]) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (str(page.relative_to(ROOT)), target)
        for page in committed_files
        if page.suffix == ".md"
        for target in re.findall(r"(?:`|^\$? *)make ([a-z][a-z0-9-]*)", page.read_text(), re.MULTILINE)
    }
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_every_make_target_that_helps_people_is_explained() -> None:
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("install", "serve", "test", "check", "lock", "sbom", "help"):
        assert re.search(rf"^  make {target} +\S", helped, re.MULTILINE), target


def test_the_version_is_the_same_everywhere() -> None:
    assert re.findall(r"^ARG VERSION=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == [__version__]
    assert re.search(rf"^## \[{re.escape(__version__)}\] - ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
