"""What the chart's tests share: the programs that `make chart-tools` builds, and every fixture rendered once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.programs.charts import BIN, FIXTURES, KUBE_VERSIONS, Render, fixture_values, render_all


@pytest.fixture(scope="session")
def chart_tool() -> Callable[[str], str]:
    """``chart_tool(name)``: the path of a program of `.tools`; skips the test if it was not built."""

    def find(name: str) -> str:
        path = BIN.parent / "checkov" / "bin" / name if name == "checkov" else BIN / name
        if not path.exists():
            pytest.skip(f"{name} is not in .tools; to build it: make chart-tools")
        return str(path)

    return find


@pytest.fixture(scope="session")
def rendered(chart_tool: Callable[[str], str]) -> dict[tuple[str, str], Render]:
    """Every fixture for every Kubernetes version: (name, version) → render."""
    chart_tool("chartrender")
    keys = [(name, version) for name in FIXTURES for version in KUBE_VERSIONS]
    jobs = [{"values": fixture_values(name), "kubeVersion": version} for name, version in keys]
    return dict(zip(keys, render_all(jobs), strict=True))


@pytest.fixture
def written(tmp_path: Path, rendered: dict[tuple[str, str], Render]) -> Callable[[str], Path]:
    """``written(name)``: a file with the manifests of a fixture."""

    def write(name: str) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(rendered[name, KUBE_VERSIONS[-1]].manifest)
        return path

    return write
