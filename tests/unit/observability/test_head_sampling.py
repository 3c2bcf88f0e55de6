"""Who is traced is decided from a few bytes, by ratio or by the caller, and nobody can have everything recorded."""

import math
import random
from itertools import pairwise

import pytest

from app.observability.head_sampling import MAX_PER_SECOND, HeadSampler

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


def sampler(
    ratio: float, *, parent_counts: bool = True, clock: Clock | None = None, max_per_second: float = math.inf
) -> HeadSampler:
    return HeadSampler(
        ratio,
        parent_counts=parent_counts,
        random_bytes=random.Random(7).randbytes,
        monotonic=clock or Clock(),
        max_per_second=max_per_second,
    )


@pytest.mark.parametrize("ratio", [0.5, 0.1, 0.01])
def test_the_ratio_holds_over_many_requests(ratio: float) -> None:
    one = sampler(ratio)
    chosen = sum(one.samples(None) for _ in range(200_000))
    assert chosen == pytest.approx(200_000 * ratio, rel=0.1)


def test_who_is_chosen_follows_no_pattern() -> None:
    one = sampler(0.1)
    chosen = [number for number in range(5_000) if one.samples(None)]
    gaps = {after - before for before, after in pairwise(chosen)}
    assert {1, 2, 3} <= gaps
    assert max(gaps) > 25


@pytest.mark.parametrize(("ratio", "chosen"), [(0.0, 0), (1.0, 1_000)])
def test_none_and_all(ratio: float, chosen: int) -> None:
    one = sampler(ratio)
    assert sum(one.samples(None) for _ in range(1_000)) == chosen


@pytest.mark.parametrize(("flags", "recorded"), [("01", True), ("00", False), ("03", True), ("fe", False)])
def test_a_parent_decides_where_it_counts(flags: str, recorded: bool) -> None:
    for ratio in (0.0, 1.0):
        assert sampler(ratio).samples(f"00-{TRACE}-{CALLER}-{flags}".encode()) is recorded


def test_a_broken_field_is_no_parent() -> None:
    assert sampler(1.0).samples(b"00-abc-01")
    assert not sampler(0.0).samples(f"00-{TRACE}-{CALLER}-01-more".encode())


def test_where_it_does_not_count_the_trace_s_id_decides_and_everybody_decides_alike() -> None:
    low, high = "0" * 15 + "1", "f" * 16
    for recorded, lower_half in ((True, low), (False, high)):
        for flags in ("00", "01"):
            field = f"00-{TRACE[:16]}{lower_half}-{CALLER}-{flags}".encode()
            assert sampler(0.5, parent_counts=False).samples(field) is recorded


def test_callers_are_obeyed_so_many_times_a_second() -> None:
    clock = Clock()
    one = sampler(0.0, clock=clock)
    field = f"00-{TRACE}-{CALLER}-01".encode()
    assert sum(one.samples(field) for _ in range(1_000)) == MAX_PER_SECOND
    clock.now += 1
    assert sum(one.samples(field) for _ in range(1_000)) == MAX_PER_SECOND


@pytest.mark.parametrize("field", [None, f"00-{TRACE[:16]}{'0' * 16}-{CALLER}-00".encode()])
def test_a_ratio_chooses_no_more_than_its_bound_in_a_second(field: bytes | None) -> None:
    """Nor for trace ids that were made up so as to be chosen."""
    clock = Clock()
    one = sampler(0.5, parent_counts=False, clock=clock, max_per_second=10)
    for _ in range(3):
        assert sum(one.samples(field) for _ in range(1_000)) == 10
        clock.now += 1


def test_what_callers_ask_for_takes_nothing_of_what_a_ratio_chooses() -> None:
    one = sampler(0.5, max_per_second=10)
    asked = f"00-{TRACE}-{CALLER}-01".encode()
    assert sum(one.samples(asked) for _ in range(1_000)) == MAX_PER_SECOND
    assert sum(one.samples(None) for _ in range(1_000)) == 10
