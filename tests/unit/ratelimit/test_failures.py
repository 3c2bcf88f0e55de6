"""Failed attempts: a growing delay for one address at one client, which punishes nobody else."""

from itertools import pairwise

import pytest

from app.ratelimit.failures import (
    FORGET_SECONDS,
    FREE_FAILURES,
    LONGEST_DELAY_SECONDS,
    Failures,
)

ATTACKER, CLIENT = "198.51.100.66", "203.0.113.7"
MANY = 1_000_000


def delay_after(failures: Failures, count: int, address: str = ATTACKER, now: float = 0.0) -> tuple[float, float]:
    """The delay after so many failures in a row, each made as soon as it may be, and the instant."""
    for _ in range(count):
        now += failures.must_wait(address, "billing", now)
        assert failures.failed(address, "billing", now) == 0
    return failures.must_wait(address, "billing", now), now


def test_the_delay_grows_with_each_failure_up_to_a_bound() -> None:
    delays = [delay_after(Failures(MANY), count)[0] for count in range(1, 20)]
    assert delays[:FREE_FAILURES] == [0.0] * FREE_FAILURES
    assert delays[FREE_FAILURES : FREE_FAILURES + 4] == pytest.approx([2, 4, 8, 16])
    assert all(later >= earlier for earlier, later in pairwise(delays))
    assert delays[-1] == pytest.approx(LONGEST_DELAY_SECONDS)


def test_who_guesses_for_a_day_gets_some_three_hundred_tries() -> None:
    failures, now, tries = Failures(MANY), 0.0, 0
    while now < 86_400:
        now += failures.must_wait(ATTACKER, "billing", now)
        failures.failed(ATTACKER, "billing", now)
        tries += 1
    assert tries < 86_400 / LONGEST_DELAY_SECONDS + 20


def test_failures_elsewhere_delay_neither_the_client_nor_its_neighbours() -> None:
    failures = Failures(MANY)
    _, now = delay_after(failures, 12)
    assert failures.must_wait(ATTACKER, "billing", now) > 0
    assert failures.must_wait(CLIENT, "billing", now) == 0  # the real client, from its own address
    assert failures.must_wait(ATTACKER, "shop", now) == 0  # another user behind the attacker's gateway


def test_an_attempt_during_the_delay_is_refused_and_does_not_prolong_it() -> None:
    failures = Failures(MANY)
    delay, now = delay_after(failures, 10)
    for _ in range(1000):
        assert failures.failed(ATTACKER, "billing", now + delay / 2) == pytest.approx(delay / 2)
    assert failures.must_wait(ATTACKER, "billing", now + delay + 0.001) == 0


def test_success_forgives_and_so_does_time() -> None:
    failures = Failures(MANY)
    delay, now = delay_after(failures, 10)
    failures.succeeded(ATTACKER, "billing")
    assert failures.must_wait(ATTACKER, "billing", now) == 0
    delay, now = delay_after(failures, 10, now=now)
    later = now + delay + FORGET_SECONDS + 1
    assert failures.failed(ATTACKER, "billing", later) == 0
    assert failures.must_wait(ATTACKER, "billing", later) == 0


def test_failures_in_a_row_are_counted_until_they_are_forgiven_or_long_past() -> None:
    failures = Failures(MANY)
    assert failures.in_a_row(ATTACKER, "billing", 0.0) == 0
    delay, now = delay_after(failures, 8)
    assert failures.in_a_row(ATTACKER, "billing", now + delay + FORGET_SECONDS) == 8
    assert failures.in_a_row(ATTACKER, "billing", now + delay + FORGET_SECONDS + 1) == 0
    for address, client in ((CLIENT, "billing"), (ATTACKER, "shop"), (None, "billing")):
        assert failures.in_a_row(address, client, now) == 0
    failures.succeeded(ATTACKER, "billing")
    assert failures.in_a_row(ATTACKER, "billing", now) == 0
    assert Failures(0).in_a_row(ATTACKER, "billing", now) == 0


