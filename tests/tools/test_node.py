"""The client libraries of the npm world are those of the lock and can be run."""

import json
from collections.abc import Callable

import pytest

from tests.programs.node import NPM_FOLDER

RunNode = Callable[..., str]


def test_the_installed_libraries_load_and_are_the_locked_ones(run_node: RunNode) -> None:
    packages = json.loads((NPM_FOLDER / "package-lock.json").read_text())["packages"]
    installed = json.loads(run_node("versions.mjs"))
    assert installed.keys() == {"jose", "oauth4webapi", "openid-client"}
    for name, version in installed.items():
        assert version == packages[f"node_modules/{name}"]["version"]


def test_a_script_that_fails_says_what_it_wrote(run_node: RunNode) -> None:
    with pytest.raises(AssertionError, match="Cannot find module"):
        run_node("no-such-script.mjs")
