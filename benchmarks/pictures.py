"""The pictures of ``docs/performance.md``, from the figures of a run."""

from collections.abc import Iterator

from benchmarks import live_tokens, rate_steps
from benchmarks.charts import Panel, Series, chart
from benchmarks.live_tokens import LiveTokens
from benchmarks.peers.rows import SERVICE, PeerRow
from benchmarks.plot import Bar, bars, ratio_bars
from benchmarks.processes import Processes
from benchmarks.rate_steps import RateSteps
from benchmarks.results import Results
from benchmarks.sections import CORES, LATENCY, LIVE, PEERS, REPLICAS
from benchmarks.statistics import Spread

RATIOS = "ratios.svg"
OF_SECTION = {
    PEERS: "peers.svg",
    LATENCY: "latency.svg",
    LIVE: "live-tokens.svg",
    REPLICAS: "replicas.svg",
    CORES: "cores.svg",
}
"""By the section's title."""


def pictures(results: Results) -> Iterator[tuple[str, str]]:
    """File name and SVG of everything that was measured."""
    if results.rows:
        yield (
            RATIOS,
            ratio_bars(results.rows, "Requests for each second of CPU time, as a multiple of the bare server's"),
        )
    if results.peers:
        yield OF_SECTION[PEERS], _peers(results.peers)
    if results.rate_steps:
        yield OF_SECTION[LATENCY], chart([_latency(steps) for steps in results.rate_steps])
    if results.live_tokens:
        yield OF_SECTION[LIVE], chart(_live_tokens(results.live_tokens))
    if results.processes is not None:
        yield OF_SECTION[REPLICAS], chart([_replicas(results.processes)])
        yield OF_SECTION[CORES], _cores(results.processes)


def _peers(peers: tuple[PeerRow, ...]) -> str:
    ordered = sorted(peers, key=lambda peer: -peer.row.ratio_on_cpu.median)
    found = [
        Bar(
            f"{peer.endpoint}: {peer.server}",
            peer.row.ratio_on_cpu,
            f"{peer.row.ratio_on_cpu.median:.3f}",
            highlighted=peer.server == SERVICE,
        )
        for endpoint in ("introspection", "client_credentials, opaque")
        for peer in ordered
        if peer.endpoint == endpoint
    ]
    return bars(found, "Requests for each second of CPU time, as a multiple of the bare server's")


def _latency(steps: RateSteps) -> Panel:
    def line(name: str, of: list[Spread]) -> Series:
        rates = [step.rate.median for step in steps.steps]
        points = tuple(zip(rates, (one.median for one in of), strict=True))
        return Series(name, points, tuple((one.low, one.high) for one in of))

    return Panel(
        title=steps.name,
        x_label=f"answers a second; at most {steps.most.median:,.0f}",
        y_label="ms",
        series=(
            line("p50", [step.p50_ms for step in steps.steps]),
            line("p99", [step.p99_ms for step in steps.steps]),
        ),
        y_log=True,
        target=rate_steps.P99_TARGET_MS,
    )


def _live_tokens(of: tuple[LiveTokens, ...]) -> list[Panel]:
    counts = tuple(float(one.count) for one in of)

    def rates(name: str, spreads: list[Spread]) -> Series:
        points = tuple((count, one.median) for count, one in zip(counts, spreads, strict=True))
        return Series(name, points, tuple((one.low, one.high) for one in spreads))

    return [
        Panel(
            title="Rates by the number of live tokens",
            x_label="live tokens",
            y_label="× bare server, by CPU time",
            series=(
                rates("introspection", [one.introspection.ratio_on_cpu for one in of]),
                rates("issuance", [one.issuance.ratio_on_cpu for one in of]),
            ),
            x_log=True,
            x_ticks=counts,
        ),
        Panel(
            title="Memory by the number of live tokens",
            x_label="live tokens",
            y_label="MB added",
            series=(Series("resident", tuple((float(one.count), one.growth_mb) for one in of)),),
            x_log=True,
            x_ticks=counts,
            target=live_tokens.GROWTH_TARGET_MB,
        ),
    ]


def _replicas(of: Processes) -> Panel:
    def line(name: str, spreads: list[Spread]) -> Series:
        points = tuple((float(one.count), us.median) for one, us in zip(of.replicas, spreads, strict=True))
        return Series(name, points, tuple((us.low, us.high) for us in spreads))

    return Panel(
        title="CPU time of an uncached introspection",
        x_label="processes on one Redis, each with the same load",
        y_label="µs",
        series=(
            line("service", [one.service_us for one in of.replicas]),
            line("Redis", [one.redis_us for one in of.replicas]),
        ),
        x_ticks=tuple(float(one.count) for one in of.replicas),
    )


def _cores(of: Processes) -> str:
    found = []
    for one in of.cores:
        found.append(Bar(f"{one.name}: one core", one.one, f"{one.one.median:,.0f}"))
        label = f"{one.two.median:,.0f}: {one.times.median:.2f} times"
        found.append(Bar(f"{one.name}: two cores", one.two, label, highlighted=True))
    return bars(found, "Requests a second, load and Redis on the same cores")
