"""``auth-service keys``: make, show, rotate, revoke, import and export the signing keys.

Rules: results go to stdout and everything else to stderr; private keys are never printed. Every command that changes
the ring may run any number of times at once: exactly one of them does what is due.
"""

import functools
import sys
from typing import Any

import click
import msgspec
from cryptography.hazmat.primitives import serialization

from app import clock
from app.cli.key_access import CONFIGURATION, FAILED, Access, Stopped, exit_code_of, with_ring
from app.cli.key_replicas import Replica, resolve, wait_until_dropped
from app.cli.key_table import as_table, duration, instant
from app.keys.algorithms import ALGORITHMS
from app.keys.document import FORMAT, KeyEntry, RingDocument, decode
from app.keys.errors import KeyUsageError, RingDocumentError
from app.keys.findings import findings
from app.keys.importing import MAX_BYTES, private_keys
from app.keys.intervention import plan_import, plan_promotion, plan_retirement
from app.keys.jwk import load_public
from app.keys.jwks import jwks_document
from app.keys.leak import AuditEvent, Revocation, RevokeKidInStore
from app.keys.leak import revoke as revoke_keys
from app.keys.loading import build_ring
from app.keys.policy import RotationPolicy
from app.keys.ring import state_of
from app.keys.rotation import Plan, join, next_due, next_switch, plan
from app.keys.sources.interface import Stored
from app.keys.status import key_status
from app.keys.writer import Written, entry_for

_ALGORITHM = click.Choice(list(ALGORITHMS))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(
    epilog="Exit codes: 0 done, nothing due, or another did it; 1 failed; 2 usage or configuration; "
    "3 the source is unreachable, try again.",
)
def keys() -> None:
    """Manage the signing keys."""


@keys.command(short_help="Make the first ring.")
@click.option("--alg", "algorithms", type=_ALGORITHM, multiple=True, help="Repeatable. [default: KEYS_ALGORITHMS]")
@click.option("--if-absent", is_flag=True, help="It is fine if there is a ring already.")
@with_ring
async def init(access: Access, algorithms: tuple[str, ...], if_absent: bool) -> None:
    """Make the first ring: for each algorithm a key that signs at once, and its successor."""
    policy = msgspec.structs.replace(access.policy, algorithms=algorithms) if algorithms else access.policy

    def begin(document: RingDocument, now: float) -> Plan:
        if document.keys and not if_absent:
            raise KeyUsageError(f"there is a ring in {access.source.describe()} already")
        return Plan() if document.keys else plan(document, now, policy)

    _tell(await access.writer.change(begin, may_begin=True), access, nothing="there is a ring already")


@keys.command(name="list", short_help="Show all keys and what comes next.")
@_JSON
@with_ring
async def list_keys(access: Access, as_json: bool) -> None:
    """Show all keys, their states and what comes next. Needs no key-encryption key."""
    document, now = await _read(access), clock.unix_now()
    rows = key_status(document, now)
    switches = {a: next_switch(document, a, now, access.policy) for a in access.policy.algorithms}
    if as_json:
        click.echo(
            msgspec.json.encode(
                {
                    "source": access.source.describe(),
                    "revision": document.revision,
                    "keys": rows,
                    "next_rotation": {a: at for a, at in switches.items() if at is not None},
                    "due": plan(document, now, access.policy).is_due,
                }
            )
        )
        return
    for line in as_table(rows, now):
        click.echo(line)
    click.echo(f"\n{access.source.describe()}, revision {document.revision}", err=True)
    for algorithm, at in switches.items():
        if at is not None:
            click.echo(f"next rotation of {algorithm}: {instant(at)}", err=True)


