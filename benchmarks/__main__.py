"""``python -m benchmarks``: measure the service, compare it with an earlier commit, publish the figures."""

import json
import os
import sys
from pathlib import Path

import click
import msgspec

from benchmarks import bench, key_report, memory
from benchmarks import compare as comparison
from benchmarks import profile as profiling
from benchmarks import publish as publication
from benchmarks.children import end_them_on_signals
from benchmarks.drawing import DrawingError
from benchmarks.http_rounds import Schedule
from benchmarks.idle_cores import polling
from benchmarks.load import LoadError
from benchmarks.machine import describe
from benchmarks.micro import prepare
from benchmarks.redis_rows import REDIS_TOKENS
from benchmarks.repetition import SAMPLES, measure_all
from benchmarks.results import Results
from benchmarks.sections import render
from benchmarks.servers import ServerError
from benchmarks.standstill import SECONDS, watch
from benchmarks.statistics import LEAST_ROUNDS
from benchmarks.summary import table

RESULTS = Path(__file__).parent / "results"
LATEST = RESULTS / "latest.json"

_rounds = click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
_seconds = click.option(
    "--seconds", type=click.IntRange(min=1), default=5, show_default=True, help="Of each run in a round."
)
_only = click.option("--only", multiple=True, metavar="TEXT", help="Only rows whose names contain it; repeatable.")


@click.group()
@click.option(
    "--idle-cores",
    type=click.Choice(("poll", "sleep")),
    default="poll",
    show_default=True,
    envvar="BENCH_IDLE_CORES",
    show_envvar=True,
    help="Whether cores without work stay awake, as they can for root: asleep, the server pays for waking the load.",
)
@click.pass_context
def main(context: click.Context, idle_cores: str) -> None:
    """Measure the service; see docs/performance.md."""
    context.obj = idle_cores == "poll" and context.with_resource(polling())


@main.command()
@_rounds
@_seconds
@_only
@click.option("--part", "parts", multiple=True, type=click.Choice(bench.PARTS), help="Only these; repeatable.")
@click.option(
    "--redis-tokens",
    type=click.IntRange(min=1),
    default=REDIS_TOKENS,
    show_default=True,
    help="How many lie in Redis; the cache holds 10,000.",
)
@click.option("--json", "file", type=click.Path(path_type=Path), default=LATEST, help="Where the figures are kept.")
@click.pass_context
def run(  # noqa: PLR0917 - click passes them by name
    context: click.Context,
    rounds: int,
    seconds: int,
    only: tuple[str, ...],
    parts: tuple[str, ...],
    redis_tokens: int,
    file: Path,
) -> None:
    """Measure this working tree: the table, the sizes, the steps."""
    machine = describe(idle_cores_polled=context.obj)
    results = bench.run(Schedule(rounds, seconds), machine, parts or bench.DEFAULT, only, redis_tokens)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    click.echo(render(results), nl=False)


@main.command()
@click.argument("base")
@click.option("--rounds", type=click.IntRange(min=LEAST_ROUNDS), default=12, show_default=True)
@click.option("--seconds", type=click.IntRange(min=1), default=1, show_default=True, help="Of each run in a round.")
@_only
@click.option("--part", "parts", multiple=True, type=click.Choice(comparison.PARTS), help="Only these; repeatable.")
@click.option("--report", is_flag=True, help="Exit code 0 whatever was found.")
def compare(  # noqa: PLR0917 - click passes them by name
    base: str, rounds: int, seconds: int, only: tuple[str, ...], parts: tuple[str, ...], report: bool
) -> None:
    """Compare this working tree with the commit BASE; exit code 1 if it is certainly over 10 % worse in anything."""
    compared = comparison.compare(base, Schedule(rounds, seconds), only, parts or comparison.PARTS)
    head = ("", base, "working tree", "change", "95 % interval", "by the clock", "")
    click.echo("\n".join(table(head, comparison.lines(compared))))
    losses = [one.name for one in compared if one.is_loss]
    if losses and report:
        click.echo(f"over 10 % worse than {base}: {'; '.join(losses)}")
    elif losses:
        raise click.ClickException(f"over 10 % worse than {base}: {'; '.join(losses)}")


@main.command()
@click.option("--seconds", type=click.FloatRange(min=0.1), default=SECONDS, show_default=True, help="For each core.")
def cores(seconds: float) -> None:
    """How long each core stands still by itself; BENCH_SERVER_CORE chooses one for the server."""
    for core in sorted(os.sched_getaffinity(0)):
        click.echo(f"core {core} stood still for {watch(core, seconds)}")


@main.command()
@click.option("--samples", type=click.IntRange(min=1), default=SAMPLES, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Medians in nanoseconds, by name.")
def steps(samples: int, as_json: bool) -> None:
    """Time the steps of a request in this process."""
    timed = measure_all(prepare(), samples=samples)
    if as_json:
        click.echo(json.dumps({name: ns.median for name, ns in timed.items()}))
    else:
        for name, ns in timed.items():
            click.echo(f"{name:55} {ns.median / 1e3:8.2f} us ({ns.low / 1e3:.2f}-{ns.high / 1e3:.2f})")


@main.command()
@click.option("--seconds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--flame-graph", is_flag=True, help="Draw it for docs/performance.md, by py-spy, instead of the table.")
def profile(seconds: int, flame_graph: bool) -> None:
    """Where the time of an introspection goes, by perf: the kernel, the event loop, the parser, the work."""
    if flame_graph:
        click.echo(profiling.draw(seconds))
    else:
        click.echo("\n".join(table(("", "of the time", "a request"), list(profiling.lines(seconds)))))


@main.command()
@click.option("--rounds", type=click.IntRange(min=3), default=7, show_default=True)
@_seconds
def keys(rounds: int, seconds: int) -> None:
    """What keys cost: RSA generation beside introspection, RSA signing by threads, ES256 issuance by its parts."""
    for line in key_report.lines(rounds, seconds):
        click.echo(line)


@main.command()
@click.argument("files", type=click.Path(path_type=Path, exists=True), nargs=-1)
def publish(files: tuple[Path, ...]) -> None:
    """Put the figures of runs (without any: of the latest) into docs/performance.md and draw them."""
    runs = [msgspec.json.decode(file.read_bytes(), type=Results) for file in files or (LATEST,)]
    for written in publication.publish(runs):
        click.echo(written)


@main.command("weigh-store", hidden=True)
@click.argument("tokens", type=int)
def weigh_store(tokens: int) -> None:
    """Print the MB by which this process grows when its store gets TOKENS tokens."""
    click.echo(memory.weigh_store(tokens))


if __name__ == "__main__":
    end_them_on_signals()
    try:
        main()
    except (LoadError, ServerError, DrawingError, comparison.CompareError, publication.PublishError) as error:
        sys.exit(f"the benchmark cannot be made: {error}")
