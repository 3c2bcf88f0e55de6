"""The tables of docs/scaling.md. Pure: a model in, text out."""

from collections.abc import Callable, Sequence

from msgspec import structs

from loadtest.model.calibration import Model, calibrate, measured_curves, predicted
from loadtest.model.measurements import Measured
from loadtest.model.plots import FLEET_PLOT, LATENCY_PLOT
from loadtest.model.popularity import Cache, hit_ratio
from loadtest.model.sizing import Demand, Fleet, Infeasible, Policy, busiest_share, most, plan

DEMANDS = (
    Demand("100,000/s, Zipf", 1e5, 1_000_000),
    Demand("100,000/s, uniform", 1e5, 1_000_000, exponent=0.0),
    Demand("1,000,000/s, Zipf", 1e6, 10_000_000, connections=200_000),
    Demand("1,000,000/s, uniform", 1e6, 10_000_000, exponent=0.0, connections=200_000),
)
_EXPONENTS = (0.0, 0.8, 1.0, 1.2)
_POD_RATE = 15_000.0
"""Introspections a second of the pod whose cache is asked about."""
Table = Sequence[Sequence[str]]


def page(model: Model) -> str:
    """Everything between the markers of the page."""
    fleets = [plan(demand, model) for demand in DEMANDS]
    parts = [
        _source(model.measured),
        _table(_constants(model)),
        f"![Latency against rate, simulated and measured](images/{LATENCY_PLOT})",
        _table(_validation(model)),
        "### What it takes",
        _table(_fleets(fleets)),
        f"![Pods and masters against the rate](images/{FLEET_PLOT})",
        "### What breaks first",
        _table(_limits(fleets)),
        _most(model),
        "### How popular tokens are",
        _table(_popularity()),
        "### How sure this is",
        _table(_sensitivity(model, DEMANDS[2])),
    ]
    return "\n\n".join(parts) + "\n"


def _source(measured: Measured) -> str:
    machine = measured.machine
    return (
        f"Measured {measured.when} on {machine.cpu}, {machine.cores} cores, {machine.python}, commit {machine.commit}, "
        f"load average before: {machine.load_before:g}; "
        f"cores without work {machine.idle_cores} (`python -m loadtest model --measure`)."
    )


def _table(rows: Table) -> str:
    head, *body = rows
    if any(len(row) != len(head) for row in body):
        raise ValueError(f"a row of the table of {', '.join(head)} has not as many cells as its head")
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs"


def _constants(model: Model) -> Table:
    m, c = model.measured, model.costs
    pod = [
        ("introspection, from the cache, at full load", _us(m.hit_cpu)),
        ("introspection, asked of Redis, at full load", _us(m.miss_cpu)),
        ("issuance, opaque", _us(m.issue_opaque_cpu)),
        ("issuance, JWT (ES256)", _us(m.issue_jwt_cpu)),
        ("introspection of a JWT", _us(m.introspect_jwt_cpu)),
        ("revocation", _us(m.revoke_cpu)),
        ("hearing of another pod's", _us(m.heard_cpu)),
        ("fitted: waking up", _us(c.wake)),
        ("fitted: to Redis and back, without Redis' time", _us(model.redis.trip)),
        ("fitted: what a client sees beside the pod", _us(model.offset)),
    ]
    others = [
        ("Redis: lookup, in full batches", _us(m.redis_lookup_cpu)),
        ("Redis: lookup, alone", _us(m.redis_lookup_alone_cpu)),
        ("Redis: issuance, opaque", _us(m.redis_issue_cpu)),
        ("Redis: revocation, two subscribers", _us(m.redis_revoke_cpu)),
        ("Redis: its delivery to one more", _us(m.redis_delivery_cpu)),
        ("Redis: a live token", f"{m.redis_token_bytes:.0f} B"),
        ("a lookup between pod and Redis", f"{m.redis_lookup_bytes:.0f} B"),
        ("introspection, request and response", f"{m.request_bytes:.0f} + {m.response_bytes:.0f} B"),
        ("a client's connection, idle", f"{m.connection_bytes:.0f} B"),
        ("a pod that does nothing", f"{m.idle_bytes / 1e6:.0f} MB"),
    ]
    return [("of a pod's core", "", "other", ""), *((*a, *b) for a, b in zip(pod, others, strict=True))]


def _validation(model: Model) -> Table:
    rows: list[Sequence[str]] = [
        (
            "introspections/s",
            "",
            "core, measured",
            "simulated",
            "p50, measured",
            "simulated",
            "p99, measured",
            "simulated",
            "cores elsewhere",
        )
    ]
    for name, points, hits in measured_curves(model.measured):
        for point in points:
            said = predicted(model, point, hits)
            cells = (f"{point.rate:,.0f}", name, f"{point.core_share:.0%}", f"{said.busy:.0%}")
            latencies = (point.p50_ms, said.p50 * 1e3, point.p99_ms, said.p99 * 1e3)
            rows.append((*cells, *(f"{ms:.2f} ms" for ms in latencies), f"{point.others:.2f}"))
    return rows