@keys.command(short_help="Do what is due.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--force", is_flag=True, help="Rotate although nothing is due; still no sooner than verifiers allow.")
@click.option("--prune", is_flag=True, help="Phase out algorithms that KEYS_ALGORITHMS no longer names.")
@_JSON
@with_ring
async def rotate(access: Access, dry_run: bool, force: bool, prune: bool, as_json: bool) -> None:
    """Do what is due: to be run more often than keys rotate, hourly for daily keys, any number at a time."""

    def decide(document: RingDocument, now: float) -> Plan:
        due = plan(document, now, access.policy, force=force)
        unwanted = tuple(sorted({k.algorithm for k in document.keys} - set(access.policy.algorithms)))
        return join([due, plan_retirement(document, unwanted, now, access.policy)]) if prune and unwanted else due

    if dry_run:
        document, now = await _read(access), clock.unix_now()
        _tell(Written(decide(document, now), build_ring(document, access.kek)), access, as_json=as_json, dry=True)
        return
    _tell(await access.writer.change(decide), access, as_json=as_json)


@keys.command(short_help="Let a published key sign.")
@click.argument("kid")
@click.option("--now", "at_once", is_flag=True, help="At once, instead of as soon as every verifier knows the key.")
@with_ring
async def promote(access: Access, kid: str, at_once: bool) -> None:
    """Let the published key KID sign."""
    done = await access.writer.change(lambda d, now: plan_promotion(d, kid, now, access.policy, at_once=at_once))
    _tell(done, access)
    entry = done.ring.document.find(kid)
    if entry is not None and at_once and entry.created_at + access.policy.lead_seconds > clock.unix_now():
        wait = entry.created_at + access.policy.lead_seconds - clock.unix_now()
        click.echo(f"Warning: verifiers that cache the JWKS may not know it for {duration(wait)}", err=True)


@keys.command(short_help="Purge a leaked key at once.")
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
    replicas = _replicas(replica_urls)
    if not yes:
        what = "all keys" if everything else f"the key {kid}"
        _confirm(f"Revoke {what}? Every token that was signed with it will be refused.")
    done = await revoke_keys(
        access.writer,
        None if kid is None else frozenset({kid}),
        reason,
        clock=clock.unix_now,
        revoke_kid_in_store=store_revoker(access),
        audit=_audit,
    )
    _tell_revocation(done, access)
    late = await _wait(replicas, frozenset(done.kids), 180.0 if wait_seconds is None else wait_seconds)
    if done.problem is not None:
        raise Stopped(f"the ring still has the key: {done.problem}", exit_code_of(done.problem))
    if done.store_problem is not None:
        raise Stopped(f"the store does not know of it: {done.store_problem}", 3)
    if late:
        raise Stopped(f"these replicas still publish the key: {', '.join(map(str, late))}")


@keys.command(name="import", short_help="Take in a private key, or restore a backup.")
@click.argument("file", type=click.File("rb"))
@click.option("--alg", "algorithm", type=_ALGORITHM, help="What the key is for, where the file does not say.")
@click.option("--replace", is_flag=True, help="Restore a ring document over the one that is there.")
@with_ring
async def import_keys(access: Access, file: Any, algorithm: str | None, replace: bool) -> None:
    """Take in a private key (PEM, JWK, JWK set), or restore a ring document from a backup. `-` is stdin.

    A key becomes a published successor; `promote` lets it sign.
    """
    content = file.read(MAX_BYTES + 1)
    if FORMAT.encode() in content[:200]:
        await _restore(access, content, replace)
        return
    now = clock.unix_now()
    entries = [entry_for(alg, key, now, None) for alg, key in private_keys(content, algorithm)]
    for entry in entries:
        take_in = functools.partial(_plan_import, entry=entry, policy=access.policy)
        _tell(await access.writer.change(take_in, may_begin=True), access)


@keys.command(short_help="Print the public keys.")
@click.option("--public", is_flag=True, help="Required: nothing else is ever exported.")
@click.option("--format", "form", type=click.Choice(["jwks", "pem"]), default="jwks", show_default=True)
@with_ring
async def export(access: Access, public: bool, form: str) -> None:
    """Print the public keys that verifiers need now."""
    if not public:
        raise click.UsageError("only public keys are exported: say --public")
    document, now = await _read(access), clock.unix_now()
    without_private = tuple(msgspec.structs.replace(entry, private=None) for entry in document.keys)
    ring = build_ring(msgspec.structs.replace(document, keys=without_private), None)
    if form == "jwks":
        click.echo(msgspec.json.format(jwks_document(ring, now).body, indent=2))
        return
    for key in ring.published(now):
        pem = load_public(key.algorithm, key.entry.public).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        click.echo(f"# {key.kid} {key.algorithm} {state_of(key.entry, now)}\n{pem.decode()}", nl=False)


