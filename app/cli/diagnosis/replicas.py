"""Asking running processes: ``/metrics``, ``/health/ready`` and ``/admin/stats``.

Rules:
- The operators' token goes over loopback or TLS alone, and only to the path that needs it.
- Whatever cannot be had is told with the reason; what a process answers never ends the doctor.
"""

import http.client
from collections import defaultdict
from collections.abc import Callable, Iterable
from ipaddress import ip_address

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from app.admin.stats import Stats
from app.cli.diagnosis.seen import ReplicaSeen, Scrape
from app.cli.key_replicas import Replica, fetch


class Readiness(msgspec.Struct, frozen=True):
    """The answer of ``/health/ready``."""

    status: str
    checks: dict[str, str]


class Asked(msgspec.Struct, frozen=True):
    """A process, and what it answered as it came: for the support file."""

    seen: ReplicaSeen
    answers: dict[str, bytes]


def ask_all(listeners: Iterable[Replica], token: str | None, now: Callable[[], float]) -> list[Asked]:
    """Ask every listener. Metrics and admin listeners of one address are one process, in the order given."""
    metrics: dict[str, list[Asked]] = defaultdict(list)
    admin: dict[str, list[Asked]] = defaultdict(list)
    for listener in listeners:
        asked = _ask(listener, token, now)
        has_stats = asked.seen.stats is not None or asked.seen.no_stats is not None
        (admin if has_stats else metrics)[listener.address].append(asked)
    found: list[Asked] = []
    for address in dict.fromkeys([*metrics, *admin]):
        of_metrics, of_admin = metrics[address], admin[address]
        count = max(len(of_metrics), len(of_admin))
        found += [_joined(of_metrics[at : at + 1], of_admin[at : at + 1]) for at in range(count)]
    return found


def ask_one(metrics: Replica, admin: Replica, token: str | None, now: Callable[[], float]) -> Asked:
    """Ask a process whose two listeners are known."""
    asked = _ask(metrics, token, now)
    return asked if asked.seen.problem else _joined([asked], [_ask_admin(admin, token)])


def _joined(metrics: list[Asked], admin: list[Asked]) -> Asked:
    if not metrics:
        return admin[0]
    if not admin:
        return metrics[0]
    seen = msgspec.structs.replace(metrics[0].seen, stats=admin[0].seen.stats, no_stats=admin[0].seen.no_stats)
    return Asked(seen, {**metrics[0].answers, **admin[0].answers})


def _ask(listener: Replica, token: str | None, now: Callable[[], float]) -> Asked:
    try:
        before = now()
        status, body = fetch(listener, "/metrics")
        after = now()
        if status in (401, 403, 404):  # the admin listener has no such page, and asks who wants to know
            return _ask_admin(listener, token)
        scrape = read_scrape(body)
        status, ready = fetch(listener, "/health/ready")
        readiness = msgspec.json.decode(ready, type=Readiness)
    except (OSError, http.client.HTTPException) as error:
        return Asked(ReplicaSeen(str(listener), problem=_why(error)), {})
    except (ValueError, RecursionError):
        return Asked(ReplicaSeen(str(listener), problem="what it answers is not of this service"), {})
    ahead = None
    if scrape.has("process_clock_seconds"):
        ahead = round(scrape.value("process_clock_seconds") - (before + after) / 2, 3)
    seen = ReplicaSeen(
        str(listener), ready=readiness.status, checks=readiness.checks, scrape=scrape, clock_ahead_seconds=ahead
    )
    return Asked(seen, {"metrics.txt": body, "ready.json": ready})


def _ask_admin(listener: Replica, token: str | None) -> Asked:
    name = str(listener)
    if token is None:
        return Asked(ReplicaSeen(name, no_stats="no operators' token: ADMIN_TOKEN_FILE"), {})
    if not listener.secure and not ip_address(listener.address.partition("%")[0]).is_loopback:
        return Asked(ReplicaSeen(name, no_stats="the token goes over loopback or https alone"), {})
    try:
        status, body = fetch(listener, "/admin/stats", {"Authorization": f"Bearer {token}"})
    except (OSError, http.client.HTTPException) as error:
        return Asked(ReplicaSeen(name, no_stats=f"{name}: {_why(error)}"), {})
    if status != 200:
        return Asked(ReplicaSeen(name, no_stats=f"/admin/stats answers {status}"), {})
    try:
        return Asked(ReplicaSeen(name, stats=msgspec.json.decode(body, type=Stats)), {"stats.json": body})
    except msgspec.ValidationError:
        return Asked(ReplicaSeen(name, no_stats="/admin/stats is of another release"), {})


def read_scrape(text: bytes) -> Scrape:
    """The samples of a scrape in the text format. Raises ValueError."""
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    if "process_clock_seconds" not in samples and "build_info" not in samples:
        raise ValueError("no metric of this service")
    return Scrape(samples)


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "does not answer in time"
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return "does not speak HTTP"