_FLEET_ROWS: Sequence[tuple[str, Callable[[Fleet], str]]] = (
    ("", lambda f: f.demand.name),
    ("live tokens", lambda f: f"{f.demand.live_tokens:,}"),
    ("issuances, revocations a second", lambda f: f"{f.demand.issuances:,.0f}, {f.demand.revocations:,.0f}"),
    ("**pods** (two of them spare)", lambda f: f"**{f.pods}**"),
    ("**Redis masters** (and a replica each)", lambda f: f"**{f.masters}**"),
    ("answered from the cache", lambda f: f"{f.hit_ratio:.0%}"),
    ("introspections a second and pod", lambda f: f"{f.pod_rate:,.0f}"),
    ("of what a pod can do, spare ones away", lambda f: f"{f.pod_load:.0%}"),
    ("of its core, as seen (simulated)", lambda f: f"{min(1.0, f.pod.busy + f.aside):.0%}"),
    ("p50, p99 in the pod, queueing alone", lambda f: f"{f.pod.p50 * 1e3:.2f}, {f.pod.p99 * 1e3:.2f} ms"),
    ("lookups a second, in batches of", lambda f: f"{f.lookups:,.0f}, {f.batch:.1f}"),
    ("a master's core", lambda f: f"{f.master_busy:.0%}"),
    ("deliveries of revocations a second", lambda f: f"{f.deliveries:,.0f}"),
    ("most revocations a second", lambda f: f"{f.most_revocations:,.0f}"),
    ("clients' network: all, each pod", lambda f: _gigabits(f.client_bits, f.serving)),
    ("Redis' network: all, each master", lambda f: _gigabits(f.redis_bits, f.masters)),
    ("connections: a pod's, a master's", lambda f: f"{f.demand.connections / f.serving:,.0f}, {f.redis_connections:,}"),
    ("Redis' memory, replicas included", lambda f: f"{f.redis_bytes / 1e9:.1f} GB"),
    ("a pod's memory", lambda f: f"{f.pod_bytes / 1e6:.0f} MB"),
    ("the busiest pod, times the mean", lambda f: f"{busiest_share(f.pods, f.demand.connections / f.pods):.2f}"),
)


def _fleets(fleets: Sequence[Fleet]) -> Table:
    return [(name, *map(show, fleets)) for name, show in _FLEET_ROWS]


def _gigabits(bits: float, over: int) -> str:
    return f"{bits / 1e9:.2f}, {bits / over / 1e9:.2f} Gbit/s"


def _limits(fleets: Sequence[Fleet]) -> Table:
    shown = [(f.demand.name, *(f"{one.what}: {one.used:.1%}" for one in f.limits[:5])) for f in fleets]
    return [("", "first", "second", "third", "fourth", "fifth"), *shown]


def _most(model: Model) -> str:
    zipf, uniform = (most(demand, model) for demand in DEMANDS[2:])
    return (
        f"The most that one cluster of Redis carries within the rules, everything grown alike: {_rounded(zipf)} "
        f"introspections a second (Zipf), {_rounded(uniform)} (uniform). Then no number of masters is enough."
    )


def _rounded(rate: float) -> str:
    """To two figures: the rest is not known."""
    size = 10 ** (len(f"{rate:.0f}") - 2)
    return f"{rate // size * size:,.0f}"


def _popularity() -> Table:
    rows: list[Sequence[str]] = [("live tokens, entries of the cache", *(f"exponent {e:g}" for e in _EXPONENTS))]
    for tokens in (10_000, 100_000, 1_000_000, 10_000_000):
        for entries in (10_000, 100_000):
            shares = (hit_ratio(_POD_RATE, tokens, exponent, Cache(entries)) for exponent in _EXPONENTS)
            rows.append((f"{tokens:,}, {entries:,}", *(f"{share:.0%}" for share in shares)))
    return rows


def _sensitivity(model: Model, demand: Demand) -> Table:
    usual = plan(demand, model)
    measured = model.measured
    changed: list[tuple[str, Demand, Model, Policy]] = [
        ("as planned", demand, model, Policy()),
        ("a pod's costs 25 % higher", demand, _slower(model, 1.25), Policy()),
        ("a pod's costs 25 % lower", demand, _slower(model, 0.75), Policy()),
        ("Redis' costs twice as high", demand, _slower_redis(measured, 2), Policy()),
        ("exponent 0.8", structs.replace(demand, exponent=0.8), model, Policy()),
        ("exponent 1.2", structs.replace(demand, exponent=1.2), model, Policy()),
        ("ten times the live tokens", structs.replace(demand, live_tokens=demand.live_tokens * 10), model, Policy()),
        ("every token revoked, not every tenth", structs.replace(demand, revoked=1.0), model, Policy()),
        ("pods planned at 40 %", demand, model, Policy(pod_load=0.4)),
        ("pods planned at 80 %", demand, model, Policy(pod_load=0.8)),
    ]
    rows: list[Sequence[str]] = [
        (f"{demand.name}", "pods", "masters", "from the cache", "p99 in the pod", "a master's core")
    ]
    for name, of_demand, of_model, policy in changed:
        try:
            fleet = usual if name == "as planned" else plan(of_demand, of_model, policy)
        except Infeasible:
            rows.append((name, "no number of masters is enough", "", "", "", ""))
            continue
        rows.append(
            (
                name,
                f"{fleet.pods}",
                f"{fleet.masters}",
                f"{fleet.hit_ratio:.0%}",
                f"{fleet.pod.p99 * 1e3:.2f} ms",
                f"{fleet.master_busy:.0%}",
            )
        )
    return rows


def _slower(model: Model, factor: float) -> Model:
    costs, measured = model.costs, model.measured
    scaled = structs.replace(
        costs, wake=costs.wake * factor, hit=costs.hit * factor, ask=costs.ask * factor, answer=costs.answer * factor
    )
    names = ("hit_cpu", "miss_cpu", "issue_opaque_cpu", "revoke_cpu", "heard_cpu")
    others = {name: getattr(measured, name) * factor for name in names}
    return structs.replace(model, costs=scaled, measured=structs.replace(measured, **others))


def _slower_redis(measured: Measured, factor: float) -> Model:
    names = ("redis_lookup_cpu", "redis_lookup_alone_cpu", "redis_issue_cpu", "redis_revoke_cpu", "redis_delivery_cpu")
    return calibrate(structs.replace(measured, **{name: getattr(measured, name) * factor for name in names}))
