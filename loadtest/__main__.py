"""The commands.

python -m loadtest list
python -m loadtest run smoke
python -m loadtest run capacity --url https://auth.example.com
python -m loadtest guide
python -m loadtest changes
python -m loadtest publish --guide build/loadtest/...
python -m loadtest model
python -m loadtest soak
"""

import contextlib
import functools
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from benchmarks.children import end_them_on_signals
from benchmarks.load import LoadError
from benchmarks.machine import REPOSITORY
from benchmarks.servers import ServerError
from loadtest import change_page, changes, publishing, soak, soak_figures, soak_page, sweep
from loadtest import target as targets
from loadtest.change_acts import ChangeFailed
from loadtest.change_stages import STAGES as CHANGES
from loadtest.checklist import as_markdown
from loadtest.cluster import run_in_cluster
from loadtest.generator import GeneratorMissing, find_k6, run
from loadtest.guide import STAGES, MixedRuns, run_guide, token_seconds, write_report
from loadtest.kube import ClusterError
from loadtest.model import measurements
from loadtest.model.calibration import calibrate
from loadtest.model.measure import measure
from loadtest.picture import PictureError, take
from loadtest.record import read_record
from loadtest.scenarios import SCENARIOS, scenario
from loadtest.target import Target
from loadtest.verdict import Exit

REPORTS = REPOSITORY / "build" / "loadtest"
_URL = click.option("--url", help="A service that runs elsewhere; its client comes from CLIENT_ID and CLIENT_SECRET.")
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_OUT = click.option("--out", type=click.Path(path_type=Path), help="Where reports go.  [default: build/loadtest/…]")


@click.group(help=__doc__.split("\n")[0])
def main() -> None:
    """Where the commands hang."""


@main.command("list", help="The scenarios that there are.")
def list_() -> None:
    width = max(len(one.name) for one in SCENARIOS)
    for one in SCENARIOS:
        click.echo(f"{one.name:{width}}  {one.says}")


@main.command("run", help="Run one scenario, against a service started for it or the one at --url.")
@click.argument("name")
@_URL
@_OUT
def run_one(name: str, url: str | None, out: Path | None) -> None:
    try:
        chosen = scenario(name)
        given = targets.given_by(os.environ)
        find_k6()
        with _target(url, redis=chosen.redis) as target:
            environ = {**target.environ, **given}
            if not chosen.calibrates:
                environ.pop("CALIBRATION_URL", None)
            outcome = run(chosen, environ=environ, report=out or _folder(name), cores=target.cores)
    except (KeyError, GeneratorMissing) as error:
        _end(Exit.USAGE, str(error.args[0]))
    except ServerError as error:
        _end(Exit.NOT_RUN, str(error))
    click.echo(f"{outcome.exit.words}; reports are in {outcome.report}", err=True)
    sys.exit(outcome.exit)


@main.command("guide", help="The whole performance test of the guide, with its validation checklist filled in.")
@_URL
@_OUT
@click.option("--stage", "stages", multiple=True, type=click.Choice(STAGES), help="Only this; with --out, again.")
def guide(url: str | None, out: Path | None, stages: tuple[str, ...]) -> None:
    try:
        environ = targets.given_by(os.environ)
        find_k6()
        folder = out or _folder("guide")
        with _target(url, token_seconds(environ)) as target:
            path, passed = run_guide(target, folder, environ, click.echo, time.monotonic, only=stages or STAGES)
    except (KeyError, GeneratorMissing, MixedRuns) as error:
        _end(Exit.USAGE, str(error.args[0]))
    except (ServerError, OSError) as error:
        _end(Exit.NOT_RUN, str(error))
    click.echo(path.read_text())
    click.echo(f"the report is {path}", err=True)
    sys.exit(Exit.PASSED if passed else Exit.FAILED)


