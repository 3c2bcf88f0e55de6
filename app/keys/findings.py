"""What is wrong, or soon will be, with a ring that can be read: for ``auth-service keys verify``."""

import msgspec

from app.keys.document import RingDocument
from app.keys.policy import RotationPolicy
from app.keys.rotation import next_switch, scheduled, signing_entry, standing_successors


class Finding(msgspec.Struct, frozen=True):
    grave: bool
    """Whether something does not work now or is unsafe; else it will mend itself or is worth knowing."""
    text: str


def findings(document: RingDocument, now: float, policy: RotationPolicy, *, kek_given: bool) -> tuple[Finding, ...]:
    """Everything remarkable about a ring at ``now`` (Unix seconds)."""
    found = [finding for algorithm in policy.algorithms for finding in _of_algorithm(document, algorithm, now, policy)]
    extra = sorted({k.algorithm for k in document.keys} - set(policy.algorithms))
    if extra:
        found.append(Finding(False, f"{', '.join(extra)}: not configured, so not rotated (rotate --prune phases out)"))
    plain = [k.kid for k in document.keys if k.private is not None and k.private.sealed is None]
    if plain and kek_given:
        found.append(Finding(True, f"{len(plain)} private keys are not sealed; the next write seals them"))
    if any(k.created_at > now + policy.skew_seconds for k in document.keys):
        found.append(
            Finding(True, "a key was created in the future: the clock of this machine or of a writer is wrong")
        )
    return tuple(found)


def _of_algorithm(document: RingDocument, algorithm: str, now: float, policy: RotationPolicy) -> list[Finding]:
    found = []
    signing = signing_entry(document, algorithm, now)
    if signing is None:
        waiting = scheduled(document.of(algorithm), now)
        when = (
            f"the first one signs in {waiting[0].signs_from - now:.0f} s" if waiting and waiting[0].signs_from else ""
        )
        found.append(Finding(True, f"{algorithm}: no key signs; {when or '`auth-service keys rotate` makes one'}"))
    switch = next_switch(document, algorithm, now, policy)
    if switch is not None and switch + policy.lead_seconds < now:
        found.append(Finding(True, f"{algorithm}: its rotation is overdue by {now - switch:.0f} s; does the job run?"))
    successors = standing_successors(document, algorithm)
    if not successors:
        found.append(Finding(True, f"{algorithm}: no successor stands ready; `auth-service keys rotate` makes one"))
    elif successors[0].created_at + policy.lead_seconds > now:
        wait = successors[0].created_at + policy.lead_seconds - now
        found.append(Finding(False, f"{algorithm}: all verifiers know the successor in {wait:.0f} s"))
    return found
