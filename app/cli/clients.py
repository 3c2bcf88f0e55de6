"""``auth-service clients``: make, check and list clients.

Rules: a secret is never an argument, which other users of the machine could read; it is typed at a prompt or comes
through stdin. It is shown once, by the command that makes it.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY

from app import clock
from app.cli.client_table import as_rows, as_table
from app.cli.configuration import UnusableConfiguration, load_or_stop, show_warnings
from app.config.client_entry import ClientDefaults
from app.config.client_secrets import SHORTEST_SAFE
from app.config.clients import ClientsSource, LoadedClients
from app.config.clients_file import parse_clients
from app.config.generated_secrets import new_client_id, new_secret, sha256_entry
from app.config.load import Loaded
from app.config.problems import ConfigurationError
from app.protocol.client_auth import looks_generated
from app.randomness import random_bytes


@click.group()
def clients() -> None:
    """Make, check and list clients."""


@clients.command()
@click.option("--id", "client_id", help="The client's id; made up if not given.")
@click.option(
    "--auth-method",
    type=click.Choice(["client_secret_basic", "client_secret_post"]),
    default="client_secret_basic",
    show_default=True,
    help="How the client will authenticate.",
)
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="A scope it may ask for; repeatable.")
@click.option(
    "--access-token-format",
    "access_token_format",
    type=click.Choice(["opaque", "jwt"]),
    help="The form of its access tokens. [default: opaque]",
)
@click.option(
    "--rate-limit-per-minute", "rate_limit", metavar="N|unlimited", help="[default: RATE_LIMIT_REQUESTS_PER_MINUTE]"
)
@click.option(
    "--expires-in",
    metavar="SECONDS",
    type=click.IntRange(60, 31_622_400),
    help="From then on the secret authenticates nobody. [default: never]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--into",
    metavar="secret://NAMESPACE/NAME",
    help="Print nothing; write the entries client-id, client-secret and clients.yaml of this Kubernetes Secret, which "
    "must exist. A secret that is there is kept; with --expires-in its time begins anew.",
)
def new(
    *,
    client_id: str | None,
    auth_method: str,
    scopes: tuple[str, ...],
    access_token_format: str | None,
    rate_limit: str | None,
    expires_in: int | None,
    as_json: bool,
    into: str | None,
) -> None:
    """Make a client with a generated secret of 256 bits.

    Prints the secret, which is kept nowhere, and the entry for the clients file, which holds only its hash.
    """
    if into is not None and as_json:
        raise click.UsageError("--into prints nothing: leave --json out")
    name = client_id if client_id is not None else new_client_id(random_bytes)
    until = "" if expires_in is None else f", not_after: {_rfc3339(clock.unix_now() + expires_in)}"

    def entry_for(secret: str) -> str:
        # JSON strings are YAML strings, whatever the id and the scopes contain.
        quoted = [msgspec.json.encode(text).decode() for text in (name, *scopes)]
        more = f"    access_token: {{format: {access_token_format}}}\n" if access_token_format else ""
        if rate_limit:
            limit = rate_limit if rate_limit.isdigit() else msgspec.json.encode(rate_limit).decode()
            more += f"    rate_limit_per_minute: {limit}\n"
        return (
            f"  - id: {quoted[0]}\n"
            f"    auth_method: {auth_method}\n"
            f'    secrets: [{{hash: "{sha256_entry(secret)}"{until}}}]\n'
            f"    grants: [client_credentials]\n"
            f"    scopes: [{', '.join(quoted[1:])}]\n{more}"
        )

    secret = new_secret(random_bytes)
    entry = entry_for(secret)
    _refuse_wrong(entry)
    if into is not None:
        from app.cli.client_into_secret import write_into  # noqa: PLC0415 - 0.6 s

        write_into(into, name, secret, entry_for)
        return
    if as_json:
        click.echo(msgspec.json.encode({"client_id": name, "client_secret": secret, "entry": entry}))
        return
    click.echo(f"client id:     {name}")
    click.echo(f"client secret: {secret}")
    click.echo("The secret is shown only now. The entry for the clients file, below `clients:`:\n", err=True)
    click.echo(f"\n{entry}", nl=False)


def _rfc3339(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refuse_wrong(entry: str) -> None:
    """An id or a scope of the command line may be impossible: the reader of the clients file is the judge."""
    content = parse_clients(f"version: 1\nclients:\n{entry}".encode(), "entry", Path(), ClientDefaults(), {})
    if content.problems:
        raise click.UsageError(str(content.problems[0]).partition(": ")[2])


@clients.command(name="hash")
@click.option("--argon2id", "method", flag_value="argon2id", help="For a secret that a person chose: slow to guess.")
@click.option("--sha256", "method", flag_value="sha256", help="For a generated secret of at least 256 bits: fast.")
def hash_secret(method: str | None) -> None:
    """Print the hash of a secret, for `secrets` in the clients file.

    The secret is typed at a prompt, or read from stdin where that is no terminal. Without an option a secret made by
    `clients new` gets SHA-256 and any other argon2id.
    """
    secret = _read_secret()
    if method is None:
        method = "sha256" if looks_generated(secret) else "argon2id"
    if method == "sha256":
        if not looks_generated(secret):
            click.echo("Warning: SHA-256 is safe only for a generated secret of at least 256 bits.", err=True)
        click.echo(sha256_entry(secret))
        return
    if len(secret) < SHORTEST_SAFE:
        click.echo(f"Warning: the secret has fewer than {SHORTEST_SAFE} characters and can be guessed.", err=True)
    click.echo(PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY).hash(secret))


def _read_secret() -> str:
    if sys.stdin.isatty():
        secret: str = click.prompt("Secret", hide_input=True, confirmation_prompt=True, err=True)
    else:
        # Exactly one line's end is not part of the secret.
        secret = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not secret or secret != secret.strip() or "\n" in secret or "\0" in secret:
        raise click.UsageError("a secret is one line of text without white space at its ends")
    return secret


@clients.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
def check(file: Path) -> None:
    """Check a clients FILE, or a folder of them, without starting anything.

    Every mistake is printed with its line; the exit code is then 2. Other settings count as the environment has them.
    """
    loaded = _load(_settings_for(file))
    show_warnings(loaded.warnings)
    count = len(loaded.clients)
    click.echo(f"{file}: {'1 client' if count == 1 else f'{count} clients'}, no mistakes")


@clients.command(name="list")
@click.argument("file", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_clients(file: Path | None, as_json: bool) -> None:
    """List the registered clients, or those of FILE. No secret is shown."""
    loaded = _load(load_or_stop(os.environ) if file is None else _settings_for(file))
    show_warnings(loaded.warnings)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(as_rows(loaded.clients, clock.unix_now()))))
    else:
        click.echo(as_table(loaded.clients, clock.unix_now()))


def _settings_for(file: Path) -> Loaded:
    """The settings, with ``file`` as the only source of clients."""
    sources = ("CLIENT_CREDENTIALS", "CLIENT_CREDENTIALS_FILE")
    environ = {name: value for name, value in os.environ.items() if name not in sources}
    return load_or_stop({**environ, "CLIENTS_FILE": str(file)})


def _load(loaded: Loaded) -> LoadedClients:
    try:
        return ClientsSource(loaded.settings, os.environ).load(clock.unix_now())
    except ConfigurationError as error:
        raise UnusableConfiguration(error) from error
