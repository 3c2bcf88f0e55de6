"""The doctor's conclusions: what a scrape shows, what is said of it, and the alert of the same name."""

import pytest

from app.admin.stats import CacheStats, CounterStats, KeyStats, ProcessStats, RingStats, Stats, StoreStats
from app.cli.diagnosis.alert_pages import alert_pages
from app.cli.diagnosis.replicas import read_scrape
from app.cli.diagnosis.rules import Finding, Level, findings
from app.cli.diagnosis.seen import HereSeen, ReplicaSeen, Seen
from app.composition.redis_look import RedisReplica, RedisSeen, RedisServer
from tools.alert_pages import FILE, content

NOW = 1_800_000_000.0
HEALTHY = {
    'build_info{version="1"}': 1,
    "process_clock_seconds": NOW,
    "store_degraded": 0,
    'store_connections{backend="redis",state="connected"}': 2,
    'store_connections{backend="redis",state="connecting"}': 0,
    'token_cache_requests_total{result="hit"}': 5,
    "token_cache_lease_valid": 1,
    "store_eviction_allowed": 0,
    'signing_keys{algorithm="ES256",state="signing"}': 1,
    'signing_keys{algorithm="ES256",state="published"}': 1,
    'signing_key_next_rotation_timestamp_seconds{algorithm="ES256"}': NOW + 60,
    'signing_key_rotations_total{result="failed"}': 0,
    'config_reload_failures_total{source="clients"}': 0,
    "rate_limit_fallback": 0,
    "audit_events_dropped_total": 0,
    "otlp_dropped_total": 0,
    "process_memory_limit_bytes": 1000,
    "process_resident_memory_bytes": 500,
    'tls_certificate_expiry_timestamp_seconds{certificate="store_ca"}': NOW + 3e7,
}
SERVER = RedisServer("h:1", "master", "7.0.0", "noeviction", 10, 100, 0, 60, False, (), 0.0, 0.001)


def replica(changed: dict[str, float] | None = None, **other: object) -> ReplicaSeen:
    text = "".join(f"{name} {value}\n" for name, value in {**HEALTHY, **(changed or {})}.items())
    seen = {"ready": "ready", "clock_ahead_seconds": 0.0, **other}
    return ReplicaSeen("r", scrape=read_scrape(text.encode()), **seen)  # type: ignore[arg-type]


def of(*replicas: ReplicaSeen, here: HereSeen | None = None) -> tuple[Finding, ...]:
    return findings(Seen(NOW, replicas, here))


def test_of_what_is_as_it_should_be_nothing_is_said() -> None:
    assert of(replica(), here=HereSeen(redis=RedisSeen("single", (SERVER,)))) == ()


@pytest.mark.parametrize(
    ("changed", "level", "alert"),
    [
        ({"store_degraded": 1}, "wrong", "StoreDegraded"),
        ({'store_connections{backend="redis",state="connected"}': 0}, "wrong", "StoreDown"),
        ({"token_cache_lease_valid": 0}, "wrong", "CacheLeaseLost"),
        ({"store_eviction_allowed": 1}, "look", "StoreEvicting"),
        ({'signing_keys{algorithm="ES256",state="signing"}': 0}, "wrong", "NoSigningKey"),
        ({'signing_keys{algorithm="ES256",state="published"}': 0}, "look", "NoPublishedSuccessor"),
        (
            {'signing_key_next_rotation_timestamp_seconds{algorithm="ES256"}': NOW - 7201},
            "wrong",
            "KeyRotationOverdue",
        ),
        ({'signing_key_rotations_total{result="failed"}': 1}, "look", "KeyRotationFailing"),
        ({'signing_key_age_seconds{algorithm="ES256",state="signing"}': 259_201}, "look", "SigningKeyOld"),
        ({'synthetic_probe_runs_total{result="failed"}': 1}, "look", "SyntheticProbeFailing"),
        ({'config_reload_failures_total{source="clients"}': 2}, "look", "ConfigReloadFailing"),
        ({"rate_limit_fallback": 1}, "wrong", "RateLimiterFailingOpen"),
        ({"audit_events_dropped_total": 3}, "look", "AuditEventsDropped"),
        ({"otlp_dropped_total": 3}, "look", "TracesDropped"),
        ({"process_resident_memory_bytes": 901}, "wrong", "MemoryNearLimit"),
        ({'tls_certificate_expiry_timestamp_seconds{certificate="store_ca"}': NOW - 1}, "wrong", "CertificateExpiring"),
    ],
)
def test_one_thing_wrong_is_one_finding(changed: dict[str, float], level: str, alert: str) -> None:
    (found,) = of(replica(changed))
    assert (found.level, found.alert) == (level, alert)
    assert found.next_step


