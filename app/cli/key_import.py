"""``auth-service keys import``: a private key from elsewhere, or a ring from a backup."""

import functools
from typing import Any

import click
import msgspec

from app import clock
from app.cli.command_audit import ACTOR
from app.cli.key_access import ALGORITHM, Access, Stopped, with_ring
from app.cli.key_results import change, tell
from app.keys.document import FORMAT, KeyEntry, RingDocument, decode
from app.keys.errors import KeyUsageError, RingDocumentError
from app.keys.importing import MAX_BYTES, private_keys
from app.keys.intervention import plan_import
from app.keys.policy import RotationPolicy
from app.keys.rotation import Plan
from app.keys.sources.interface import Stored
from app.keys.writer import entry_for


@click.command(name="import", short_help="Take in a private key, or restore a backup.")
@click.argument("file", type=click.File("rb"))
@click.option("--alg", "algorithm", type=ALGORITHM, help="What the key is for, where the file does not say.")
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
        tell(await change(access, take_in, may_begin=True), access)


def _plan_import(document: RingDocument, now: float, entry: KeyEntry, policy: RotationPolicy) -> Plan:
    return plan_import(document, entry, now, policy)


async def _restore(access: Access, content: bytes, replace: bool) -> None:
    document, held = decode(content), await access.source.read()
    if held is not None and not replace:
        raise KeyUsageError(f"there is a ring in {access.source.describe()} already; --replace restores over it")
    if held is not None:
        # Replicas never go back to an older revision of a place that may lose its content.
        document = msgspec.structs.replace(document, revision=_revision_over(held, document))
    if not await access.writer.restore(document, held):
        raise Stopped("another process wrote the ring meanwhile; nothing was restored")
    access.audit.admin_changed(f"key ring restored as revision {document.revision}", actor=ACTOR)
    click.echo(f"restored {len(document.keys)} keys as revision {document.revision}")


def _revision_over(held: Stored, document: RingDocument) -> int:
    try:
        return max(decode(held.body).revision, document.revision) + 1
    except RingDocumentError:
        return document.revision + 1  # what is there is damaged: the reason to restore
