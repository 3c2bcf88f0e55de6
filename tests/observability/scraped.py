"""A scrape as rules see it: sample names, with the labels that Prometheus adds."""

from collections.abc import Mapping

from prometheus_client import Metric

Labels = frozenset[str]
TARGET: Labels = frozenset({"job", "instance"})


def scraped_labels(scrape: Mapping[str, Metric]) -> dict[str, Labels]:
    """The labels of every sample name."""
    return {s.name: frozenset(s.labels) | TARGET for family in scrape.values() for s in family.samples}


def scraped_values(scrape: Mapping[str, Metric]) -> dict[str, dict[str, set[str]]]:
    """The values of every label by sample name."""
    values: dict[str, dict[str, set[str]]] = {}
    for family in scrape.values():
        for sample in family.samples:
            of_name = values.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                of_name.setdefault(label, set()).add(value)
    return values
