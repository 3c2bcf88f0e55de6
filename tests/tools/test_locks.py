"""The lock files are current, complete, hashed, and name no server."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements-build.lock", "requirements.lock", "requirements-dev.lock"]
REMEDY = "run `make lock` and commit the result"


def locked(name: str) -> dict[str, Version]:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    pins: dict[str, Version] = {}
    for line in text.splitlines():
        if line and not line.lstrip().startswith("#"):
            requirement = Requirement(re.split(r"\s--hash", line, maxsplit=1)[0])
            (pin,) = requirement.specifier
            assert pin.operator == "==", line
            pins[canonicalize_name(requirement.name)] = Version(pin.version)
    return pins


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def group(name: str) -> list[str]:
    members = project()["dependency-groups"][name]
    nested = [inner for member in members if isinstance(member, dict) for inner in group(member["include-group"])]
    return [member for member in members if isinstance(member, str)] + nested


def test_every_dependency_is_locked_to_a_release_that_pyproject_allows() -> None:
    asked = {
        "requirements-build.lock": project()["build-system"]["requires"],
        "requirements.lock": project()["project"]["dependencies"],
        "requirements-dev.lock": project()["project"]["dependencies"] + group("dev"),
    }
    for lock, requirements in asked.items():
        pins = locked(lock)
        for requirement in map(Requirement, requirements):
            version = pins.get(canonicalize_name(requirement.name))
            assert version is not None, f"{requirement.name} is not in {lock}: {REMEDY}"
            assert version in requirement.specifier, f"{lock} has {version} for {requirement}: {REMEDY}"


def test_every_dependency_is_bounded_on_both_sides() -> None:
    for requirement in map(Requirement, project()["project"]["dependencies"] + group("dev")):
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators == {">=", "<"}, f"{requirement} needs a lower and an upper bound"


def test_tests_run_with_the_releases_that_the_service_runs_with() -> None:
    development = locked("requirements-dev.lock")
    for lock in ("requirements.lock", "requirements-build.lock"):
        for name, version in locked(lock).items():
            assert development.get(name, version) == version, f"{lock} and requirements-dev.lock differ in {name}"
    assert locked("requirements.lock").keys() <= development.keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host)\b", text, re.MULTILINE)
    joined = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.lstrip().startswith("#")]
    assert len(joined) == len(locked(lock)) > 0
    assert [line for line in joined if "--hash=sha256:" not in line] == []


def test_the_npm_lock_is_current_hashed_and_names_no_server() -> None:
    folder = ROOT / "tests" / "clients" / "npm"
    lock = json.loads((folder / "package-lock.json").read_text())
    packages = lock["packages"]
    assert packages.pop("")["dependencies"] == json.loads((folder / "package.json").read_text())["dependencies"]
    assert packages
    assert [name for name, package in packages.items() if "resolved" in package or "integrity" not in package] == []