@main.command("cluster", help="Run one scenario as the chart's Job in the current cluster, follow it, judge it.")
@click.argument("name", default="smoke")
@click.option("--release", default="auth-service", show_default=True)
@click.option("--namespace", default="default", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="More values for the chart.")
@_OUT
def cluster(name: str, release: str, namespace: str, settings: tuple[str, ...], out: Path | None) -> None:
    try:
        environ = targets.given_by(os.environ)
        run_id = environ.pop("RUN_ID", f"load-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        chosen = scenario(name)
        outcome = run_in_cluster(
            release=release,
            namespace=namespace,
            scenario=chosen,
            environ=environ,
            run_id=run_id,
            report=out or _folder(f"cluster-{name}"),
            settings=settings,
            say=lambda line: click.echo(line, err=True),
        )
    except KeyError as error:
        _end(Exit.USAGE, str(error.args[0]))
    except ClusterError as error:
        _end(Exit.NOT_RUN, str(error))
    click.echo(f"{outcome.exit.words}; reports are in {outcome.report}", err=True)
    sys.exit(outcome.exit)


@main.command("sweep", help="Every scenario once, in a short form: six minutes.")
@_URL
@_OUT
def sweep_all(url: str | None, out: Path | None) -> None:
    folder = out or _folder("sweep")
    try:
        environ = targets.given_by(os.environ)
        find_k6()
        with _target(url) as target:
            say = functools.partial(click.echo, err=True)
            on_redis = functools.partial(_target, url, redis=True)
            outcomes = dict(sweep.sweep(target, on_redis, folder, environ, say))
    except (KeyError, GeneratorMissing) as error:
        _end(Exit.USAGE, str(error.args[0]))
    except ServerError as error:
        _end(Exit.NOT_RUN, str(error))
    for name, outcome in outcomes.items():
        click.echo(f"{name}: {outcome.exit.words}", err=True)
    click.echo(f"reports are in {folder}", err=True)
    sys.exit(sweep.worst(outcome.exit for outcome in outcomes.values()))


@main.command(
    "changes", help="Load during a rotation of keys, a rollout and a failover of Redis, all really made here."
)
@click.option("--only", multiple=True, type=click.Choice(tuple(CHANGES)), help="Only this; may be given again.")
@_OUT
def changes_(only: tuple[str, ...], out: Path | None) -> None:
    folder = out or _folder("changes")
    say = functools.partial(click.echo, err=True)
    try:
        environ = targets.given_by(os.environ)
        find_k6()
        runs = changes.run_changes(only or tuple(CHANGES), folder, environ, say)
    except (KeyError, GeneratorMissing) as error:
        _end(Exit.USAGE, str(error.args[0]))
    except (ChangeFailed, LoadError, ServerError, OSError) as error:
        _end(Exit.NOT_RUN, str(error))
    (folder / "report.md").write_text(change_page.page(runs))
    click.echo(change_page.page(runs))
    click.echo(f"reports are in {folder}", err=True)
    sys.exit(sweep.worst(run.change.exit for run in runs))


@main.command("picture", help="A picture of a run's HTML report, for the documentation.")
@click.argument("folder", type=_FOLDER)
def picture(folder: Path) -> None:
    try:
        take(folder / "report.html", publishing.IMAGES / "load-test-report.png")
    except PictureError as error:
        _end(Exit.USAGE, str(error))


@main.command("publish", help="Put runs that were made into docs/operations/load-tests.md.")
@click.option("--guide", "guide_folder", type=_FOLDER, help="The folder of a run of the guide.")
@click.option("--claims", type=_FOLDER, multiple=True, help="Folders of runs at the guide's full rates.")
@click.option("--scenarios", type=_FOLDER, multiple=True, help="Folders of short runs of each scenario.")
@click.option("--changes", "changes_folder", type=_FOLDER, help="The folder of a run of `changes`.")
def publish(
    guide_folder: Path | None, claims: tuple[Path, ...], scenarios: tuple[Path, ...], changes_folder: Path | None
) -> None:
    try:
        if guide_folder is not None:
            record = read_record(guide_folder)
            write_report(record, guide_folder)
            publishing.publish_guide(record)
        for block, folders in (("claims", claims), ("scenarios", scenarios)):
            if folders:
                publishing.publish_runs(block, folders)
        if changes_folder is not None:
            publishing.publish_changes(changes.read_runs(changes_folder))
    except (OSError, ValueError) as error:
        _end(Exit.USAGE, str(error))


@main.command("model", help="The capacity model: its tables and plots for docs/scaling.md, from measured constants.")
@click.option("--measure", "anew", is_flag=True, help="Measure the constants first: two minutes on an idle machine.")
def model(anew: bool) -> None:
    if anew:
        try:
            measurements.FILE.write_bytes(msgspec.json.format(msgspec.json.encode(measure()), indent=1) + b"\n")
        except (LoadError, ServerError) as error:
            _end(Exit.NOT_RUN, str(error))
    publishing.publish_model(calibrate(measurements.read()))


@main.command("soak", help="Half an hour of everything at half the maximum: what the process weighs before and after.")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="After the warm-up.")
@click.option("--warm-up-minutes", type=click.FloatRange(min=0.0), default=3.0, show_default=True)
@click.option("--redis", "redis_url", metavar="URL", help="Keep the tokens there.  [default: in memory]")
@click.option("--publish", is_flag=True, help="Write docs/reliability.md and its picture.")
@_OUT
def soak_(minutes: float, warm_up_minutes: float, redis_url: str | None, publish: bool, out: Path | None) -> None:
    plan = soak.Plan(warm_up_seconds=warm_up_minutes * 60, seconds=minutes * 60)
    try:
        result = soak.soak(plan, redis_url)
    except (LoadError, ServerError, OSError) as error:
        _end(Exit.NOT_RUN, str(error))
    folder = out or _folder("soak")
    soak.save(result, folder / "soak.json")
    (folder / "soak.svg").write_text(soak_page.picture(result))
    verdict = soak_figures.lines(result)
    click.echo(as_markdown(verdict))
    click.echo(f"the figures and their picture are in {folder}", err=True)
    if publish:
        soak_page.publish(result)
    sys.exit(Exit.PASSED if all(line.passed for line in verdict) else Exit.FAILED)


def _target(
    url: str | None, seconds: int = targets.TOKEN_SECONDS, *, redis: bool = False
) -> contextlib.AbstractContextManager[Target]:
    """``redis``: what is started here must have one, be it that of ``REDIS_URL`` or its own."""
    if url is not None:
        return contextlib.nullcontext(targets.remote(url.rstrip("/"), os.environ))
    given = {"REDIS_URL": os.environ["REDIS_URL"]} if os.environ.get("REDIS_URL") else None
    if redis and given is None:
        return targets.local_on_redis(seconds)
    return targets.local(given, token_seconds=seconds)


def _folder(name: str) -> Path:
    return REPORTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{name}"


def _end(code: Exit, why: str) -> NoReturn:
    click.echo(f"loadtest: {why}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    end_them_on_signals()
    main()