@pytest.mark.parametrize(
    "changed",
    [
        {'signing_key_next_rotation_timestamp_seconds{algorithm="ES256"}': NOW - 7200},
        {"process_resident_memory_bytes": 900},
        {'signing_key_age_seconds{algorithm="ES256",state="signing"}': 259_200},
        {'synthetic_probe_runs_total{result="ok"}': 1},
        {'tls_certificate_expiry_timestamp_seconds{certificate="store_ca"}': NOW + 1_209_600},
        {"token_cache_lease_valid": 0, 'token_cache_requests_total{result="hit"}': 0},
    ],
)
def test_just_under_a_threshold_nothing_is_said(changed: dict[str, float]) -> None:
    assert of(replica(changed)) == ()


@pytest.mark.parametrize("state", ["signing", "published"])
def test_where_a_key_was_revoked_the_late_ring_is_the_next_step(state: str) -> None:
    changed = {f'signing_keys{{algorithm="ES256",state="{state}"}}': 0.0}
    (before,) = of(replica(changed))
    (after,) = of(replica({**changed, 'signing_keys{algorithm="ES256",state="revoked"}': 1.0}))
    assert before.alert == after.alert
    assert "revoked" not in before.next_step
    assert "a key was revoked" in after.next_step


@pytest.mark.parametrize(("ahead", "told"), [(5.0, False), (5.1, True), (-5.1, True)])
def test_a_clock_is_told_of_beyond_the_alerts_threshold(ahead: float, told: bool) -> None:
    assert [each.alert for each in of(replica(clock_ahead_seconds=ahead))] == (["ClockSkew"] if told else [])


@pytest.mark.parametrize(
    ("other", "level", "alert"),
    [
        ({"ready": "starting", "checks": {"store": "unreachable"}}, "wrong", "PodsNotReady"),
        ({"ready": "draining"}, "look", None),
    ],
)
def test_readiness(other: dict[str, object], level: str, alert: str | None) -> None:
    (found,) = of(replica(None, **other))
    assert (found.level, found.alert) == (level, alert)


@pytest.mark.parametrize(
    ("changed", "alert"),
    [
        ({"role": "slave"}, "StoreDown"),
        ({"policy": "allkeys-lru"}, "StoreEvicting"),
        ({"evicted_keys": 1}, "StoreEvicting"),
        ({"used_bytes": 86}, "StoreMemoryFull"),
        ({"clock_ahead_seconds": -6.0}, "ClockSkew"),
        ({"replicas": (RedisReplica("h:2", "online", 11, 0),)}, None),
    ],
)
def test_of_redis(changed: dict[str, object], alert: str | None) -> None:
    values = {name: getattr(SERVER, name) for name in SERVER.__struct_fields__} | changed
    (found,) = of(here=HereSeen(redis=RedisSeen("single", (RedisServer(**values),))))
    assert found.alert == alert


def stats(revision: int, kid: str) -> Stats:
    none = CounterStats(0, 0.0)
    keys = (KeyStats(kid, "ES256", "signing", 1.0),)
    store, ring = StoreStats("memory", False, 0), RingStats(revision, None)
    return Stats("1", 1.0, store, none, none, CacheStats(None), ring, keys, ProcessStats(1, 1))


def test_rings_that_differ_are_told_of() -> None:
    assert of(replica(stats=stats(3, "a")), replica(stats=stats(3, "a"))) == ()
    (found,) = of(replica(stats=stats(3, "a")), replica(stats=stats(3, "b")))
    assert "differ" in found.what
    (behind,) = of(replica(stats=stats(3, "a")), here=HereSeen(ring_source="file:///r", ring_revision=4))
    assert "revision 3, the source has 4" in behind.what


def test_what_is_wrong_comes_first() -> None:
    levels = [each.level for each in of(replica({"otlp_dropped_total": 1, "store_degraded": 1}))]
    assert levels == [Level.WRONG, Level.LOOK]


def test_every_alert_that_is_named_exists_and_the_pages_are_up_to_date() -> None:
    assert FILE.read_bytes() == content(), "make docs writes it anew"
    assert alert_pages()["ClockSkew"].threshold("seconds") == 5
    with pytest.raises(LookupError):
        alert_pages()["ClockSkew"].threshold("for")
