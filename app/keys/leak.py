"""The leak drill: everything that ends a key at once, in the order in which it takes effect.

1. The store learns it: every replica drops the key and its tokens within the bound of the store.
2. The ring learns it, in one write: the key leaves the JWKS, its successor signs, a new successor is published.
3. The audit log learns it.
What remains is what verifiers have cached; ``lag_seconds`` is how long at worst.

Rules: a failure of the store does not keep the ring from being changed, nor the other way round.
"""

from collections.abc import Awaitable, Callable

import msgspec

from app.keys.document import RingDocument
from app.keys.errors import KeysError, SourceError
from app.keys.intervention import plan_revocation
from app.keys.policy import RotationPolicy
from app.keys.rotation import Plan, signing_entry
from app.keys.writer import RingWriter, Written

EndKeysInStore = Callable[[dict[str, int]], Awaitable[None]]
"""Takes kids, and for each the Unix seconds until which the store must remember it. Raises what the store raises."""


class Revocation(msgspec.Struct, frozen=True):
    """What was done, and what remains."""

    kids: tuple[str, ...]
    written: Written | None
    """None if the ring could not be written; ``problem`` says why."""
    problem: KeysError | None
    in_store: bool | None
    """Whether the store knows; None where there is none."""
    store_problem: Exception | None
    unknown_heirs: tuple[str, ...]
    """Keys that sign now although verifiers with a cached JWKS do not know them yet."""
    lag_seconds: float
    """For how long a verifier that caches the JWKS may at worst still accept what a revoked key signed."""


async def revoke(
    writer: RingWriter,
    kids: frozenset[str] | None,
    reason: str,
    *,
    clock: Callable[[], float],
    end_keys_in_store: EndKeysInStore | None,
    audit: Callable[[str, str | None], None],
) -> Revocation:
    """Revoke keys by kid, or with None all that the ring has now. ``audit`` is told each kid and its algorithm.

    Raises KeyUsageError for a kid that is not in the ring, and RingDocumentError or, for all keys, SourceError if the
    ring cannot be read. Other failures are part of the result.
    """
    document = RingDocument()
    problem: KeysError | None = None
    try:
        document = (await writer.change(lambda _document, _now: Plan())).ring.document
        named = frozenset(k.kid for k in document.keys if k.revoked_at is None) if kids is None else kids
        plan_revocation(
            document, named, reason, clock(), writer.policy
        )  # refuses an unknown kid before anything is done
    except SourceError as error:
        if kids is None:
            raise
        named, problem = kids, error
    store_problem = await _tell_store(end_keys_in_store, named, writer.policy, clock())
    written: Written | None = None
    if problem is None:
        try:
            written = await writer.change(_decision(named, reason, writer.policy))
        except KeysError as error:
            problem = error
    for kid in sorted(named):
        entry = document.find(kid)
        audit(kid, entry.algorithm if entry else None)
    return Revocation(
        kids=tuple(sorted(named)),
        written=written,
        problem=problem,
        in_store=None if end_keys_in_store is None else store_problem is None,
        store_problem=store_problem,
        unknown_heirs=_unknown_heirs(written, clock(), writer.policy),
        lag_seconds=writer.policy.lead_seconds,
    )


def _decision(kids: frozenset[str], reason: str, policy: RotationPolicy) -> Callable[[RingDocument, float], Plan]:
    def decide(document: RingDocument, now: float) -> Plan:
        there = kids & {k.kid for k in document.keys}  # a rotation may have forgotten one meanwhile
        return plan_revocation(document, there, reason, now, policy)

    return decide


async def _tell_store(
    end_keys: EndKeysInStore | None, kids: frozenset[str], policy: RotationPolicy, now: float
) -> Exception | None:
    if end_keys is None or not kids:
        return None
    until = int(now + policy.keep_seconds + policy.propagation_seconds) + 1
    try:
        await end_keys(dict.fromkeys(sorted(kids), until))
    except Exception as error:  # noqa: BLE001 - of whatever store; the ring must be changed all the same
        return error
    return None


def _unknown_heirs(written: Written | None, now: float, policy: RotationPolicy) -> tuple[str, ...]:
    if written is None:
        return ()
    document = written.ring.document
    signing = [signing_entry(document, algorithm, now) for algorithm in sorted({k.algorithm for k in document.keys})]
    return tuple(k.kid for k in signing if k is not None and k.created_at + policy.lead_seconds > now)
