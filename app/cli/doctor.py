"""``auth-service doctor``: what is wrong, and the next step.

Exit codes: 0 nothing is wrong, 1 something is, 2 usage or configuration, 3 nothing that was asked could be reached.
"""

import asyncio
import importlib.metadata
import os
from pathlib import Path

import click
import msgspec
from prometheus_client import CollectorRegistry

from app import __version__, clock
from app.cli.configuration import UnusableConfiguration, load_or_stop
from app.cli.diagnosis import alert_pages, table, tokens
from app.cli.diagnosis.bundle import about_this_machine, write_bundle
from app.cli.diagnosis.here import look_here, own_listeners
from app.cli.diagnosis.replicas import Asked, ask_all, ask_one
from app.cli.diagnosis.rules import Finding, Level, findings
from app.cli.diagnosis.seen import HereSeen, Seen
from app.cli.key_access import CONFIGURATION, FAILED, UNREACHABLE, Stopped
from app.cli.key_replicas import Replica, resolve
from app.composition.token_trace import TokenRecord, find_by_digest
from app.config.effective import effective
from app.config.load import Loaded
from app.config.problems import ConfigurationError
from app.config.secret_files import read_secret_file
from app.config.settings import Settings
from app.observability.store_metrics import StoreMetrics
from app.storage.interface import StoreError, StoreUnavailable

_HOW_TO_HASH = 'printf %s "$TOKEN" | sha256sum'


@click.group(
    invoke_without_command=True,
    epilog="Exit codes: 0 nothing is wrong; 1 something is; 2 usage or configuration; 3 nothing could be reached.",
)
@click.option(
    "--url",
    "urls",
    multiple=True,
    metavar="URL",
    help="A metrics or admin listener; every address of its name is asked, so a headless Service names all replicas. "
    "Can be repeated. The configuration is then not looked at.",
)
@click.option(
    "--admin-token-file",
    type=click.Path(path_type=Path),
    help="The operators' token, for /admin/stats over loopback or https. [default: ADMIN_TOKEN_FILE]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write what was seen to a new .tar.gz without secrets, for support.",
)
@click.pass_context
def doctor(
    context: click.Context, urls: tuple[str, ...], admin_token_file: Path | None, as_json: bool, bundle: Path | None
) -> None:
    """Say what is wrong with the running service, and what to do next.

    In a pod, with the same environment as the service, it looks at the process, the clients, the key ring's source and
    Redis. With --url it asks listeners alone. What is WRONG is so now; what is to be looked at was so since the start.
    """
    if context.invoked_subcommand is not None:
        if urls or admin_token_file or as_json or bundle:
            raise click.UsageError(f"options of doctor do not go with {context.invoked_subcommand}; put them behind it")
        return
    loaded = None if urls else load_or_stop(os.environ)
    asked, here = _look(loaded, urls, admin_token_file)
    seen = Seen(clock.unix_now(), tuple(each.seen for each in asked), here)
    found = findings(seen)
    lines = table.as_text(seen, found)
    if bundle is not None:
        _write(bundle, _texts(loaded, asked, seen, found, lines), seen.at)
    click.echo(_json(seen, found) if as_json else "\n".join(lines))
    if seen.nothing_answers:
        raise click.exceptions.Exit(UNREACHABLE)
    if any(each.level is Level.WRONG for each in found):
        raise click.exceptions.Exit(FAILED)


def _look(loaded: Loaded | None, urls: tuple[str, ...], token_file: Path | None) -> tuple[list[Asked], HereSeen | None]:
    if token_file is None and loaded is not None:
        token_file = loaded.settings.listeners.admin_token_file
    if token_file is None and os.environ.get("ADMIN_TOKEN_FILE"):
        token_file = Path(os.environ["ADMIN_TOKEN_FILE"])
    try:
        token = None if token_file is None else read_secret_file(token_file)
    except (OSError, ValueError) as error:
        raise Stopped(f"the operators' token cannot be read: {error}", CONFIGURATION) from None
    if loaded is None:
        return ask_all(_resolved(urls), token, clock.unix_now), None
    try:
        metrics, admin = own_listeners(loaded.settings)
    except (ValueError, OSError) as error:
        raise Stopped(str(error), CONFIGURATION) from None
    try:
        here = asyncio.run(look_here(loaded, os.environ, clock.unix_now, clock.stopwatch))
    except ConfigurationError as error:
        raise UnusableConfiguration(error) from None
    return [ask_one(metrics, admin, token, clock.unix_now)], here


def _resolved(urls: tuple[str, ...]) -> list[Replica]:
    found: list[Replica] = []
    for url in urls:
        try:
            found += resolve(url)
        except ValueError as error:
            raise click.UsageError(f"--url {error}") from None
        except OSError:
            raise Stopped("the name in --url is not known", UNREACHABLE) from None
    return found


# ---------------------------------------------------------------------- output


