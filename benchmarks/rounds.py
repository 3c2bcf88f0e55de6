"""Interleaved rounds: everything that is compared runs within the same minute, again and again."""

import sys
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.load import Load


class Arm(msgspec.Struct, frozen=True):
    """One of the things that take turns."""

    name: str
    run: Callable[[float], Load]
    """Takes the seconds to run for."""


def interleave(arms: Sequence[Arm], *, rounds: int, seconds: float, warm_up_seconds: float) -> dict[str, list[Load]]:
    """Run every arm once a round; the loads by name, in the order of the rounds.

    Each arm is warmed up first. Every second round goes backwards, so that a machine that slowly gets faster or
    slower favours nobody.
    """
    loads: dict[str, list[Load]] = {arm.name: [] for arm in arms}
    for arm in arms:
        progress(f"warming up: {arm.name}")
        arm.run(warm_up_seconds)
    for number in range(rounds):
        for arm in arms if number % 2 == 0 else reversed(arms):
            load = arm.run(seconds)
            loads[arm.name].append(load)
            progress(f"round {number + 1} of {rounds}: {arm.name}: {load.rate:,.0f}/s")
    return loads


def progress(text: str) -> None:
    """Tell whoever waits what is going on; the report alone goes to the standard output."""
    print(text, file=sys.stderr, flush=True)
