"""The rule files of the repository, as tests read them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "alerts"
RULE_FILES = tuple(ALERTS / f"{name}.yaml" for name in ("recording", "core", "slo", "kubernetes"))
MARKER = re.compile(r"(\S+)( +# threshold (\w+)\.(\w+))(?=\n|$)")


def rules(path: Path) -> list[dict[str, Any]]:
    """All rules of a file, in order."""
    document = yaml.load(path.read_text(), yaml.CSafeLoader)
    return [rule for group in document["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by name."""
    return {rule["alert"]: rule for path in RULE_FILES for rule in rules(path) if "alert" in rule}


def thresholds() -> Mapping[str, Mapping[str, Any]]:
    """``alerts/thresholds.yaml``."""
    document: Mapping[str, Mapping[str, Any]] = yaml.load((ALERTS / "thresholds.yaml").read_text(), yaml.CSafeLoader)
    return document


def external_metrics() -> dict[str, frozenset[str]]:
    """The labels of the metrics that others export."""
    document = yaml.load((ALERTS / "external-metrics.yaml").read_text(), yaml.CSafeLoader)
    return {name: frozenset(each["labels"]) for name, each in document["metrics"].items()}
