"""The rules as they are, in less time: every window, ``for`` and horizon divided by one factor."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.alerts.rule_files import RULE_FILES

FACTOR = 30
"""Five minutes are ten seconds: with a scrape a second the shortest window (2 m) still holds four samples."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+)([smhd])")
_RANGE = re.compile(r"(\[|offset )(\d+[smhd])")
_HORIZON = re.compile(r"\b(\d+) \* 3600\b")
_THRESHOLD = re.compile(r"(\S+)(\s+# threshold (\w+\.\w+))")

Overrides = Mapping[str, str]
"""Thresholds of ``alerts/thresholds.yaml`` by ``GROUP.NAME``, with what a scenario has instead."""

QUICK_CERTIFICATES: Overrides = {"CertificateExpiring.for": "2s"}
"""The service reads its certificates again every minute, whatever the windows are."""
CLOSE_REVOCATIONS: Overrides = {"RevocationPropagationSlow.seconds": "0.1"}
"""Messages that are a second late are no messages by the store's own measure: the lease would end first."""
QUICK_ROTATION: Overrides = {
    "KeyRotationOverdue.seconds": "5",
    "SigningKeyOld.seconds": "12",
    "SigningKeyOld.for": "5s",
}
"""Keys rotate every four seconds there, not every day."""
YOUNG_PROCESSES: Overrides = {"MemoryLeak.ageSeconds": "30"}
"""An hour of life is half a minute there."""
OVERRIDES: tuple[Overrides, ...] = (QUICK_CERTIFICATES, CLOSE_REVOCATIONS, QUICK_ROTATION, YOUNG_PROCESSES)
NO_OVERRIDES: Overrides = {}


def shortened(text: str) -> str:
    """A duration of PromQL by the factor, in milliseconds."""
    number, unit = _DURATION.fullmatch(text).groups()  # type: ignore[union-attr]
    return f"{int(number) * _SECONDS[unit] * 1000 // FACTOR}ms"


def shorten_expression(expression: str, overrides: Overrides = NO_OVERRIDES) -> str:
    """An expression with every range, offset and horizon shortened, and the overridden thresholds put in."""
    expression = _RANGE.sub(lambda found: found[1] + shortened(found[2]), expression)
    expression = _HORIZON.sub(lambda found: str(int(found[1]) * 3600 // FACTOR), expression)
    return _THRESHOLD.sub(lambda found: overrides.get(found[3], found[1]) + found[2], expression)


def shorten_rule(rule: Mapping[str, Any], overrides: Overrides = NO_OVERRIDES) -> dict[str, Any]:
    """A rule in less time."""
    short = {**rule, "expr": shorten_expression(rule["expr"], overrides)}
    if "for" in rule:
        short["for"] = overrides.get(f"{rule.get('alert')}.for") or shortened(rule["for"])
    return short


def short_rules(overrides: Overrides = NO_OVERRIDES) -> str:
    """All groups but those that need Kubernetes, for a rule file of Prometheus."""
    groups = []
    for path in RULE_FILES:
        if path.stem == "kubernetes":
            continue
        for group in yaml.safe_load(path.read_text())["groups"]:
            short = [shorten_rule(rule, overrides) for rule in group["rules"]]
            groups += [{"name": group["name"], "interval": "1s", "rules": short}]
    return yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000)


def short_routing(text: str, receivers: Mapping[str, str]) -> str:
    """The example of routing with its waits shortened; notifications go to the URLs of ``receivers`` by name."""
    document = yaml.safe_load(text)

    def shorten_route(route: dict[str, Any]) -> None:
        for name in ("group_wait", "group_interval", "repeat_interval"):
            if name in route:
                route[name] = shortened(route[name]) if route[name] != "0s" else "0s"
        for child in route.get("routes", ()):
            shorten_route(child)

    shorten_route(document["route"])
    for receiver in document["receivers"]:
        for hook in receiver.get("webhook_configs", ()):
            hook["url"] = receivers[receiver["name"]]
    return yaml.safe_dump(document, sort_keys=False)
