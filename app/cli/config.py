"""``auth-service config``: is the configuration right, and what does it amount to?"""

import os
from pathlib import Path

import click
import msgspec

from app import clock
from app.cli.configuration import UnusableConfiguration, load_or_stop, show_warnings
from app.composition.redis_store import redis_acl_line
from app.config.clients import ClientsSource
from app.config.clients_reference import CLIENTS_REFERENCE
from app.config.documentation import reference, with_table
from app.config.effective import effective
from app.config.problems import ConfigurationError


@click.group()
def config() -> None:
    """Check the configuration."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(as_json: bool) -> None:
    """Check all settings and clients, and print the effective configuration.

    With Redis it also prints the line of Redis' ACL file that allows what the service does and nothing else.

    Secrets are not shown. Every mistake is printed; the exit code is then 2.
    """
    loaded = load_or_stop(os.environ)
    source = ClientsSource(loaded.settings, os.environ)
    try:
        clients = source.load(clock.unix_now())
    except ConfigurationError as error:
        raise UnusableConfiguration(error) from error
    show_warnings((*loaded.warnings, *clients.warnings))
    rows = effective(loaded)
    acl = redis_acl_line(loaded.settings.store)
    if as_json:
        settings = {row.name: {"value": row.value, "from": row.origin} for row in rows}
        document = {"settings": settings, "clients": len(clients.clients), "redis_acl": acl}
        click.echo(msgspec.json.format(msgspec.json.encode(document)))
        return
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            click.echo(f"{'' if row is rows[0] else chr(10)}# {section}")
        click.echo(f"{row.name}={row.value}" + ("" if row.origin == "environment" else f"  # {row.origin}"))
    if acl is not None:
        click.echo(f"\n# All that Redis must allow, as a line of its ACL file\n{acl}")
    count = len(clients.clients)
    click.echo(f"\n{'1 client is' if count == 1 else f'{count} clients are'} registered.")


@config.command(hidden=True)
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 if something is out of date.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The repository.",
)
def docs(only_check: bool, root: Path) -> None:
    """Write docs/configuration.md, docs/clients.md, and the table between the markers of README.md."""
    outdated = []
    for path, wanted in _generated(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != wanted:
            outdated.append(path)
            if not only_check:
                path.write_text(wanted, encoding="utf-8")
    for path in outdated:
        click.echo(f"{path}: {'is out of date' if only_check else 'written'}")
    if only_check and outdated:
        raise click.exceptions.Exit(1)


def _generated(root: Path) -> dict[Path, str]:
    files = {root / "docs" / "configuration.md": reference(), root / "docs" / "clients.md": CLIENTS_REFERENCE}
    readme = root / "README.md"
    if readme.exists():
        files[readme] = with_table(readme.read_text(encoding="utf-8"))
    return files
