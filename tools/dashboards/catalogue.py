"""All dashboards, and the files that they are."""

import json
from pathlib import Path

from tools.dashboards.grafana import document
from tools.dashboards.keys import KEYS
from tools.dashboards.kubernetes import KUBERNETES
from tools.dashboards.load_test import LOAD_TEST
from tools.dashboards.model import ROOT, Dashboard
from tools.dashboards.overview import OVERVIEW
from tools.dashboards.resources import RESOURCES
from tools.dashboards.stores import STORES
from tools.dashboards.tokens import TOKENS

FOLDER = ROOT / "dashboards"
DASHBOARDS: tuple[Dashboard, ...] = (OVERVIEW, TOKENS, STORES, KEYS, RESOURCES, KUBERNETES, LOAD_TEST)


def file_of(dashboard: Dashboard) -> Path:
    """Where a dashboard is kept."""
    return FOLDER / f"auth-service-{dashboard.name}.json"


def files() -> dict[Path, str]:
    """Every file as it should be."""
    return {
        file_of(dashboard): json.dumps(document(dashboard), indent=1, ensure_ascii=False) + "\n"
        for dashboard in DASHBOARDS
    }
