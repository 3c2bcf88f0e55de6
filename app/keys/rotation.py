"""When keys come, sign, retire and go: pure decisions about a ring document.

Rules:
- Every algorithm has one key that signs and one standing successor: published, not scheduled, private part at hand.
- A rotation schedules the successor to sign no sooner than ``lead`` from now and publishes the next successor in
  the same write. So the next one is ``lead`` old when the schedule is fulfilled, and at every instant there is a
  successor that all verifiers know, ready to sign at once should a key leak.
- The switch lies in the future when it is written, so that all replicas make it at one instant.
- A rotation is due once a period, counted from the instant at which the signing key began to sign; it may be
  prepared ``window`` early without moving the switch. What is scheduled is not due: planning again does nothing.
- Nothing here reads a clock or makes a key: ``plan`` says what to do, :mod:`app.keys.operations` does it.
"""

import msgspec

from app.keys.document import KeyEntry, RingDocument
from app.keys.policy import RotationPolicy
from app.keys.ring import KeyState, state_of


class NewKey(msgspec.Struct, frozen=True):
    """A key to generate; ``signs_from`` None for a standing successor."""

    algorithm: str
    signs_from: float | None = None


class Plan(msgspec.Struct, frozen=True):
    """What to write. An empty plan is nothing to do."""

    changed: tuple[KeyEntry, ...] = ()
    """Entries that replace those of the same kid."""
    create: tuple[NewKey, ...] = ()
    add: tuple[KeyEntry, ...] = ()
    """Entries of keys that were made elsewhere."""
    forget: frozenset[str] = frozenset()
    """Kids of removed keys that leave the document; never a reason to write by itself."""
    notes: tuple[str, ...] = ()
    """What is done and why, for the operator."""

    @property
    def is_due(self) -> bool:
        return bool(self.changed or self.create or self.add)

    @property
    def rotated(self) -> tuple[str, ...]:
        """The algorithms that get a key."""
        return tuple(sorted({new.algorithm for new in self.create}))


def plan(document: RingDocument, now: float, policy: RotationPolicy, *, force: bool = False) -> Plan:
    """What is due at ``now`` (Unix seconds). ``force`` rotates every algorithm that has no switch scheduled."""
    parts = [_plan_algorithm(document, algorithm, now, policy, force) for algorithm in policy.algorithms]
    together = join(parts)
    return _with_housekeeping(document, together, now, policy) if together.is_due else together


def carried_out(document: RingDocument, done: Plan, made: tuple[KeyEntry, ...]) -> RingDocument:
    """The document after the plan, with the entries of the keys that were made for it; one revision further."""
    changed = {k.kid: k for k in done.changed}
    kept = tuple(changed.get(k.kid, k) for k in document.keys if k.kid not in done.forget)
    return msgspec.structs.replace(document, keys=kept + done.add + made, revision=document.revision + 1)


def next_due(document: RingDocument, now: float, policy: RotationPolicy) -> float:
    """The earliest instant at which ``plan`` has something to do: ``now`` if it has already."""
    if plan(document, now, policy).is_due:
        return now
    instants = []
    for algorithm in policy.algorithms:
        waiting = scheduled(document.of(algorithm), now)
        last = waiting[-1] if waiting else signing_entry(document, algorithm, now)
        if last is not None and last.signs_from is not None:
            instants.append(last.signs_from + policy.period_seconds - policy.lead_seconds - policy.window_seconds)
    return max(now, min(instants, default=now))


def next_switch(document: RingDocument, algorithm: str, now: float, policy: RotationPolicy) -> float | None:
    """When another key signs: the scheduled instant, else the end of the period; None without a signing key."""
    waiting = scheduled(document.of(algorithm), now)
    if waiting:
        return waiting[0].signs_from
    signing = signing_entry(document, algorithm, now)
    return None if signing is None else (signing.signs_from or 0) + policy.period_seconds


def signing_entry(document: RingDocument, algorithm: str, now: float) -> KeyEntry | None:
    """The entry that signs at ``now``: of those in state SIGNING the one that began last."""
    signing = [k for k in document.of(algorithm) if k.private and state_of(k, now) is KeyState.SIGNING]
    return max(signing, key=lambda k: k.signs_from or 0, default=None)


def standing_successors(document: RingDocument, algorithm: str) -> list[KeyEntry]:
    """Published and not scheduled, the oldest first."""
    waiting = [
        k
        for k in document.of(algorithm)
        if k.private and k.signs_from is None and k.revoked_at is None and k.removed_at is None
    ]
    return sorted(waiting, key=lambda k: (k.created_at, k.kid))


