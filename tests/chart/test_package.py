"""What `make chart-package` makes: a package that a registry takes and gives back, and that describes itself."""

import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from app import __version__
from tests.programs.charts import CHART, KUBE_VERSIONS, ROOT, Manifest

NEWEST = KUBE_VERSIONS[-1]
CHANGES = {"added", "changed", "deprecated", "removed", "fixed", "security"}
"""Kinds of changes that Artifact Hub knows (its annotation artifacthub.io/changes)."""
CATEGORIES = {"security", "networking", "database", "integration-delivery", "monitoring-logging", "storage"}


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def registry(chart_tool: Callable[[str], str]) -> Iterator[str]:
    """A registry of the OCI distribution specification."""
    command = [chart_tool("ociregistry")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(scope="module")
def package(chart_tool: Callable[[str], str], registry: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, pushed by the target that makes it and pulled again."""
    chart_tool("helm")
    made = tmp_path_factory.mktemp("made")
    run("make", "chart-package", f"DIST={made}", f"REGISTRY=oci://{registry}/charts", "PUSH_ARGS=--plain-http")
    pulled = tmp_path_factory.mktemp("pulled")
    where = f"oci://{registry}/charts/auth-service"
    run(chart_tool("helm"), "pull", where, "--version", __version__, "--plain-http", "--destination", str(pulled))
    (archive,) = pulled.iterdir()
    assert archive.read_bytes() == (made / archive.name).read_bytes()
    return archive


def content(package: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(package) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None, f"{member.name} is no file"
            found[member.name] = file.read()
    return found


def test_what_comes_from_the_registry_renders_what_the_folder_renders(
    package: Path, chart_tool: Callable[[str], str]
) -> None:
    values = str(CHART / "ci" / "every-resource-values.yaml")

    def template(chart: Path) -> list[Manifest]:
        command = (
            chart_tool("helm"),
            "template",
            "rel",
            str(chart),
            "-n",
            "auth",
            "-f",
            values,
            "--kube-version",
            NEWEST,
        )
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
        return list(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))

    assert template(package) == template(CHART)


def test_the_package_has_what_is_needed_and_nothing_of_its_making(package: Path) -> None:
    files = {name.removeprefix("auth-service/") for name in content(package)}
    assert {"Chart.yaml", "values.yaml", "values.schema.json", "README.md", "templates/NOTES.txt"} <= files
    assert {f"files/k6/{path.name}" for path in (ROOT / "k6").glob("*.js")} <= files
    assert {f"files/dashboards/{path.name}" for path in (ROOT / "dashboards").glob("*.json")} <= files
    assert not [name for name in files if name.startswith(("ci/", "tests/", "files/alerts/tests"))]


def test_the_package_describes_itself_to_artifact_hub(package: Path) -> None:
    chart = yaml.safe_load(content(package)["auth-service/Chart.yaml"])
    assert chart["version"] == chart["appVersion"] == __version__
    notes = {key.removeprefix("artifacthub.io/"): value for key, value in chart["annotations"].items()}
    assert notes["category"] in CATEGORIES
    assert notes["license"] == "Apache-2.0"
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")
    assert notes["prerelease"] == ("true" if re.search("[a-z]", __version__) else "false")
    changes = yaml.safe_load(notes["changes"])
    assert changes
    assert {change["kind"] for change in changes} <= CHANGES
    assert all(change["description"] for change in changes)
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_images_that_it_names_are_those_of_the_values(package: Path) -> None:
    chart = yaml.safe_load(content(package)["auth-service/Chart.yaml"])
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    used = [values["image"], values["devRedis"]["image"], values["loadTest"]["image"]]
    named = [image["image"] for image in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])]
    assert named == [f"{image['repository']}:{image['tag'] or __version__}" for image in used]
