"""``auth-service keys``: make, show, rotate, revoke, import and export the signing keys.

Rules: results go to stdout and everything else to stderr; private keys are never printed. Every command that changes
the ring may run any number of times at once: exactly one of them does what is due.
"""

import sys

import click
import msgspec
from cryptography.hazmat.primitives import serialization

from app import clock
from app.cli.command_audit import ACTOR
from app.cli.key_access import ALGORITHM, FAILED, TAKES_A_KID, Access, with_ring
from app.cli.key_import import import_keys
from app.cli.key_leak import revoke
from app.cli.key_results import change, read_ring, tell
from app.cli.key_table import as_table, duration, instant
from app.keys.document import RingDocument
from app.keys.errors import KeyUsageError
from app.keys.findings import findings
from app.keys.intervention import plan_promotion, plan_retirement
from app.keys.jwk import load_public
from app.keys.jwks import jwks_document
from app.keys.loading import build_ring
from app.keys.ring import state_of
from app.keys.rotation import Plan, join, next_switch, plan
from app.keys.status import key_status
from app.keys.writer import Written

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(
    epilog="Exit codes: 0 done, nothing due, or another did it; 1 failed; 2 usage or configuration; "
    "3 the source is unreachable, try again.",
)
def keys() -> None:
    """Manage the signing keys."""


@keys.command(short_help="Make the first ring.")
@click.option("--alg", "algorithms", type=ALGORITHM, multiple=True, help="Repeatable. [default: KEYS_ALGORITHMS]")
@click.option("--if-absent", is_flag=True, help="It is fine if there is a ring already.")
@with_ring
async def init(access: Access, algorithms: tuple[str, ...], if_absent: bool) -> None:
    """Make the first ring: for each algorithm a key that signs at once, and its successor."""
    policy = msgspec.structs.replace(access.policy, algorithms=algorithms) if algorithms else access.policy

    def begin(document: RingDocument, now: float) -> Plan:
        if document.keys and not if_absent:
            raise KeyUsageError(f"there is a ring in {access.source.describe()} already")
        return Plan() if document.keys else plan(document, now, policy)

    tell(await change(access, begin, may_begin=True), access, nothing="there is a ring already")


@keys.command(name="list", short_help="Show all keys and what comes next.")
@_JSON
@with_ring
async def list_keys(access: Access, as_json: bool) -> None:
    """Show all keys, their states and what comes next. Needs no key-encryption key."""
    document, now = await read_ring(access), clock.unix_now()
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
        document, now = await read_ring(access), clock.unix_now()
        tell(Written(decide(document, now), build_ring(document, access.kek)), access, as_json=as_json, dry=True)
        return
    tell(await change(access, decide), access, as_json=as_json)


@keys.command(short_help="Let a published key sign.", context_settings=TAKES_A_KID)
@click.argument("kid")
@click.option("--now", "at_once", is_flag=True, help="At once, instead of as soon as every verifier knows the key.")
@with_ring
async def promote(access: Access, kid: str, at_once: bool) -> None:
    """Let the published key KID sign."""
    done = await change(access, lambda d, now: plan_promotion(d, kid, now, access.policy, at_once=at_once))
    tell(done, access)
    if done.changed:
        access.audit.admin_changed(f"key {kid} promoted", actor=ACTOR)
    entry = done.ring.document.find(kid)
    if entry is not None and at_once and entry.created_at + access.policy.lead_seconds > clock.unix_now():
        wait = entry.created_at + access.policy.lead_seconds - clock.unix_now()
        click.echo(f"Warning: verifiers that cache the JWKS may not know it for {duration(wait)}", err=True)


@keys.command(short_help="Print the public keys.")
@click.option("--public", is_flag=True, help="Required: nothing else is ever exported.")
@click.option("--format", "form", type=click.Choice(["jwks", "pem"]), default="jwks", show_default=True)
@with_ring
async def export(access: Access, public: bool, form: str) -> None:
    """Print the public keys that verifiers need now."""
    if not public:
        raise click.UsageError("only public keys are exported: say --public")
    document, now = await read_ring(access), clock.unix_now()
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
    document, now = await read_ring(access), clock.unix_now()
    build_ring(document, access.kek)
    found = findings(document, now, access.policy, kek_given=access.kek is not None)
    for finding in found:
        click.echo(f"{'problem' if finding.grave else 'note'}: {finding.text}")
    if any(finding.grave for finding in found):
        sys.exit(FAILED)
    click.echo(f"{access.source.describe()}: {len(document.keys)} keys, revision {document.revision}: fine")


keys.add_command(revoke)
keys.add_command(import_keys)
