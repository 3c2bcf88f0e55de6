"""A year of rotations with everything that goes wrong: no verifier meets a key that it cannot know.

The plan is pure, so a year is simulated: jobs that run hourly (or daily), late, twice, or not at all; replicas whose
clocks are wrong by up to the configured skew, that see each document up to the configured propagation late, and that
restart with another clock. The bounds are checked for the worst verifier, one that cached the JWKS of the replica
that knew least for the whole max-age.
"""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.keys.document import KeyEntry, RingDocument
from app.keys.policy import RotationPolicy
from app.keys.ring import KeyState, state_of
from app.keys.rotation import plan, signing_entry, standing_successors
from tests.unit.keys.conftest import NOW
from tests.unit.keys.test_rotation import DAY, HOUR, Made, do

YEAR = 365 * DAY


class Job(msgspec.Struct, frozen=True):
    """One run of the rotating job, in true time."""

    at: float
    clock_is_off: float
    takes: float
    """From reading the document to writing it."""


class Reader(msgspec.Struct, frozen=True):
    """One life of one replica: from its start to its restart."""

    start: float
    end: float
    clock_is_off: float
    delays: tuple[float, ...]
    """How late it sees documents, in turn."""


History = list[tuple[float, RingDocument]]
"""Every document with the true instant at which it was written."""


def write_history(jobs: list[Job], policy: RotationPolicy) -> History:
    """What the jobs write; each compares and sets, so of two that read the same document one writes."""
    make = Made()
    history: History = [(NOW, do(RingDocument(), plan(RingDocument(), NOW, policy), NOW, make))]
    for job in jobs:
        local = job.at + job.clock_is_off
        begun_with = next(document for written, document in reversed(history) if written <= job.at)
        due = plan(begun_with, local, policy)
        if due.is_due and begun_with is not history[-1][1]:
            due = plan(history[-1][1], local, policy)  # the compare-and-set failed: it reads and plans anew
        if due.is_due:
            written_at = max(job.at + job.takes, history[-1][0])
            history.append((written_at, do(history[-1][1], due, local, make)))
    return history


def seen_by(reader: Reader, history: History) -> Iterator[tuple[float, float, RingDocument]]:
    """The documents that one replica uses, with the true span in which it does."""
    seen: list[tuple[float, RingDocument]] = []
    for number, (written, document) in enumerate(history):
        if written <= reader.start:
            seen = [(reader.start, document)]  # it starts with the newest
        elif written < reader.end:
            late = written + reader.delays[number % len(reader.delays)]
            seen.append((max(late, seen[-1][0]) if seen else late, document))
    for number, (begins, document) in enumerate(seen):
        ends = seen[number + 1][0] if number + 1 < len(seen) else reader.end
        if begins < min(ends, reader.end):
            yield begins, min(ends, reader.end), document


class Witness:
    """The extremes over all replicas, in true time, for each kid."""

    def __init__(self) -> None:
        self.first_signed: dict[str, float] = {}
        self.last_signed_locally: dict[str, float] = {}
        self.unknown_until: dict[str, float] = {}
        """The latest instant at which some replica did not publish the key yet."""
        self.gone_from: dict[str, float] = {}
        """The earliest instant at which some replica did not publish it any more."""

    def watch(self, reader: Reader, history: History) -> None:
        off = reader.clock_is_off
        published_before: set[str] | None = None
        known = 0
        for begins, ends, document in seen_by(reader, history):
            newest = max(number(k.kid) for k in document.keys)
            if published_before is None:
                published_before, known = {k.kid for k in document.keys}, newest
            for unheard in range(known + 1, newest + 1):
                kid = f"ES256-{unheard}"
                self.unknown_until[kid] = max(self.unknown_until.get(kid, 0), begins)
            known = newest
            instants = {begins} | {
                at - off
                for k in document.keys
                for at in (k.signs_from, k.retires_at, k.removed_at)
                if at is not None and begins < at - off < ends
            }
            for at in sorted(instants):
                self._signs(document, at, off)
                self._publishes(document, at, off, published_before)
                published_before = published(document, at + off)
            signing = signing_entry(document, "ES256", ends + off - 1e-6)
            if signing is not None:
                self._signed_until(signing.kid, ends + off)

    def _signs(self, document: RingDocument, at: float, off: float) -> None:
        signing = signing_entry(document, "ES256", at + off)
        assert signing is not None, "a replica cannot sign"
        self.first_signed[signing.kid] = min(self.first_signed.get(signing.kid, at), at)
        for other in document.keys:
            if state_of(other, at + off) is KeyState.RETIRED and other.retires_at is not None:
                self._signed_until(other.kid, min(other.retires_at, at + off))

    def _signed_until(self, kid: str, local: float) -> None:
        self.last_signed_locally[kid] = max(self.last_signed_locally.get(kid, 0), local)

    def _publishes(self, document: RingDocument, at: float, off: float, before: set[str]) -> None:
        for kid in before - published(document, at + off):
            self.gone_from[kid] = min(self.gone_from.get(kid, at), at)


