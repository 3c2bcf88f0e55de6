"""Every metric and its labels; those of the store are in :mod:`app.observability.store_metrics`.

Rules:
- Labels have bounded values: never a token, client, subject, key id or raw path.
- Label sets that can be known beforehand exist from the start, so that rates begin at zero.
- What is written at every request is a loop metric (:mod:`app.observability.loop_metrics`), its children looked up
  once: ``labels()`` costs more than ``observe()``.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from app.observability.loop_metrics import (
    SETTLED_AT_ONCE,
    CounterChild,
    HistogramChild,
    LoopCounter,
    LoopHistogram,
    Observed,
)
from app.observability.process_limits import ProcessLimits
from app.observability.store_metrics import OPERATION_SECONDS, StoreMetrics

REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5)

DECISION_SECONDS = (1e-6, 2.5e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3)

OPERATIONS = ("issue", "refresh", "introspect", "revoke")
OUTCOMES = ("ok", "active", "inactive", "refused", "error")
USUAL_STATUSES = (200, 400, 401, 429, 500, 503)
FETCH_RESULTS = ("ok", "forbidden", "unreachable", "refused", "unusable")
_FITTING_OUTCOMES = {
    "issue": ("ok", "refused", "error"),
    "refresh": ("ok", "refused", "error"),
    "introspect": ("active", "inactive", "refused", "error"),
    "revoke": ("ok", "refused", "error"),
}


disable_created_metrics()  # type: ignore[no-untyped-call]  # series more than needed: nothing is computed from them


class Metrics:
    """The service's metrics, on a registry of their own (one a process)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        self._requests = LoopHistogram(
            "http_server_request_duration_seconds",
            "Time from the request's arrival in the handler to the finished response.",
            ["http_request_method", "http_route", "http_response_status_code"],
            buckets=REQUEST_SECONDS,
            registry=r,
        )
        self._request_children: dict[tuple[str, str, int], HistogramChild] = {}
        self._finished: dict[tuple[str, str, int, str, str], Observed] = {}
        operations = LoopHistogram(
            "token_operation_duration_seconds",
            "Time that a token operation took, by what came of it.",
            ["operation", "outcome"],
            buckets=OPERATION_SECONDS,
            registry=r,
        )
        self._operations = {
            (operation, outcome): operations.labels(operation, outcome)
            for operation, outcomes in _FITTING_OUTCOMES.items()
            for outcome in outcomes
        }
        self._failures = Counter(
            "token_operation_failures", "Token operations refused or failed.", ["operation", "reason"], registry=r
        )
        issued = LoopCounter("tokens_issued", "Access tokens issued.", ["grant_type", "format"], registry=r)
        self._issued = {
            (grant, jwt): issued.labels(grant, "jwt" if jwt else "opaque")
            for grant in ("client_credentials", "refresh_token")
            for jwt in (False, True)
        }
        self._issued_family = issued
        self.active_tokens = Gauge("active_tokens", "Live opaque access tokens in the store.", registry=r)
        self._reused = Counter("refresh_token_reuse", "Refresh tokens that came a second time.", registry=r)
        limited = LoopCounter("rate_limit_decisions", "Decisions of the rate limiter.", ["class", "result"], r)
        self._decisions = {
            (limit, is_limited): limited.labels(limit, "limited" if is_limited else "allowed")
            for limit in ("client", "introspection", "failure", "secret_check", "admin")
            for is_limited in (False, True)
        }
        self.rate_limit_seconds = LoopHistogram(
            "rate_limit_duration_seconds",
            "Time that a decision of the rate limiter took, waiting for Redis excluded; of one decision in eight.",
            [],
            buckets=DECISION_SECONDS,
            registry=r,
        ).labels()
        self._rate_limit_alone = Gauge(
            "rate_limit_fallback",
            "1 while the limit that replicas share cannot be asked, and each counts for itself.",
            registry=r,
        )

        self.store = StoreMetrics(r)
        self.store_degraded = Gauge(
            "store_degraded", "1 while the memory store stands in for a Redis that is away.", registry=r
        )

        self.signing_keys = Gauge("signing_keys", "Keys of the ring.", ["algorithm", "state"], registry=r)
        self.signing_key_age = Gauge(
            "signing_key_age_seconds", "Age of the newest key in a state.", ["algorithm", "state"], registry=r
        )
        self._next_rotation = Gauge(
            "signing_key_next_rotation_timestamp_seconds",
            "When another key begins to sign, as far as it is planned.",
            ["algorithm"],
            registry=r,
        )
        self._key_states: set[tuple[str, str]] = set()
        self._planned: set[str] = set()
        rotations = Counter("signing_key_rotations", "Attempts of this process to rotate.", ["result"], registry=r)
        self._rotations = {result: rotations.labels(result) for result in ("rotated", "lost", "failed")}
        self.unknown_kid = Counter("unknown_kid", "JWTs whose key id is not in the ring.", registry=r)
        reloads = Counter(
            "config_reload_failures",
            "Configuration reloads that were refused; the old one is kept.",
            ["source"],
            registry=r,
        )
        self._reload_failures = {source: reloads.labels(source) for source in ("clients", "keys", "tls")}

        probes = Counter(
            "synthetic_probe_runs", "Runs of the service's own probe (PROBE_INTERVAL_SECONDS).", ["result"], registry=r
        )
        self._probes = {ok: probes.labels("ok" if ok else "failed") for ok in (True, False)}
        self._probe_seconds = Histogram(
            "synthetic_probe_duration_seconds",
            "Time that a run of the service's own probe took: issue, introspect, revoke, introspect.",
            buckets=REQUEST_SECONDS,
            registry=r,
        )
        fetches = Counter(
            "outgoing_fetches",
            "Documents fetched for clients: the sets of keys at a `jwks_uri`.",
            ["result"],
            registry=r,
        )
        self._fetches = {result: fetches.labels(result) for result in FETCH_RESULTS}

        self.audit_events_dropped = Counter(
            "audit_events_dropped",
            "Audit events that were not written or found no room, and refusals that were counted and never told.",
            registry=r,
        )
        self.event_loop_lag = Histogram(
            "event_loop_lag_seconds",
            "How late a timer fires: the waiting that a handler's own clock cannot see.",
            buckets=REQUEST_SECONDS,
            registry=r,
        )
        self.event_loop_cpu = Counter("event_loop_cpu_seconds", "CPU time of the event loop's thread.", registry=r)
        self._memory_limit = Gauge(
            "process_memory_limit_bytes",
            "The memory that the process may use: its control group's limit, or the machine's size.",
            registry=r,
        )
        self._cpu_limit = Gauge(
            "process_cpu_limit_cores", "The CPU cores that the process may use, fractions included.", registry=r
        )
        self._clock = Gauge(
            "process_clock_seconds",
            "The process's clock at the scrape, in Unix seconds: its difference to the sample's own time is skew.",
            registry=r,
        )
        self._certificates = Gauge(
            "tls_certificate_expiry_timestamp_seconds",
            "When a configured TLS certificate ends, in Unix seconds; of several in one file, the first to end.",
            ["certificate"],
            registry=r,
        )
        self.otlp_dropped = Counter("otlp_dropped", "Spans that the trace collector did not get.", registry=r)
        self._build = Info("build", "What is running.", registry=r)
        ProcessCollector(registry=r)
        PlatformCollector(registry=r)
        GCCollector(registry=r)
        self.issued = 0

    def build(self, version: str) -> None:
        """Say which version runs."""
        self._build.info({"version": version})

    def process_may_use(self, limits: ProcessLimits) -> None:
        """Say how much memory and CPU the process may use."""
        self._memory_limit.set(limits.memory_bytes)
        self._cpu_limit.set(limits.cpu_cores)

    def tell_clock(self, unix_now: Callable[[], float]) -> None:
        """Show this clock in every scrape."""
        self._clock.set_function(unix_now)

    def certificates_end(self, at: Mapping[str, float]) -> None:
        """When each TLS certificate ends, in Unix seconds by its use: ``store_ca``, ``store_client``, ``listener``."""
        for use, moment in at.items():
            self._certificates.labels(use).set(moment)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. ``method`` and ``route`` must come from our own tables."""
        self.request_series(method, route, status).observe(seconds)

    def request_series(self, method: str, route: str, status: int) -> HistogramChild:
        """The series of requests that are answered so."""
        key = (method, route, status)
        child = self._request_children.get(key)
        if child is None:
            child = self._request_children[key] = self._requests.labels(method, route, str(status))
        return child

    def request_example(
        self, method: str, route: str, status: int, seconds: float, *, trace_id: str, unix_now: float
    ) -> None:
        """The request just counted was traced: scrapes in OpenMetrics name its trace beside its bucket."""
        self._request_children[method, route, status].exemplify(seconds, trace_id, unix_now)

    def expect_requests(self, method: str, route: str) -> None:
        """Let the series of a route's usual answers exist before the first one: rates of failures begin at zero."""
        for status in USUAL_STATUSES:
            self.request_series(method, route, status)

    def finished(self, request: tuple[str, str, int, str, str], seconds: float) -> None:
        """A request was answered that was a token operation: :meth:`request` and the operation's own duration.

        ``request``: its method, route and status, the operation, and what came of it.
        """
        observed = self._finished.get(request)
        if observed is None:
            method, route, status, operation, outcome = request
            series = self.request_series(method, route, status)
            observed = self._finished[request] = series.observe_together(self._operations[operation, outcome])
        waiting = observed.waiting  # as Observed.observe() does it: this is the one that every request calls
        waiting.append(seconds)
        if len(waiting) >= SETTLED_AT_ONCE:
            observed.settle()

    @property
    def introspections(self) -> int:
        """How many there were, whatever came of them."""
        return sum(self.operation_buckets("introspect"))

    def operation_buckets(self, operation: str) -> list[int]:
        """How often it took how long, whatever came of it: by bucket of ``OPERATION_SECONDS``, not accumulated."""
        children = [child.counts for (name, _), child in self._operations.items() if name == operation]
        return [sum(counts) for counts in zip(*children, strict=True)]

    def operation_failed(self, operation: str, reason: str) -> None:
        """A token operation was refused or failed; ``reason`` is one of the bounded reasons of the code."""
        self._failures.labels(operation, reason).inc()

    def token_issued(self, grant_type: str, jwt: bool) -> None:
        """An access token was issued by one of the service's own grants."""
        child = self._issued.get((grant_type, jwt))
        if child is None:
            child = self._issued[grant_type, jwt] = self._issued_family.labels(grant_type, "jwt" if jwt else "opaque")
        child.inc()
        self.issued += 1

    def refresh_token_reused(self) -> None:
        """A refresh token came a second time."""
        self._reused.inc()

    def rate_limit_allowed(self, limit: str) -> CounterChild:
        """The series of requests that a limit let pass."""
        return self._decisions[limit, False]

    def rate_limited(self, limit: str, limited: bool) -> None:
        """The rate limiter decided: ``client``, ``introspection``, ``failure``, ``secret_check`` or ``admin``."""
        self._decisions[limit, limited].inc()

    def rate_limit_alone(self, alone: bool) -> None:
        """This process began, or ended, to count for itself alone."""
        self._rate_limit_alone.set(alone)

    def expect_keys(self, algorithms: Iterable[str], states: Iterable[str]) -> None:
        """Let the series of these keys exist at zero before there is one."""
        for algorithm, state in product(algorithms, states):
            self._key_states.add((algorithm, state))
            self.signing_keys.labels(algorithm, state).set(0)

    def keys_counted(self, ages: dict[tuple[str, str], list[float]]) -> None:
        """The keys of the ring: ages in seconds by algorithm and state. What is not named is gone."""
        # A scrape renders on a thread meanwhile: nothing is cleared that is there the moment after.
        for algorithm, state in self._key_states - ages.keys():
            self.signing_keys.labels(algorithm, state).set(0)
            self.signing_key_age.remove(algorithm, state)
        for (algorithm, state), seconds in ages.items():
            self._key_states.add((algorithm, state))
            self.signing_keys.labels(algorithm, state).set(len(seconds))
            self.signing_key_age.labels(algorithm, state).set(min(seconds))

    def rotations_planned(self, at: dict[str, float]) -> None:
        """When another key begins to sign, in Unix seconds by algorithm. What is not named is not planned."""
        for algorithm in self._planned - at.keys():
            self._next_rotation.remove(algorithm)
        self._planned = set(at)
        for algorithm, moment in at.items():
            self._next_rotation.labels(algorithm).set(moment)

    def key_rotation(self, result: str) -> None:
        """This process tried to rotate: ``rotated``, ``lost`` (another was faster) or ``failed``."""
        self._rotations[result].inc()

    def probed(self, ok: bool, seconds: float) -> None:
        """The synthetic probe ran."""
        self._probes[ok].inc()
        self._probe_seconds.observe(seconds)

    def fetched(self, result: str) -> None:
        """A document was fetched, or not: one of :data:`FETCH_RESULTS`."""
        self._fetches[result].inc()

    def reload_failed(self, source: str) -> None:
        """A reload was refused: ``clients``, ``keys`` or ``tls``."""
        self._reload_failures[source].inc()
