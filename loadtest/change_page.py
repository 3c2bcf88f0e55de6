"""The table of load under change: what was changed, when, and what those who called noticed."""

from collections.abc import Sequence

from loadtest.changes import ChangeRun

_HEAD = ("load during", "changed at", "what came of it", "seconds", "requests", "failed", "first to last failure")
_LATENCIES = ("p95", "p99", "longest", "verdict")


def table(runs: Sequence[ChangeRun]) -> str:
    """A row for each change; the latencies are those of the slower endpoint."""
    rows = [f"| {' | '.join((*_HEAD, *_LATENCIES))} |", "|---|---|---|" + "---:|" * 7 + "---|"]
    for one in runs:
        change, verdict = one.change, one.verdict
        at = "; ".join(f"{made.at_seconds:.0f} s: {made.what}" for made in change.made)
        came_to = "; ".join(made.came_to for made in change.made)
        came_to = "; ".join(part for part in (came_to, change.failure) if part)
        figures = [""] * 7
        if verdict is not None and verdict.endpoints:
            requests = sum(each.requests for each in verdict.endpoints)
            failed = sum(round(each.failed * each.requests) for each in verdict.endpoints)
            slowest = [
                max(getattr(each, name) for each in verdict.endpoints) for name in ("p95_ms", "p99_ms", "max_ms")
            ]
            figures = [
                f"{verdict.seconds:,.0f}",
                f"{requests:,}",
                f"{failed:,}",
                f"{verdict.outage_seconds:.1f} s" if failed else "",
                *(f"{ms:.2f} ms" for ms in slowest),
            ]
        rows.append(f"| {' | '.join((change.name, at, came_to, *figures, change.exit.words))} |")
    return "\n".join(rows)


def page(runs: Sequence[ChangeRun]) -> str:
    """The report of a folder."""
    began = runs[0].change.began
    words = ["# Load while something is changed", f"From {began} UTC: {runs[0].change.where}.", table(runs)]
    return "\n\n".join(words) + "\n"