def number(kid: str) -> int:
    """Kids are numbered in the order of their making."""
    return int(kid.rpartition("-")[2])


def published(document: RingDocument, local: float) -> set[str]:
    out = (KeyState.REMOVED, KeyState.REVOKED)
    return {k.kid for k in document.keys if state_of(k, local) not in out}


def check_year(history: History, readers: list[Reader], policy: RotationPolicy, longest_token: float) -> None:
    first = {k.kid for k in history[0][1].keys if k.signs_from is not None}
    witness = Witness()
    for reader in readers:
        witness.watch(reader, history)
    for kid, signed in witness.first_signed.items():
        if kid not in first:
            known = witness.unknown_until.get(kid, 0)
            assert signed >= known + policy.max_age_seconds, f"{kid} signed before every verifier knew it"
    for kid, gone in witness.gone_from.items():
        # A verifier may fetch the JWKS just then, and its clock may be slow by the skew.
        dead = witness.last_signed_locally[kid] + longest_token + policy.skew_seconds
        assert gone >= dead, f"{kid} left the JWKS while a token of it was alive"
    check_successors(history, policy)


def check_successors(history: History, policy: RotationPolicy) -> None:
    """From a lead after the beginning on, a successor that all verifiers know stands ready at every switch."""
    for place, (written, document) in enumerate(history[1:], start=1):
        until = history[place + 1][0] if place + 1 < len(history) else written + policy.lead_seconds
        standing = standing_successors(document, "ES256")
        assert len(standing) == 1, "there is always exactly one standing successor"
        switches = [k.signs_from for k in document.keys if k.signs_from is not None]
        for at in (at for at in switches if written <= at < until):
            assert standing[0].created_at + policy.lead_seconds <= at


def switches_of(history: History) -> list[float]:
    last: dict[str, KeyEntry] = {k.kid: k for _, document in history for k in document.keys}
    return sorted(k.signs_from for k in last.values() if k.signs_from is not None)


@st.composite
def jobs_of_a_year(draw: st.DrawFn, every: float, policy: RotationPolicy) -> list[Job]:
    """Seeds from Hypothesis, the many small decisions from a generator, so that a year stays a small example."""
    random = Random(draw(st.integers(0, 2**32)))
    missed, twice = draw(st.sampled_from([0.0, 0.1, 0.9])), draw(st.sampled_from([0.0, 0.3]))
    latest = draw(st.sampled_from([0.0, 30.0, every / 10]))
    outage = draw(st.tuples(st.floats(0, YEAR), st.floats(0, 30 * DAY)))
    jobs = []
    for number in range(1, int(YEAR / every)):
        at = NOW + number * every + random.uniform(0, latest)
        if random.random() < missed or outage[0] <= at - NOW < sum(outage):
            continue
        for _ in range(2 if random.random() < twice else 1):
            off = random.uniform(-policy.skew_seconds, policy.skew_seconds)
            jobs.append(Job(at + random.uniform(0, 2), off, random.uniform(0, 5)))
    return sorted(jobs, key=lambda job: job.at)