def test_a_walk_over_many_clients_meets_the_bound_of_its_address() -> None:
    failures = Failures(60)
    told = [failures.failed(ATTACKER, f"client-{number}", 0.0) == 0 for number in range(100)]
    assert told == [True] * 60 + [False] * 40
    assert failures.failed(CLIENT, "client-1", 0.0) == 0  # another address has its own


def test_beyond_the_bound_an_address_waits_at_every_client_its_first_attempt_there_included() -> None:
    failures = Failures(60)
    for number in range(1000):
        failures.failed(ATTACKER, f"client-{number}", 0.0)
    assert failures.must_wait(ATTACKER, "never tried", 0.0) == pytest.approx(1)
    assert failures.must_wait(ATTACKER, "never tried", 1.0) == 0  # one a second flows in
    assert failures.must_wait(CLIENT, "never tried", 0.0) == 0
    # What cannot be guessed waits for nothing but failures at its own client.
    assert failures.must_wait_at(ATTACKER, "never tried", 0.0) == 0


def test_a_delay_at_a_client_and_the_bound_of_the_address_end_when_both_have_ended() -> None:
    failures = Failures(6)
    for _ in range(FREE_FAILURES):
        failures.failed(ATTACKER, "billing", 0.0)
    failures.failed(ATTACKER, "", 0.0)
    assert failures.must_wait(ATTACKER, "billing", 0.0) == pytest.approx(10)
    assert failures.failed(ATTACKER, "billing", 10.0) == 0
    assert failures.must_wait_at(ATTACKER, "billing", 10.0) == pytest.approx(2)
    assert failures.must_wait(ATTACKER, "billing", 10.0) == pytest.approx(10)


def test_what_is_tried_in_a_delay_is_bounded_for_an_address_at_a_client() -> None:
    failures = Failures(60)
    for _ in range(60):
        assert failures.may_try_in_delay(ATTACKER, "billing", 0.0)
        failures.tried_in_delay(ATTACKER, "billing", 0.0)
    assert not failures.may_try_in_delay(ATTACKER, "billing", 0.0)
    assert failures.may_try_in_delay(ATTACKER, "billing", 1.0)
    assert failures.may_try_in_delay(ATTACKER, "shop", 0.0)
    assert failures.may_try_in_delay(CLIENT, "billing", 0.0)
    assert failures.must_wait(ATTACKER, "billing", 0.0) == 0  # a table of its own
    for _ in range(64):
        failures.sweep(120.0)
    assert len(failures) == 0


def test_an_ipv6_subscriber_is_one_address_whatever_it_makes_up() -> None:
    failures = Failures(60)
    told = [failures.failed(f"2001:db8:1:2::{number:x}", "", 0.0) == 0 for number in range(1000)]
    assert sum(told) == 60


def test_off_is_off() -> None:
    failures = Failures(0)
    assert {failures.failed(ATTACKER, "billing", 0.0) for _ in range(1000)} == {0.0}
    assert failures.must_wait(ATTACKER, "billing", 0.0) == 0
    failures.tried_in_delay(ATTACKER, "billing", 0.0)
    assert failures.may_try_in_delay(ATTACKER, "billing", 0.0)
    assert len(failures) == 0


def test_any_number_of_rows_takes_a_bounded_place_and_the_long_ones_stay() -> None:
    failures = Failures(MANY, max_pairs=640)
    _, now = delay_after(failures, 14)
    for number in range(20_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        failures.failed(address, "billing", now)
        failures.tried_in_delay(address, "x" * 100_000, now)
    assert len(failures) <= 3 * 640
    assert failures.must_wait(ATTACKER, "billing", now) > 0


def test_sweeping_forgets_what_is_past_a_slice_at_a_time() -> None:
    failures = Failures(MANY)
    for number in range(2000):
        failures.failed(f"10.0.{number >> 8}.{number & 255}", "billing", 0.0)
    for _ in range(64):
        failures.sweep(FORGET_SECONDS + 100)
    assert len(failures) == 0
