"""Draws docs/images/dashboard-NAME.svg from files of answers: run by ``make dashboard-pictures``.

python -m tools.dashboards.painting FOLDER    # with NAME.json for each dashboard, as tests/dashboards/live keeps them
"""

import json
import sys
from pathlib import Path
from typing import Any

from tools.dashboards.catalogue import DASHBOARDS, file_of
from tools.dashboards.model import ROOT
from tools.dashboards.painting.answers import seen
from tools.dashboards.painting.picture import picture

IMAGES = ROOT / "docs" / "images"
FIRST = {"job": "auth-service", "namespace": "auth"}
"""What stands for the variables that do not begin at All."""


def main(folder: Path) -> int:
    """Draw every dashboard."""
    for dashboard in DASHBOARDS:
        board: dict[str, Any] = json.loads(file_of(dashboard).read_text())
        variables = [variable for variable in board["templating"]["list"] if variable["type"] == "query"]
        chosen = {v["label"]: "All" if v["includeAll"] else FIRST[v["name"]] for v in variables}
        file = IMAGES / f"dashboard-{dashboard.name}.svg"
        file.write_text(
            picture(board, seen(folder / f"{dashboard.name}.json"), {"Data source": "Prometheus", **chosen})
        )
        print(f"{file.relative_to(ROOT)}: written")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))
