"""The bill of materials of an image, made of a tree as an image has it and judged by CycloneDX' own schema."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "image_sbom.py"
STATUS = """Package: libssl3
Status: install ok installed
Architecture: amd64
Version: 3.0.17-1~deb12u3
Description: Secure Sockets Layer toolkit
 with a second line

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 1:12.2.0-14+deb12u1
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    files = {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
        "var/lib/dpkg/status": STATUS,
        "usr/local/include/python3.11/patchlevel.h": '#define PY_VERSION              "3.11.7"\n',
        "opt/auth-service/lib/python3.11/site-packages/msgspec-0.19.0.dist-info/METADATA": (
            "Metadata-Version: 2.4\nName: msgspec\nVersion: 0.19.0\nLicense-Expression: BSD-3-Clause\n\nName: body\n"
        ),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60
    )


def described(root: Path, name: str = "registry.example.com:5000/a/auth-service:0.1.0") -> dict[str, Any]:
    done = run(str(TOOL), "--root", str(root), "--name", name, "--base", "python:3.11-slim-bookworm")
    assert (done.returncode, done.stderr) == (0, "")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(done.stdout) is None
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def test_everything_that_is_installed_is_listed_and_nothing_else(image: Path) -> None:
    made = described(image)
    assert [part["bom-ref"] for part in made["components"]] == [
        "debian@12",
        "pkg:deb/debian/libssl3@3.0.17-1~deb12u3?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12",
        "pkg:generic/cpython@3.11.7",
        "pkg:pypi/msgspec@0.19.0",
    ]
    assert made["components"][-1]["licenses"] == [{"expression": "BSD-3-Clause"}]
    subject = made["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("registry.example.com:5000/a/auth-service", "0.1.0")


def test_the_same_image_gives_the_same_bytes_and_another_one_does_not(image: Path) -> None:
    first = described(image)
    assert described(image) == first
    (image / "var/lib/dpkg/status").write_text(STATUS.replace("deb12u3", "deb12u4"))
    assert described(image)["serialNumber"] != first["serialNumber"]


def test_it_runs_from_standard_input_as_in_the_image(image: Path) -> None:
    done = run("-", "--root", str(image), "--name", "a:1", stdin=TOOL.read_text())
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["components"]) == 5


def test_the_environment_of_these_tests_is_listed_as_it_is_locked() -> None:
    """A real tree: what is installed here from the lock that the image is built from."""
    found = {(part["name"].lower(), part["version"]) for part in described(Path(sys.prefix), "here")["components"]}
    locked = [
        line.split(" ")[0].split("==")
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#")) and ";" not in line
    ]
    assert len(locked) > 20
    names = {(name.replace("_", "-"), version) for name, version in found}
    assert {(name.lower().replace("_", "-"), version) for name, version in locked} <= names


def test_a_tree_that_is_no_image_is_refused(tmp_path: Path) -> None:
    done = run(str(TOOL), "--root", str(tmp_path), "--name", "a:1")
    assert done.returncode == 1
    assert "is it the root of an image?" in done.stderr
