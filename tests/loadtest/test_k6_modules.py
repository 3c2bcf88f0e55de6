"""The pure modules of ``k6/``, run by node beside stand-ins for what k6 gives them: each file of a folder is a test."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "k6"
FILES = sorted(FOLDER.glob("*.test.mjs"))


def run_by_node(node: str, file: Path) -> "subprocess.CompletedProcess[str]":
    told = {"CALIBRATION_URL": "http://responder/x", "METRICS_URL": "http://service/metrics"}
    return subprocess.run(
        [node, "--no-warnings", "--test-reporter=tap", "--import", str(FOLDER / "as_k6.mjs"), str(file)],
        env={**os.environ, "K6_ENV": json.dumps(told)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.mjs"))
def test_what_k6_computes_is_right(file: Path, require_program: Callable[[str], str]) -> None:
    done = run_by_node(require_program("node"), file)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout
    assert int(passed[1]) > 0


def test_a_file_that_fails_is_seen(tmp_path: Path, require_program: Callable[[str], str]) -> None:
    file = tmp_path / "wrong.test.mjs"
    file.write_text("import test from 'node:test'; test('x', () => { throw new Error('seen'); });")
    done = run_by_node(require_program("node"), file)
    assert done.returncode != 0
    assert "seen" in done.stdout