def _document(seen: Seen, found: tuple[Finding, ...]) -> dict[str, object]:
    replicas = [
        {
            "name": each.name,
            "problem": each.problem,
            "ready": each.ready,
            "checks": each.checks,
            "clock_ahead_seconds": each.clock_ahead_seconds,
            "stats": each.stats,
            "no_stats": each.no_stats,
        }
        for each in seen.replicas
    ]
    return {"at": seen.at, "findings": found, "replicas": replicas, "configuration": seen.here}


def _json(seen: Seen, found: tuple[Finding, ...]) -> str:
    return msgspec.json.format(msgspec.json.encode(_document(seen, found))).decode()


def _texts(
    loaded: Loaded | None, asked: list[Asked], seen: Seen, found: tuple[Finding, ...], lines: list[str]
) -> dict[str, str]:
    installed = ((each.name, each.version) for each in importlib.metadata.distributions())
    texts = {
        "report.txt": "\n".join(lines) + "\n",
        "report.json": _json(seen, found) + "\n",
        "releases.txt": about_this_machine(__version__, installed),
    }
    if loaded is not None:
        texts["settings.txt"] = "".join(f"{row.name}={row.value}  # {row.origin}\n" for row in effective(loaded))
    for number, each in enumerate(asked):
        for name, body in each.answers.items():
            texts[f"process-{number}/{name}"] = body.decode(errors="replace")
    return texts


def _write(path: Path, texts: dict[str, str], at: float) -> None:
    try:
        write_bundle(path, texts, at)
    except FileExistsError:
        raise Stopped(f"{path} is there already: name a new file", CONFIGURATION) from None
    except OSError as error:
        raise Stopped(f"{path}: {error.strerror}", FAILED) from None
    click.echo(f"written: {path}", err=True)


# ---------------------------------------------------------------------- explain


@doctor.command()
@click.argument("what", metavar="ALERT|TOKEN-DIGEST")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(what: str, as_json: bool) -> None:
    """Explain an alert, or tell what is known of a token by its digest.

    An alert: its meaning, thresholds and first steps, as of this release. A token is named by the SHA-256 of its text,
    as in audit events: sha256:… or the 64 digits; never give the token itself.
    """
    digest = tokens.DIGEST.fullmatch(what)
    if digest is not None:
        _explain_token(digest[1].lower(), as_json)
        return
    page = alert_pages.alert_pages().get(what)
    if page is None:
        raise click.UsageError(_unknown(what))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"alert": what, "explained": page})))
        return
    click.echo("\n".join(alert_pages.as_text(what, page)))


def _unknown(what: str) -> str:
    """Repeats nothing of a word that may be a secret."""
    if tokens.looks_like_a_secret(what):
        return (
            f"this looks like a token: give its digest instead ({_HOW_TO_HASH}). What was typed stays in the shell's "
            "history: revoke the token"
        )
    close = alert_pages.like(what)
    meant = f": {' or '.join(close)}?" if close else "; docs/runbooks/README.md lists the alerts"
    return f"neither an alert nor a token's digest (64 hexadecimal digits){meant}"


def _explain_token(digest: str, as_json: bool) -> None:
    settings = load_or_stop(os.environ).settings
    record, silent = _record(settings, digest)
    log = settings.process.audit_log
    events = None
    if log.startswith("/"):
        try:
            events = tokens.audit_events(Path(log), digest)
        except OSError as error:
            silent = f"{silent or ''} {log}: {error.strerror}".strip()
    now = clock.unix_now()
    told = None if record is None else tokens.facts(record, now)
    if as_json:
        document = {"token": f"sha256:{digest}", "record": told, "events": events, "not_known": silent}
        click.echo(msgspec.json.format(msgspec.json.encode(document)))
        return
    click.echo(f"token sha256:{digest}")
    for name, value in (told or {}).items():
        click.echo(f"  {name.ljust(12)} {value}")
    if told is None:
        click.echo(
            f"  no record: {silent or 'it expired, was revoked, is a JWT (nothing is kept of one), or is not ours'}"
        )
    if events is None:
        click.echo(f"\naudit events go to {log}; search what collects them for {digest}")
        return
    click.echo(f"\n{len(events)} audit events in {log}")
    for event in events:
        click.echo(f"  {tokens.event_line(event)}")


def _record(settings: Settings, digest: str) -> tuple[TokenRecord | None, str | None]:
    """The record, or why it is not known whether there is one."""
    if settings.store.redis_url is None:
        return None, "tokens in memory are known to their process alone: introspect it there"
    try:
        return asyncio.run(
            find_by_digest(settings.store, bytes.fromhex(digest), lambda: StoreMetrics(CollectorRegistry()))
        ), None
    except ConfigurationError as error:
        raise UnusableConfiguration(error) from None
    except StoreUnavailable as error:
        raise Stopped(str(error), UNREACHABLE) from None
    except StoreError as error:
        raise Stopped(str(error), FAILED) from None
