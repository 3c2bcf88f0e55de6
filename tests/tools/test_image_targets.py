"""`make image`: a release is built on a base that is named by its digest, or not at all."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIGEST = "@sha256:" + "0a" * 32


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with what the targets need, and no builder of images."""
    for name in ("sh", "make", "sed", "git", "mkdir"):
        found = next(Path(folder, name) for folder in os.get_exec_path() if Path(folder, name).exists())
        (tmp_path / name).symlink_to(found)
    return str(tmp_path)


def make(path: str, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(Path(path, "make")), *arguments], cwd=ROOT, env={"PATH": path}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("base", ["", "python:3.11-slim-bookworm", "python@sha256:0a0a"])
def test_a_release_without_a_digest_is_refused(path: str, base: str) -> None:
    code, said = make(path, "image", "RELEASE=1", f"PYTHON_IMAGE={base}")
    assert code == 2
    assert "PYTHON_IMAGE must name the base with its digest" in said


@pytest.mark.parametrize("arguments", [("RELEASE=1", f"PYTHON_IMAGE=r.example:5000/python:3.11{DIGEST}"), ()])
def test_with_a_digest_or_for_oneself_it_goes_on_to_the_builder(path: str, arguments: tuple[str, ...]) -> None:
    code, said = make(path, "image", *arguments)
    assert (code, "none of docker, podman and buildah is on the PATH" in said) == (2, True)


def test_without_a_runner_the_bill_of_materials_says_how_else(path: str) -> None:
    code, said = make(path, "image-sbom")
    assert (code, "for an unpacked image: tools/image_sbom.py --root" in said) == (2, True)