def _plan_algorithm(document: RingDocument, algorithm: str, now: float, policy: RotationPolicy, force: bool) -> Plan:
    successors = standing_successors(document, algorithm)
    signing = signing_entry(document, algorithm, now)
    if scheduled(document.of(algorithm), now):
        return Plan() if successors else Plan(create=(NewKey(algorithm),), notes=(f"{algorithm}: a new successor",))
    if signing is None:
        return _begin(document, algorithm, successors, now, policy)
    if signing.retires_at is not None:
        # Nobody follows any more (the heir was revoked, or the algorithm is wanted again): it goes on.
        signing = msgspec.structs.replace(signing, retires_at=None, removed_at=None)
        missing = () if successors else (NewKey(algorithm),)
        return Plan((signing,), missing, notes=(f"{algorithm}: {signing.kid} goes on, nobody follows",))
    ends = (signing.signs_from or 0) + policy.period_seconds
    if not force and now < ends - policy.lead_seconds - policy.window_seconds:
        return Plan() if successors else Plan(create=(NewKey(algorithm),), notes=(f"{algorithm}: a new successor",))
    earliest = now + policy.lead_seconds
    switch = earliest if force else max(earliest, ends)
    retiring = retire(signing, switch, policy)
    if not successors:
        created = (NewKey(algorithm, switch), NewKey(algorithm))
        return Plan((retiring,), created, notes=(f"{algorithm}: {signing.kid} retires, a new key follows",))
    next_key = msgspec.structs.replace(successors[0], signs_from=switch)
    note = f"{algorithm}: {next_key.kid} follows {signing.kid}"
    return Plan((retiring, next_key), (NewKey(algorithm),) if len(successors) == 1 else (), notes=(note,))


def _begin(
    document: RingDocument, algorithm: str, successors: list[KeyEntry], now: float, policy: RotationPolicy
) -> Plan:
    """No key signs: the first of its algorithm, or all others were taken away."""
    if successors:
        # Verifiers may know it; if it is too young for that, it waits until they do.
        begins = max(now - policy.skew_seconds, successors[0].created_at + policy.lead_seconds)
        first = msgspec.structs.replace(successors[0], signs_from=begins)
        created = (NewKey(algorithm),) if len(successors) == 1 else ()
        return Plan((first,), created, notes=(f"{algorithm}: {first.kid} begins to sign",))
    # In a ring that verifiers have never seen a key may sign at once, on replicas with slow clocks, too.
    begins = now + policy.lead_seconds if document.keys else now - policy.skew_seconds
    return Plan(create=(NewKey(algorithm, begins), NewKey(algorithm)), notes=(f"{algorithm}: a first key",))


def retire(entry: KeyEntry, at: float, policy: RotationPolicy) -> KeyEntry:
    return msgspec.structs.replace(entry, retires_at=at, removed_at=at + policy.keep_seconds)


def scheduled(entries: tuple[KeyEntry, ...], now: float) -> list[KeyEntry]:
    """Published keys with an instant from which they sign, the soonest first."""
    waiting = [k for k in entries if k.private and k.signs_from is not None and state_of(k, now) is KeyState.PUBLISHED]
    return sorted(waiting, key=lambda k: k.signs_from or 0)


def _with_housekeeping(document: RingDocument, due: Plan, now: float, policy: RotationPolicy) -> Plan:
    """Along with a write that is due anyway: drop private parts that sign no more, and forget removed keys."""
    changed = {k.kid: k for k in due.changed}
    settled = policy.propagation_seconds + 2 * policy.skew_seconds
    forget = set()
    for entry in document.keys:
        gone = entry.revoked_at if entry.revoked_at is not None else entry.removed_at
        if gone is not None and gone + policy.keep_seconds + settled < now:
            forget.add(entry.kid)
        elif entry.private and entry.retires_at is not None and entry.retires_at + settled < now:
            changed.setdefault(entry.kid, msgspec.structs.replace(entry, private=None))
    return msgspec.structs.replace(due, changed=tuple(changed.values()), forget=frozenset(forget - set(changed)))


def join(parts: list[Plan]) -> Plan:
    """Several plans for one document, which do not touch the same keys, as one."""
    return Plan(
        changed=tuple(k for part in parts for k in part.changed),
        create=tuple(n for part in parts for n in part.create),
        add=tuple(k for part in parts for k in part.add),
        forget=frozenset().union(*(part.forget for part in parts)),
        notes=tuple(note for part in parts for note in part.notes),
    )
