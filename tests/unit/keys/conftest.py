"""Keys, clocks and rings for the tests of :mod:`app.keys`: real ones, made once."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import pytest

from app.keys.algorithms import ALGORITHMS, PrivateKey, generate
from app.keys.document import KeyEntry
from app.keys.keeper import KeyKeeper
from app.keys.memory import MemorySource
from app.keys.policy import RotationPolicy
from app.keys.writer import entry_for
from app.randomness import random_bytes

NOW = 1_800_000_000.0
Answer = TypeVar("Answer")


class Clock:
    """Unix seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def private_keys() -> dict[str, PrivateKey]:
    """One real private key for each algorithm."""
    return {algorithm: generate(algorithm, 2048) for algorithm in ALGORITHMS}


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Answer]], Answer]:
    """Run a coroutine to its end, within a bound."""

    def run_it(step: Coroutine[Any, Any, Answer]) -> Answer:
        async def bounded() -> Answer:
            async with asyncio.timeout(30):
                return await step

        return asyncio.run(bounded())

    return run_it


NewEntry = Callable[..., KeyEntry]


@pytest.fixture
def new_entry() -> NewEntry:
    """``new_entry(algorithm, **times)``: a new key's entry, created at NOW, with whatever members are given."""

    def make(algorithm: str = "ES256", **members: Any) -> KeyEntry:
        entry = entry_for(algorithm, generate(algorithm, 2048), NOW, None)
        return msgspec.structs.replace(entry, **members)

    return make


@pytest.fixture
def small_policy() -> RotationPolicy:
    """One fast algorithm, the default lives."""
    return RotationPolicy(algorithms=("ES256",))


@pytest.fixture
def new_keeper(clock: Clock) -> Callable[..., KeyKeeper]:
    """``new_keeper(source, policy, **overrides)``; it rotates unless told otherwise."""

    def make(source: Any = None, policy: RotationPolicy | None = None, **overrides: Any) -> KeyKeeper:
        options: dict[str, Any] = {"kek": None, "rotates": True, "clock": clock, "random_bytes": random_bytes}
        chosen = policy or RotationPolicy(algorithms=("ES256",))
        return KeyKeeper(source or MemorySource(), chosen, **(options | overrides))

    return make
