"""Rules use what exists: every metric and label is in the scrape of a real service, or named as someone else's."""

import re
from collections.abc import Mapping

import pytest
from prometheus_client import Metric

from tests.alerts.promql import Labels, parse, result_labels, uses
from tests.alerts.rule_files import RULE_FILES, alerts, external_metrics, rules
from tests.observability.scraped import scraped_labels, scraped_values

OF_OTHER_SETTINGS = {
    "rate_limit_fallback": frozenset({"job", "instance"}),
    "tls_certificate_expiry_timestamp_seconds": frozenset({"job", "instance", "certificate"}),
}
"""Metrics of what a deployment has only with other settings than the exercised one's."""


@pytest.fixture(scope="session")
def known(scrape: Mapping[str, Metric]) -> dict[str, Labels]:
    """The labels of every metric that rules may use, recorded ones included."""
    metrics = {**external_metrics(), **OF_OTHER_SETTINGS, **scraped_labels(scrape)}
    for path in RULE_FILES:
        for rule in rules(path):
            if "record" in rule:
                labels = result_labels(parse(rule["expr"]), metrics) | frozenset(rule.get("labels", {}))
                metrics[rule["record"]] = metrics.get(rule["record"], labels) & labels
    return metrics


@pytest.mark.parametrize("name", sorted(alerts()))
def test_an_alert_uses_metrics_and_labels_that_exist(name: str, known: Mapping[str, Labels]) -> None:
    result_labels(parse(alerts()[name]["expr"]), known)


@pytest.mark.parametrize("name", sorted(alerts()))
def test_no_text_uses_a_label_that_the_query_drops(name: str, known: Mapping[str, Labels]) -> None:
    alert = alerts()[name]
    labels = result_labels(parse(alert["expr"]), known)
    used = {label for text in alert["annotations"].values() for label in re.findall(r"\$labels\.(\w+)", text)}
    assert used <= labels


def test_every_value_of_a_label_that_a_rule_asks_for_is_one_that_the_service_gives(
    scrape: Mapping[str, Metric],
) -> None:
    values = scraped_values(scrape)
    missing = set()
    for path in RULE_FILES:
        for rule in rules(path):
            for use in uses(parse(rule["expr"])):
                for label, value in use.values.items():
                    given = values.get(use.metric)
                    if given is not None and label not in ("job", "le") and value not in given.get(label, ()):
                        missing.add((use.metric, label, value))
    assert missing == set()


def test_what_is_named_as_someone_elses_is_not_ours(scrape: Mapping[str, Metric]) -> None:
    assert set(external_metrics()) & set(scraped_labels(scrape)) == set()
