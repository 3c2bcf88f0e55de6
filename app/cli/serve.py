"""``auth-service serve``: run the service in this process, or in several."""

import asyncio
import functools
import os
import sys
from pathlib import Path
from typing import NoReturn

import click
import uvloop

from app.cli.demo import Demo, prepare_demo
from app.cli.workers import Supervisor, check_workers, inherited
from app.composition.allocator import give_back_large_blocks
from app.composition.interpreter import take_short_turns
from app.config.load import load_settings
from app.config.problems import ConfigurationError
from app.lifecycle import CannotStart, bind_sockets, run
from app.observability.logging import configure_logging
from app.web.serving import CannotListen

USAGE_OR_CONFIGURATION = 2


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes on one port. More than one needs Redis and shared keys; worker i, counted from 0, adds i to the "
    "ports of METRICS_ADDR and ADMIN_ADDR. On Kubernetes use more pods instead.",
)
@click.option(
    "--demo",
    is_flag=True,
    help="Register a demo client, make an operators' token, and print commands to try. For development.",
)
def serve(workers: int, demo: bool) -> None:
    """Run the service; settings come from the environment (see `auth-service config check`)."""
    environ = dict(os.environ)
    prepared: Demo | None = None
    if demo:
        prepared = prepare_demo(Path(".local"), environ)
        environ.update(prepared.environ)
    try:
        loaded = load_settings(environ)
    except ConfigurationError as error:
        _refuse(error)
    settings = loaded.settings
    configure_logging(
        settings.process.log_level,
        settings.process.log_format,
        sys.stderr,
        plain_text=bool(environ.get("NO_COLOR")),
    )
    try:
        if workers > 1:
            check_workers(settings)
            if prepared is not None:
                prepared.announce(settings)
            sys.exit(Supervisor(workers, settings, environ).run())
        worker, public = inherited()
        give_back_large_blocks()
        take_short_turns()
        sockets = bind_sockets(settings, worker=worker, public=public)
        on_ready = functools.partial(prepared.announce, settings) if prepared else None
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(loaded, environ, sockets, on_ready=on_ready))
    except asyncio.CancelledError:
        click.echo("auth-service was told to stop while it started", err=True)
    except ConfigurationError as error:
        _refuse(error)
    except (CannotStart, CannotListen) as error:
        click.echo(f"auth-service cannot start: {error}", err=True)
        sys.exit(error.exit_code if isinstance(error, CannotStart) else 1)


def _refuse(error: ConfigurationError) -> NoReturn:
    click.echo("The configuration cannot be used:", err=True)
    for problem in error.problems:
        click.echo(f"  {problem}", err=True)
    sys.exit(USAGE_OR_CONFIGURATION)
