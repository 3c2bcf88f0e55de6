"""What the ``keys`` commands share: reading the ring, and telling what was done to it."""

import click
import msgspec

from app import clock
from app.cli.command_audit import ACTOR
from app.cli.key_access import Access
from app.cli.key_table import instant
from app.keys.document import RingDocument, decode
from app.keys.errors import KeysError, KeyUsageError
from app.keys.rotation import next_due
from app.keys.writer import Decide, Written
from app.observability.audit import Outcome


async def read_ring(access: Access) -> RingDocument:
    """The document as it is. Raises KeyUsageError where there is none, and what the source raises."""
    stored = await access.source.read()
    if stored is None:
        raise KeyUsageError(f"there is no ring in {access.source.describe()}; `auth-service keys init` makes one")
    return decode(stored.body)


async def change(access: Access, decide: Decide, *, may_begin: bool = False) -> Written:
    """Let the writer do what ``decide`` plans, and audit the keys that came of it, or the failure."""
    try:
        done = await access.writer.change(decide, may_begin=may_begin)
    except KeyUsageError:
        raise  # nothing was tried
    except KeysError:
        access.audit.key_rotated(actor=ACTOR, outcome=Outcome.FAILED)
        raise
    made = {entry.kid for entry in done.plan.add} | set(done.created)
    for entry in done.ring.document.keys:
        if entry.kid in made:
            access.audit.key_rotated(actor=ACTOR, kid=entry.kid, algorithm=entry.algorithm)
    return done


def tell(
    done: Written, access: Access, *, as_json: bool = False, dry: bool = False, nothing: str = "nothing is due"
) -> None:
    """Say what was done, or with ``dry`` what would be."""
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
