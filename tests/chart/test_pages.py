"""Values that a page tells people to write are values of this chart, and what they render is valid for Kubernetes."""

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.programs.charts import CHART, KUBE_VERSIONS, ROOT, Manifest, render
from tests.programs.kubernetes_schemas import problems_of

PAGES = (
    ROOT / "docs" / "operations" / "install.md",
    ROOT / "docs" / "operations" / "scaling.md",
    ROOT / "k6" / "README.md",
    CHART / "README.md",
)
BASE: Manifest = {"store": {"type": "redis"}, "redis": {"url": "redis://redis.data.svc:6379/0"}}
NAMES = set(yaml.safe_load((CHART / "values.yaml").read_text()))


def documents() -> Iterator[tuple[str, Manifest]]:
    """Every YAML example, with the page and line that it begins at."""
    for page in PAGES:
        text = page.read_text()
        for found in re.finditer(r"```yaml\n(.*?)```", text, re.DOTALL):
            where = f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}"
            for document in yaml.safe_load_all(found[1].replace("sha256:…", "sha256:" + "0" * 64)):
                yield where, document


EXAMPLES = list(documents())
VALUES = [(where, document) for where, document in EXAMPLES if set(document) <= NAMES]


@pytest.mark.usefixtures("chart_tool")
@pytest.mark.parametrize(("where", "values"), VALUES, ids=lambda part: part if isinstance(part, str) else "")
def test_values_on_a_page_render(where: str, values: Manifest) -> None:
    for made in render(BASE | values).objects:
        assert (made["metadata"]["name"], problems_of(made, KUBE_VERSIONS[-1])) == (made["metadata"]["name"], []), where


def test_every_example_is_values_or_an_object_of_argo_cd_or_flux() -> None:
    assert len(VALUES) == 4
    others = {(document.get("apiVersion"), document.get("kind")) for _, document in EXAMPLES if set(document) - NAMES}
    assert others == {
        ("argoproj.io/v1alpha1", "Application"),
        ("source.toolkit.fluxcd.io/v1", "GitRepository"),
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
    }
