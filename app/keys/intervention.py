"""What an operator decides against the schedule: promotion, revocation, phasing out. Pure, as :mod:`app.keys.rotation`.

Rules:
- What is to happen at once is dated back by the clock skew, so that it holds on a replica whose clock is slow.
- A revocation is complete in one write: the key is gone, and its successor signs.
"""

import msgspec

from app.keys.document import KeyEntry, RingDocument
from app.keys.errors import KeyUsageError
from app.keys.policy import RotationPolicy
from app.keys.ring import KeyState, state_of
from app.keys.rotation import NewKey, Plan, join, retire, scheduled, signing_entry, standing_successors


def plan_promotion(document: RingDocument, kid: str, now: float, policy: RotationPolicy, *, at_once: bool) -> Plan:
    """Let a published key sign: at once, or as soon as every verifier and every replica knows about it.

    Raises KeyUsageError when there is no such key or it cannot sign.
    """
    entry = _existing(document, kid)
    state = state_of(entry, now)
    if state is KeyState.SIGNING:
        return Plan(notes=(f"{kid} signs already",))
    if state is not KeyState.PUBLISHED or entry.private is None:
        raise KeyUsageError(f"{kid} is {state}; only a published key with a private part can be promoted")
    if at_once:
        begins = now - policy.skew_seconds
    else:
        settled = now + policy.propagation_seconds + 2 * policy.skew_seconds
        begins = max(settled, entry.created_at + policy.lead_seconds)
    return _switch_to(document, entry, begins, now, policy)


def plan_revocation(
    document: RingDocument, kids: frozenset[str], reason: str, now: float, policy: RotationPolicy
) -> Plan:
    """Purge keys at once: each leaves the JWKS with this write, and a successor signs in its place.

    Of a signing key the standing successor takes over at once; where none is left, a new key does, which verifiers
    with a cached JWKS learn only after ``max_age``. Raises KeyUsageError for an unknown kid.
    """
    revoked = []
    for kid in sorted(kids):
        entry = _existing(document, kid)
        if entry.revoked_at is None:
            revoked.append(
                msgspec.structs.replace(
                    entry, revoked_at=now, revoked_reason=reason, private=None, removed_at=entry.removed_at or None
                )
            )
    if not revoked:
        return Plan(notes=("revoked already",))
    after = _replace(document, tuple(revoked))
    parts = [Plan(tuple(revoked), notes=tuple(f"{k.algorithm}: {k.kid} is revoked" for k in revoked))]
    touched = sorted({k.algorithm for k in revoked})
    parts.extend(_fill_gap(after, document, algorithm, now, policy) for algorithm in touched)
    return join(parts)


def _fill_gap(after: RingDocument, before: RingDocument, algorithm: str, now: float, policy: RotationPolicy) -> Plan:
    at_once = now - policy.skew_seconds
    signing = signing_entry(after, algorithm, now)
    waiting = scheduled(after.of(algorithm), now)
    successors = standing_successors(after, algorithm)
    if signing is None and signing_entry(before, algorithm, now) is None and not waiting:
        return Plan()  # the algorithm did not sign before either: nothing to replace
    if signing is None:
        candidates = waiting or successors
        if not candidates:
            return Plan(
                create=(NewKey(algorithm, at_once), NewKey(algorithm)), notes=(f"{algorithm}: a new key signs",)
            )
        heir = msgspec.structs.replace(candidates[0], signs_from=at_once, retires_at=None, removed_at=None)
        spare = [k for k in successors if k.kid != heir.kid]
        note = f"{algorithm}: {heir.kid} signs at once"
        return Plan((heir,), () if spare else (NewKey(algorithm),), notes=(note,))
    changed: tuple[KeyEntry, ...] = ()
    if signing.retires_at is not None and not waiting:
        # Its scheduled heir was revoked: it goes on, and the next plan schedules another.
        changed = (msgspec.structs.replace(signing, retires_at=None, removed_at=None),)
    return Plan(changed, () if successors else (NewKey(algorithm),))


def _switch_to(document: RingDocument, entry: KeyEntry, begins: float, now: float, policy: RotationPolicy) -> Plan:
    """Let ``entry`` sign from ``begins``; whoever signs or would have signed then makes room."""
    changed = [msgspec.structs.replace(entry, signs_from=begins, retires_at=None, removed_at=None)]
    signing = signing_entry(document, entry.algorithm, now)
    if signing is not None:
        changed.append(retire(signing, max(begins, signing.signs_from or 0), policy))
    changed.extend(
        msgspec.structs.replace(other, signs_from=None, retires_at=None, removed_at=None)
        for other in scheduled(document.of(entry.algorithm), now)
        if other.kid != entry.kid
    )
    left = [k for k in standing_successors(_replace(document, tuple(changed)), entry.algorithm) if k.kid != entry.kid]
    return Plan(tuple(changed), () if left else (NewKey(entry.algorithm),), notes=(f"{entry.kid} is promoted",))


def plan_import(document: RingDocument, entry: KeyEntry, now: float, policy: RotationPolicy) -> Plan:
    """Take in a key that was made elsewhere, created ``now``.

    Where its algorithm has keys already it becomes a standing successor; in a ring that is in use a first key waits
    for a lead, and in a new ring it signs at once. Raises KeyUsageError if the ring has the key already.
    """
    if document.find(entry.kid) is not None:
        raise KeyUsageError(f"the ring has the key {entry.kid} already")
    if any(state_of(k, now) in (KeyState.PUBLISHED, KeyState.SIGNING) for k in document.of(entry.algorithm)):
        return Plan(add=(entry,), notes=(f"{entry.algorithm}: {entry.kid} is taken in as a successor",))
    begins = now + policy.lead_seconds if document.keys else now - policy.skew_seconds
    signing = msgspec.structs.replace(entry, signs_from=begins)
    note = f"{entry.algorithm}: {entry.kid} is taken in as the first key"
    return Plan(add=(signing,), create=(NewKey(entry.algorithm),), notes=(note,))


def plan_retirement(document: RingDocument, algorithms: tuple[str, ...], now: float, policy: RotationPolicy) -> Plan:
    """Phase out algorithms that are no longer wanted: they sign until ``lead`` from now and verify as always."""
    changed = []
    stops = now + policy.lead_seconds
    for entry in document.keys:
        if entry.algorithm not in algorithms or entry.revoked_at is not None or entry.removed_at is not None:
            continue
        changed.append(retire(entry, max(stops, entry.signs_from or 0), policy))
    return Plan(tuple(changed), notes=tuple(f"{k.algorithm}: {k.kid} is phased out" for k in changed))


def _existing(document: RingDocument, kid: str) -> KeyEntry:
    entry = document.find(kid)
    if entry is None:
        raise KeyUsageError(f"the ring has no key {kid!r:.80}; `auth-service keys list` shows all")
    return entry


def _replace(document: RingDocument, changed: tuple[KeyEntry, ...]) -> RingDocument:
    by_kid = {k.kid: k for k in changed}
    return msgspec.structs.replace(document, keys=tuple(by_kid.get(k.kid, k) for k in document.keys))
