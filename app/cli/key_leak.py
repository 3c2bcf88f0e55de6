"""``auth-service keys revoke``: the leak drill, from the question to the last replica."""

import sys
from functools import partial

import click

from app import clock
from app.cli.command_audit import ACTOR
from app.cli.key_access import CONFIGURATION, TAKES_A_KID, UNREACHABLE, Access, Stopped, exit_code_of, with_ring
from app.cli.key_replicas import Replica, resolve, wait_until_dropped
from app.cli.key_results import tell
from app.cli.key_table import duration
from app.composition.redis_store import end_through_store
from app.config.store import StoreSettings
from app.keys.leak import Revocation
from app.keys.leak import revoke as revoke_keys
from app.storage.epochs import end_of_key


@click.command(short_help="Purge a leaked key at once.", context_settings=TAKES_A_KID)
@click.argument("kid", required=False)
@click.option("--all", "everything", is_flag=True, help="All keys: the whole ring leaked.")
@click.option("--reason", required=True, help="For the ring and the audit log.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--replica",
    "replica_urls",
    metavar="URL",
    multiple=True,
    help="Wait until this replica has the new ring; a name stands for all of its addresses. Repeatable.",
)
@click.option("--wait", "wait_seconds", type=click.FloatRange(0, 3600), help="At most so many seconds. [default: 180]")
@with_ring
async def revoke(
    access: Access,
    *,
    kid: str | None,
    everything: bool,
    reason: str,
    yes: bool,
    replica_urls: tuple[str, ...],
    wait_seconds: float | None,
) -> None:
    """Purge the leaked key KID at once: its successor signs, and what it signed is refused."""
    if (kid is None) is not everything:
        raise click.UsageError("name either one KID or --all")
    replicas, store = _replicas(replica_urls), access.settings.store
    if not yes:
        what = "all keys" if everything else f"the key {kid}"
        _confirm(f"Revoke {what}? Every token that was signed with it will be refused.")
    done = await revoke_keys(
        access.writer,
        None if kid is None else frozenset({kid}),
        reason,
        clock=clock.unix_now,
        end_keys_in_store=None if store.redis_url is None else partial(_end_in_store, store),
        audit=lambda kid, algorithm: access.audit.key_revoked(actor=ACTOR, kid=kid, algorithm=algorithm, reason=reason),
    )
    _tell_revocation(done, access)
    late = await _wait(replicas, frozenset(done.kids), 180.0 if wait_seconds is None else wait_seconds)
    if done.problem is not None:
        raise Stopped(f"the ring still has the key: {done.problem}", exit_code_of(done.problem))
    if done.store_problem is not None:
        raise Stopped(f"the store does not know of it: {done.store_problem}", UNREACHABLE)
    if late:
        raise Stopped(f"these replicas still publish the key: {', '.join(map(str, late))}")


async def _end_in_store(store: StoreSettings, until_by_kid: dict[str, int]) -> None:
    await end_through_store(store, [end_of_key(kid, until) for kid, until in until_by_kid.items()])


def _replicas(urls: tuple[str, ...]) -> tuple[Replica, ...]:
    try:
        return tuple(replica for url in urls for replica in resolve(url))
    except (OSError, ValueError) as error:
        raise Stopped(f"--replica: {error}", CONFIGURATION) from None


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("say --yes to revoke without being asked")
    click.confirm(question, abort=True, err=True)


def _tell_revocation(done: Revocation, access: Access) -> None:
    if done.written is not None:
        tell(done.written, access, nothing="revoked already")
    if done.in_store:
        bound = access.settings.store.cache_max_staleness_seconds
        click.echo(f"every replica refuses its tokens, and signs with its successor, within {duration(bound)}")
    for kid in done.unknown_heirs:
        click.echo(f"Warning: {kid} signs before all verifiers know it: there was no older successor", err=True)
    click.echo(
        f"verifiers that cache the JWKS may accept its tokens for {duration(done.lag_seconds)} more at worst"
        f" ({duration(access.policy.max_age_seconds)} of cache, the rest until every replica has the ring)"
    )


async def _wait(replicas: tuple[Replica, ...], kids: frozenset[str], seconds: float) -> tuple[Replica, ...]:
    if not replicas:
        return ()
    return await wait_until_dropped(
        replicas,
        kids,
        seconds=seconds,
        clock=clock.monotonic,
        tell=lambda replica: click.echo(f"{replica} has the new ring"),
    )
