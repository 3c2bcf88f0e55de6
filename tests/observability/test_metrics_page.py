"""The page of metrics is the interface: it and the scrape of a running service name exactly the same."""

import re
from collections.abc import Mapping

from prometheus_client import Metric

from tools.metrics_page import PAGE, exported_name, page

_ROW = re.compile(r"\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \| (.+) \|")


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    rows = (_ROW.fullmatch(line) for line in PAGE.read_text().splitlines())
    return {row[1]: (row[2], frozenset(re.findall(r"`(\w+)`", row[3]))) for row in rows if row}


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "make docs writes it anew"


def test_a_scrape_shows_exactly_the_metrics_of_the_page(scrape: Mapping[str, Metric]) -> None:
    kinds = {exported_name(f): "gauge" if f.type == "info" else f.type for f in scrape.values()}
    assert kinds == {name: kind for name, (kind, _) in documented().items()}


def test_a_scrape_shows_exactly_the_labels_of_the_page(scrape: Mapping[str, Metric]) -> None:
    rows = documented()
    wrong = {
        (family.name, frozenset(sample.labels))
        for family in scrape.values()
        for sample in family.samples
        if frozenset(sample.labels) - {"le"} != rows[exported_name(family)][1]
    }
    assert wrong == set()


def test_rates_of_failures_begin_at_zero(scrape: Mapping[str, Metric]) -> None:
    answers = {
        (s.labels["http_route"], s.labels["http_response_status_code"])
        for s in scrape["http_server_request_duration_seconds"].samples
    }
    routes = ("/oauth/token", "/oauth/introspect", "/oauth/revoke")
    assert {(route, status) for route in routes for status in ("200", "429", "500", "503")} <= answers


def test_what_the_process_may_use_is_told(scrape: Mapping[str, Metric]) -> None:
    (resident,) = scrape["process_resident_memory_bytes"].samples
    (limit,) = scrape["process_memory_limit_bytes"].samples
    (cores,) = scrape["process_cpu_limit_cores"].samples
    assert resident.value < limit.value
    assert cores.value > 0
