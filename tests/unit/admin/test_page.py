"""The operators' page: what it tells, that it escapes it, and that nothing but its own style runs in it."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import msgspec
import pytest

from app.admin.latency import Latency, RecentLatency, quantile
from app.admin.page import SHOWN_CLIENTS, View, page_headers, render_page
from app.admin.stats import CacheStats, CounterStats, ProcessStats, RingStats, Stats, StoreStats
from app.admin.timeline import WIDTH, as_planned, timeline
from app.keys.ring import KeyState
from app.keys.status import KeyStatus
from app.model.clients import Client, ClientSecret
from app.observability.audit import AuditEvent, Outcome

NOW = 1_800_000_000.0
HOSTILE = '<script>alert("x")</script>'


def key(kid: str, state: KeyState, begins: float, ends: float | None, revoked_at: float | None = None) -> KeyStatus:
    removed = None if ends is None else ends + 3600
    reason = None if revoked_at is None else HOSTILE
    return KeyStatus(
        kid, "ES256", state, begins - 600, begins, ends, removed, revoked_at, reason, NOW - begins + 600, False
    )


def view(
    *, clients: tuple[Client, ...] = (), events: tuple[AuditEvent, ...] = (), keys: tuple[KeyStatus, ...] = ()
) -> View:
    stats = Stats(
        version="1.2.3",
        uptime_seconds=7_300,
        store=StoreStats("redis", degraded=True, live_tokens=None),
        issued=CounterStats(10, 1.5),
        introspected=CounterStats(20, 2.5),
        cache=CacheStats(0.875, lease=False, entries=5),
        ring=RingStats(4, "unreadable"),
        keys=(),
        process=ProcessStats(7, 70_000_000),
    )
    latencies = (("issue", Latency(3, 0.0005, 0.001, None)),)
    rotations = (("ES256", NOW + 60),)
    return View("https://a.example", NOW, stats, latencies, keys, rotations, clients, audited=True, events=events)


def page(shown: View) -> str:
    return render_page(shown).decode()


def test_it_tells_what_is_wrong_and_how_fast_it_is() -> None:
    html = page(view())
    for told in ("https://a.example", "redis, degraded", "unknown", "87.5 %", "lost", "unreadable", "0.50 ms", "2 h"):
        assert told in html
    assert "another key begins to sign 2027-01-15 08:01:00 UTC" in html


def test_what_others_wrote_is_text() -> None:
    client = Client(HOSTILE, scopes=(HOSTILE,))
    event = AuditEvent(datetime.fromtimestamp(NOW, UTC), "admin.changed", Outcome.SUCCESS, change=HOSTILE)
    html = page(view(clients=(client,), events=(event,), keys=(key("k", KeyState.REVOKED, NOW - 9, None, NOW),)))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4


def test_nothing_secret_of_a_client_is_in_it() -> None:
    secret = ClientSecret(sha256=b"canary-digest-of-a-secret-32-byte")
    html = page(view(clients=(Client("orders", secrets=(secret,)),)))
    assert "orders" in html
    assert "canary" not in html


def test_of_many_clients_the_first_are_shown() -> None:
    html = page(view(clients=tuple(Client(f"client-{number:04}") for number in range(SHOWN_CLIENTS + 1))))
    assert f"Clients ({SHOWN_CLIENTS + 1})" in html
    assert "client-0099" in html
    assert "client-0100" not in html


def test_only_its_own_style_may_run() -> None:
    policy = page_headers()["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    html = page(view())
    assert not re.search(r"\sstyle=|\son[a-z]+=|<script|<link|<img|https?://(?!a\.example)", html)


def test_its_elements_are_closed() -> None:
    open_elements: list[str] = []

    class Closing(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in {"meta", "rect", "line"} or tag == "rect":
                open_elements.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None: ...

        def handle_endtag(self, tag: str) -> None:
            assert open_elements.pop() == tag

    keys = (key("old", KeyState.RETIRED, NOW - 7200, NOW - 60), key("new", KeyState.SIGNING, NOW - 60, None))
    Closing().feed(page(view(keys=keys, clients=(Client("one"),))))
    assert open_elements == []


def test_a_key_s_stages_follow_each_other_on_the_line_of_time() -> None:
    old, new = key("old", KeyState.RETIRED, NOW - 7200, NOW - 60), key("new", KeyState.SIGNING, NOW - 60, None)
    line = timeline((old, new), NOW)
    stages = [[span.stage for span in row.spans] for row in line.rows]
    assert stages == [["published", "signing", "retained"], ["published", "signing"]]
    for row in line.rows:
        for before, after in zip(row.spans, row.spans[1:], strict=False):
            assert after.x == pytest.approx(before.x + before.width, abs=0.11)
    assert line.rows[0].spans[1].x + line.rows[0].spans[1].width == pytest.approx(line.rows[1].spans[1].x, abs=0.11)
    assert 0 < line.now_x < WIDTH


def test_the_next_rotation_ends_the_one_key_s_signing_and_begins_the_other_s() -> None:
    signing, published = key("now", KeyState.SIGNING, NOW - 60, None), key("next", KeyState.PUBLISHED, NOW, None)
    published = msgspec.structs.replace(published, signs_from=None)
    planned = as_planned((signing, published), {"ES256": NOW + 600})
    assert (planned[0].retires_at, planned[1].signs_from) == (NOW + 600, NOW + 600)
    assert as_planned((signing, published), {"RS256": NOW + 600}) == [signing, published]


def test_without_keys_there_is_a_line_of_time_all_the_same() -> None:
    assert timeline((), NOW).rows == ()


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        (0.5, [0, 0, 0], None),
        (0.5, [10, 0, 0], 0.5),
        (0.99, [99, 1, 0], 1.0),
        (0.5, [0, 10, 0], 1.5),
        (1, [0, 0, 5], 2),
    ],
)
def test_quantiles_are_prometheus_s(share: float, counts: list[int], expected: float | None) -> None:
    assert quantile(share, (1.0, 2.0), counts) == (None if expected is None else pytest.approx(expected))


def test_latencies_are_those_of_the_last_minute() -> None:
    now, counts = [0.0], [0, 0, 0]
    latency = RecentLatency((1.0, 2.0), lambda: list(counts), lambda: now[0])
    counts[1] = 1_000
    latency.sample()
    for _ in range(30):
        now[0] += 5
        counts[0] += 10
        latency.sample()
    told = latency.stats()
    assert told.count == pytest.approx(120, abs=15)
    assert told.p99 is not None
    assert told.p99 <= 1.0
