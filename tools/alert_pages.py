#!/usr/bin/env python3
"""Writes what `auth-service doctor` knows of alerts, from the rules, their thresholds and runbooks: run by `make docs`.

python tools/alert_pages.py            # write
python tools/alert_pages.py --check    # exit 1 if the file is out of date
"""

import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / "app/cli/diagnosis/alerts.json"
_SEEN = re.compile(r"<!-- seen:begin -->\n.*?<!-- seen:end -->\n", re.DOTALL)
_RULES = ("core", "slo", "kubernetes")
_THRESHOLD = re.compile(r"  (\w+): (\S+)(?:  # (.*))?")


def thresholds() -> dict[str, list[dict[str, Any]]]:
    """Those of each group, with what the comment beside each says."""
    found: dict[str, list[dict[str, Any]]] = {}
    group = ""
    for line in (ROOT / "alerts/thresholds.yaml").read_text().splitlines():
        if re.fullmatch(r"\w+:", line):
            group = line[:-1]
        elif row := _THRESHOLD.fullmatch(line):
            found.setdefault(group, []).append(
                {"name": row[1], "value": yaml.safe_load(row[2]), "meaning": row[3] or ""}
            )
    return found


def sections(page: str) -> dict[str, str]:
    """A runbook's parts by their titles, without what live fire showed."""
    page = _SEEN.sub("", page)
    parts = re.split(r"^## (.*)$", page, flags=re.MULTILINE)
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2], strict=True)}


def content() -> bytes:
    """The file as it should be."""
    limits = thresholds()
    alerts = {}
    for name in _RULES:
        document = yaml.safe_load((ROOT / f"alerts/{name}.yaml").read_text())
        for rule in (rule for group in document["groups"] for rule in group["rules"] if "alert" in rule):
            alert = rule["alert"]
            alerts[alert] = {
                "severity": rule["labels"]["severity"],
                "summary": rule["annotations"]["summary"],
                "thresholds": limits.get(alert, []),
                "runbook": sections((ROOT / f"docs/runbooks/{alert}.md").read_text()),
            }
    return msgspec.json.format(msgspec.json.encode(dict(sorted(alerts.items()))), indent=1) + b"\n"


def main() -> int:
    wanted = content()
    if "--check" in sys.argv:
        return 0 if FILE.exists() and FILE.read_bytes() == wanted else 1
    FILE.write_bytes(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