@st.composite
def replicas_of_a_year(draw: st.DrawFn, policy: RotationPolicy) -> list[Reader]:
    random = Random(draw(st.integers(0, 2**32)))
    extreme = draw(st.booleans())
    skew, slowest = policy.skew_seconds, policy.propagation_seconds - 5  # a job takes up to 5 s of it
    readers = []
    for _ in range(draw(st.integers(2, 4))):
        start = NOW
        while start < NOW + YEAR:
            end = start + random.uniform(HOUR, 120 * DAY)
            off = random.choice([-skew, skew]) if extreme else random.uniform(-skew, skew)
            delays = tuple(random.choice([0.0, slowest]) if extreme else random.uniform(0, slowest) for _ in range(7))
            readers.append(Reader(start, end, off, delays))
            start = end
    return readers


POLICIES = {
    "hourly job, daily rotation": (HOUR, RotationPolicy(algorithms=("ES256",))),
    "daily job, daily rotation": (DAY, RotationPolicy(algorithms=("ES256",))),
    "daily job, weekly rotation": (DAY, RotationPolicy(algorithms=("ES256",), period_seconds=7 * DAY)),
    "hourly job, rotation as fast as it may be": (
        HOUR,
        RotationPolicy(algorithms=("ES256",), period_seconds=4 * HOUR, retain_seconds=HOUR),
    ),
}


@pytest.mark.parametrize("name", POLICIES)
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_verifier_ever_meets_an_unknown_key(name: str, data: st.DataObject) -> None:
    live_through_a_year(name, data)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", POLICIES)
@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_verifier_ever_meets_an_unknown_key_in_very_many_years(name: str, data: st.DataObject) -> None:
    live_through_a_year(name, data)


def live_through_a_year(name: str, data: st.DataObject) -> None:
    every, policy = POLICIES[name]
    history = write_history(data.draw(jobs_of_a_year(every, policy)), policy)
    readers = data.draw(replicas_of_a_year(policy))
    check_year(history, readers, policy, longest_token=policy.retain_seconds)


@pytest.mark.parametrize(
    ("every", "period", "jitter"),
    [(HOUR, DAY, 0), (HOUR, DAY, 600), (DAY, DAY, 0), (DAY, DAY, 2 * HOUR), (DAY, 7 * DAY, HOUR), (HOUR, 30 * DAY, 60)],
)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, deadline=None)
def test_rotation_happens_once_a_period(every: float, period: float, jitter: float, seed: int) -> None:
    policy = RotationPolicy(algorithms=("ES256",), period_seconds=period)
    uniform = Random(seed).uniform
    jobs = [Job(NOW + n * every + uniform(0, jitter), uniform(-30, 30), 1) for n in range(1, int(YEAR / every))]
    switches = switches_of(write_history(jobs, policy))
    gaps = [later - earlier for earlier, later in pairwise(switches)]
    assert min(gaps) >= period
    # Late by no more than a run and the lead: a rotation never waits for the run after the next.
    assert max(gaps) <= period + jitter + 2 * policy.lead_seconds + (every if every < period else 0)
    assert len(switches) >= 0.97 * YEAR / period - 2


def test_a_hundred_jobs_at_once_make_one_key() -> None:
    policy = RotationPolicy(algorithms=("ES256",))
    jobs = [Job(NOW + DAY, off / 2, 1) for off in range(-50, 50)]
    history = write_history(jobs, policy)
    assert len(history) == 2
    assert len(history[1][1].keys) == len(history[0][1].keys) + 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_age_seconds": 0}, "before every verifier knew it"),
        ({"retain_seconds": 60}, "while a token of it was alive"),
    ],
)
def test_the_simulation_finds_margins_that_are_too_small(change: dict[str, float], says: str) -> None:
    """The properties above can fail: they do for a ring that is written by a policy which ignores the truth."""
    truth = RotationPolicy(algorithms=("ES256",), period_seconds=600)
    reckless = msgspec.structs.replace(truth, period_seconds=120, **change)
    history = write_history([Job(NOW + n * 10, 0, 1) for n in range(1, 500)], reckless)
    readers = [Reader(NOW, NOW + 5000, 30, (0.0,)), Reader(NOW, NOW + 5000, -30, (115.0,))]
    with pytest.raises(AssertionError, match=says):
        check_year(history, readers, truth, longest_token=truth.retain_seconds)