@keys.command(short_help="Check the ring.")
@with_ring
async def verify(access: Access) -> None:
    """Check that the ring can be used, and that every key in it is where it should be."""
    document, now = await _read(access), clock.unix_now()
    build_ring(document, access.kek)
    found = findings(document, now, access.policy, kek_given=access.kek is not None)
    for finding in found:
        click.echo(f"{'problem' if finding.grave else 'note'}: {finding.text}")
    if any(finding.grave for finding in found):
        sys.exit(FAILED)
    click.echo(f"{access.source.describe()}: {len(document.keys)} keys, revision {document.revision}: fine")


def store_revoker(_access: Access) -> RevokeKidInStore | None:
    """What tells the store that a kid is revoked; None where no store can be told."""
    return None


def _plan_import(document: RingDocument, now: float, entry: KeyEntry, policy: RotationPolicy) -> Plan:
    return plan_import(document, entry, now, policy)


async def _read(access: Access) -> RingDocument:
    stored = await access.source.read()
    if stored is None:
        raise KeyUsageError(f"there is no ring in {access.source.describe()}; `auth-service keys init` makes one")
    return decode(stored.body)


def _tell(
    done: Written, access: Access, *, as_json: bool = False, dry: bool = False, nothing: str = "nothing is due"
) -> None:
    document, now = done.ring.document, clock.unix_now()
    if as_json:
        result = {
            "changed": done.changed and not dry,
            "due": done.changed,
            "created": done.created,
            "notes": done.plan.notes,
            "revision": document.revision,
            "races_lost": done.races_lost,
            "next_due": next_due(document, now, access.policy),
        }
        click.echo(msgspec.json.encode(result))
        return
    for note in done.plan.notes:
        click.echo(f"{'would do: ' if dry else ''}{note}")
    for kid in done.created:
        click.echo(f"new key: {kid}")
    if not done.changed:
        click.echo(f"{nothing}; the next rotation is prepared {instant(next_due(document, now, access.policy))}")


def _replicas(urls: tuple[str, ...]) -> tuple[Replica, ...]:
    try:
        return tuple(replica for url in urls for replica in resolve(url))
    except (OSError, ValueError) as error:
        raise Stopped(f"--replica: {error}", CONFIGURATION) from None


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("say --yes to revoke without being asked")
    click.confirm(question, abort=True, err=True)


def _audit(event: AuditEvent) -> None:
    click.echo(msgspec.json.encode(event), err=True)


def _tell_revocation(done: Revocation, access: Access) -> None:
    if done.written is not None:
        _tell(done.written, access, nothing="revoked already")
    if done.in_store:
        click.echo("every replica refuses its tokens within the bound of the store")
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


async def _restore(access: Access, content: bytes, replace: bool) -> None:
    document, held = decode(content), await access.source.read()
    if held is not None and not replace:
        raise KeyUsageError(f"there is a ring in {access.source.describe()} already; --replace restores over it")
    if held is not None:
        # Replicas never go back to an older revision of a place that may lose its content.
        document = msgspec.structs.replace(document, revision=_revision_over(held, document))
    if not await access.writer.restore(document, held):
        raise Stopped("another process wrote the ring meanwhile; nothing was restored")
    click.echo(f"restored {len(document.keys)} keys as revision {document.revision}")


def _revision_over(held: Stored, document: RingDocument) -> int:
    try:
        return max(decode(held.body).revision, document.revision) + 1
    except RingDocumentError:
        return document.revision + 1  # what is there is damaged: the reason to restore
