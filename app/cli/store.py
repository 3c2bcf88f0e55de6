"""``auth-service store``: what operators do to the shared token store by hand.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 the store is unreachable, try again.
"""

import asyncio
import os

import click
import msgspec

from app import clock
from app.cli.command_audit import ACTOR, command_audit
from app.cli.configuration import UnusableConfiguration, load_or_stop
from app.cli.key_access import CONFIGURATION, FAILED, UNREACHABLE, Stopped
from app.cli.key_table import instant
from app.composition.redis_store import end_through_store
from app.config.problems import ConfigurationError
from app.config.tokens import LONGEST_TOKEN_SECONDS
from app.protocol.instant import parse_instant
from app.storage.epochs import Epoch, RevocationScope
from app.storage.interface import StoreError, StoreUnavailable


class _Instant(click.ParamType[int]):
    name = "TIME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_instant(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


@click.group(
    epilog="Exit codes: 0 done; 1 failed; 2 usage or configuration; 3 the store is unreachable, try again.",
)
def store() -> None:
    """Work on the shared token store."""


@store.command(short_help="Refuse everything issued before an instant.")
@click.option(
    "--before",
    type=_Instant(),
    required=True,
    help="RFC 3339 (2026-05-04T12:00:00Z) or Unix seconds; not in the future.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fence(before: int, as_json: bool) -> None:
    """Refuse every token that was issued before TIME, on every replica: refresh tokens and JWTs included.

    For a Redis that was restored from a backup, or promoted with data missing: what was revoked since may live in it.
    Clients get new tokens by themselves; people sign in again. There is no way back. A fence that is there already is
    never moved to an earlier time.
    """
    settings = load_or_stop(os.environ).settings
    if settings.store.redis_url is None:
        raise Stopped("REDIS_URL is not set: tokens in memory end with their process", CONFIGURATION)
    now = clock.unix_now()
    skew = settings.keys.key_clock_skew_seconds
    if before > now + skew:
        sentence = f"--before {instant(before)} lies in the future: tokens that are issued until then would be refused"
        raise click.UsageError(f"{sentence}; now is {instant(now)}")
    epoch = Epoch(RevocationScope.EVERYTHING, "", before, int(now) + LONGEST_TOKEN_SECONDS)
    audit = command_audit(settings)
    try:
        asyncio.run(end_through_store(settings.store, (epoch,)))
        audit.admin_changed(f"fenced the store: all tokens issued before {before} are refused", actor=ACTOR)
    except ConfigurationError as error:
        raise UnusableConfiguration(error) from None
    except StoreError as error:
        again = isinstance(error, StoreUnavailable) and error.kind != "refused"
        raise Stopped(str(error), UNREACHABLE if again else FAILED) from None
    finally:
        audit.close()
    staleness = settings.store.cache_max_staleness_seconds
    if as_json:
        told = {"before": before, "kept_until": epoch.until, "known_everywhere_within_seconds": staleness}
        click.echo(msgspec.json.encode(told))
        return
    click.echo(f"every token issued before {instant(before)} ({before}) is refused")
    click.echo(f"every replica knows it within {staleness:g} s; it is kept until {instant(epoch.until)}")
