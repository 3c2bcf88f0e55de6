"""From a soak's figures to the documentation: one block of ``docs/reliability.md``, one picture."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import REPOSITORY
from benchmarks.publish import fill_between
from benchmarks.timeline import Chart, Timeline, draw
from loadtest.checklist import LEAK_SHARE, as_markdown
from loadtest.soak_figures import Soak, lines, rates, windows

PAGE = REPOSITORY / "docs" / "reliability.md"
PICTURE = REPOSITORY / "docs" / "images" / "soak.svg"
BEGIN, END = "<!-- soaked: begin (make soak) -->", "<!-- soaked: end -->"
_SMOOTHED_OVER = 6
"""Samples; what happens every few seconds is no news over half an hour."""


def publish(soak: Soak) -> tuple[Path, ...]:
    """Write both files; their paths. Raises ValueError if the page has no block to fill."""
    PAGE.write_text(fill_between(PAGE.read_text(), BEGIN, END, block(soak)))
    PICTURE.write_text(picture(soak))
    return PAGE, PICTURE


def block(soak: Soak) -> list[str]:
    """The lines of the page."""
    machine, load = soak.machine, soak.load
    where = f"{machine.cpu}, {machine.cores} cores, {machine.kernel}, {machine.python}, commit {machine.commit}"
    minutes, warm_up = load.seconds / 60, soak.warm_up_seconds / 60
    return [
        f"{soak.measured_at}, {where}; load average of the machine before: {machine.load_before}. Store: {soak.store}.",
        f"{load.requests:,} requests in {minutes:.0f} minutes, of which {warm_up:g} warm-up.",
        f"The client saw {load.p50_ms:.1f} ms at p50 and {load.p99_ms:.1f} ms at p99.",
        "",
        *as_markdown(lines(soak)).splitlines(),
        "",
        f"![What the process weighed and did over the time](images/{PICTURE.name})",
    ]


def picture(soak: Soak) -> str:
    """The charts."""
    after, _ = windows(soak)
    base = after.resident_bytes / 1e6
    samples, load = soak.samples, soak.load
    flow = list(rates(soak))
    minutes = (samples[-1].at_seconds - soak.warm_up_seconds) / 60
    return draw(
        Timeline(
            title=f"{minutes:.0f} minutes of everything: what the process weighs and does",
            subtitle=f"{load.requests:,} requests, {load.rate:,.0f} a second; the most was {soak.maximum_rate:,.0f}; "
            f"store: {soak.store}; commit {soak.machine.commit}",
            warm_up=soak.warm_up_seconds / 60,
            minutes=samples[-1].at_seconds / 60,
            charts=(
                Chart(
                    "Resident size, MB",
                    [(sample.at_seconds / 60, sample.resident_bytes / 1e6) for sample in samples],
                    band=(base * (1 - LEAK_SHARE), base * (1 + LEAK_SHARE)),
                ),
                Chart("Open file descriptors", [(s.at_seconds / 60, s.descriptors) for s in samples]),
                Chart("Live opaque tokens", [(s.at_seconds / 60, s.live_tokens) for s in samples]),
                Chart("Requests a second", _smooth([(at / 60, rate) for at, rate, _ in flow])),
                Chart("Cores used", _smooth([(at / 60, cores) for at, _, cores in flow]), decimals=2),
            ),
        )
    )


def _smooth(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means over a few samples."""
    return [
        (part[-1][0], sum(value for _, value in part) / len(part))
        for part in (
            points[at : at + _SMOOTHED_OVER] for at in range(0, len(points) - _SMOOTHED_OVER + 1, _SMOOTHED_OVER)
        )
    ]
