"""A million tokens with short lives, twice: ``python -m tests.proving.soak memory|redis [URL]`` prints what is left.

It stands alone so that the resident size is that of a process with nothing but a store in it. The store is used as
the service uses it, many operations at a time; every tenth token comes with a refresh token, some are revoked, some
marks and one-time values are left. For memory the clock is stepped over the lives; for Redis they are waited for.
"""

import asyncio
import gc
import hashlib
import os
import resource
import sys
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import redis
import uvloop

from app.clock import monotonic, stopwatch, unix_now
from app.composition.allocator import give_back_large_blocks
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord, TokenRef
from app.randomness import random_bytes
from app.storage.interface import Issuance, TokenStore
from app.storage.memory import MemoryStore
from app.storage.redis.opening import redis_store
from app.storage.redis_options import parse_redis_url

TOKENS = int(os.environ.get("PROVE_SOAK_TOKENS", "1000000"))
AT_ONCE = 200
LIVES = (5, 20)
"""Seconds, from the shortest to the longest."""
SWEPT_WITHIN_SECONDS = 240


class Report(msgspec.Struct):
    """What a soak came to."""

    issued: int
    revoked: int
    most_held: int
    left: dict[str, int]
    """What is left of each kind after each wave is all zero, or is named here."""
    resident_bytes: list[int]
    """Of this process after each wave."""
    store_bytes: list[int]
    """Of Redis after each wave; empty for memory."""
    seconds: float


def issuances(wave: int, now: float) -> Iterable[Issuance]:
    """The tokens of a wave; ``now`` is when they begin."""
    shortest, longest = LIVES
    for number in range(TOKENS):
        name = b"%d:%d" % (wave, number)
        digest = hashlib.sha256(name).digest()
        tag, ends = digest[:2].hex(), int(now) + shortest + number % (longest - shortest)
        facts: dict[str, Any] = {
            "version": RECORD_VERSION,
            "client_id": f"client-{number % 100}",
            "subject": f"user-{number}",
            "scope": "read write",
            "audience": ("https://api.example.com",),
            "issued_at": int(now),
            "expires_at": ends,
        }
        if number % 10:
            yield Issuance(access=(TokenRef(tag, digest), AccessTokenRecord(**facts)))
        else:
            family = tag + digest[2:14].hex()
            refresh = RefreshTokenRecord(**facts, family=family, family_expires_at=ends)
            yield Issuance(
                access=(TokenRef(tag, digest), AccessTokenRecord(**facts, family=family)),
                refresh=(TokenRef(tag, hashlib.sha256(digest).digest()), refresh),
            )


async def wave_of(store: TokenStore, wave: int, clock: "Clock") -> int:
    """Issue a wave, revoke a hundredth of it, leave marks; how many were revoked."""
    revoked = 0
    began = clock()
    rest = iter(issuances(wave, began))
    while some := list(islice(rest, AT_ONCE)):
        if clock.waits:  # each slice lives from its own moment on: Redis counts from when it is told
            shift = int(clock()) - int(began)
            some = [later(issuance, shift) for issuance in some]
        await asyncio.gather(*(store.save(issuance) for issuance in some))
        access, family = some[1].access, some[0].refresh
        assert access is not None
        assert family is not None
        until = int(clock()) + LIVES[0]
        await asyncio.gather(
            store.revoke_access_token(access[0]),
            store.revoke_family(family[1].family, until),
            store.revoke_jwt(TokenRef(access[0].tag, hashlib.sha256(access[0].digest).digest()), until),
            store.remember_once(access[0].digest, until),
        )
        revoked += 3
    return revoked


def later(issuance: Issuance, seconds: int) -> Issuance:
    """The same tokens, issued later."""
    if not seconds:
        return issuance

    def shifted(record: Any) -> Any:
        changes = {"issued_at": record.issued_at + seconds, "expires_at": record.expires_at + seconds}
        if isinstance(record, RefreshTokenRecord):
            changes["family_expires_at"] = record.family_expires_at + seconds
        return msgspec.structs.replace(record, **changes)

    access = None if issuance.access is None else (issuance.access[0], shifted(issuance.access[1]))
    refresh = None if issuance.refresh is None else (issuance.refresh[0], shifted(issuance.refresh[1]))
    return Issuance(access=access, refresh=refresh)


class Clock:
    """The time of day, and as much later as it was stepped."""

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        """Lives are waited for, not stepped over."""
        self.ahead = 0.0

    def __call__(self) -> float:
        return unix_now() + self.ahead


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def in_memory() -> Report:
    began, clock = time.monotonic(), Clock(waits=False)
    store = MemoryStore(2 * TOKENS, clock)
    await store.open()
    report = Report(0, 0, 0, {}, [], [], 0.0)
    for wave in range(2):
        report.revoked += await wave_of(store, wave, clock)
        report.issued += TOKENS
        report.most_held = max(report.most_held, sum(store.held().values()))
        clock.ahead += LIVES[1] + 1
        give_up_at = time.monotonic() + SWEPT_WITHIN_SECONDS
        while any(store.held().values()) and time.monotonic() < give_up_at:  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # its own sweep does it
        report.left |= {kind: count for kind, count in store.held().items() if count}
        live = await store.count_live_tokens()
        report.left |= {"live": live} if live else {}
        report.resident_bytes.append(resident_bytes())
    await store.close()
    report.seconds = time.monotonic() - began
    return report


async def in_redis(url: str) -> Report:
    began, clock = time.monotonic(), Clock(waits=True)
    store = redis_store(
        parse_redis_url(url),
        "soak",
        now=clock,
        stopwatch=stopwatch,
        random_bytes=random_bytes,
        monotonic=monotonic,
        deadline_seconds=5.0,
    )
    await store.open()
    report = Report(0, 0, 0, {}, [], [], 0.0)
    with redis.Redis.from_url(url) as operator:
        for wave in range(2):
            report.revoked += await wave_of(store, wave, clock)
            report.issued += TOKENS
            report.most_held = max(report.most_held, int(operator.dbsize()))
            # -2 for one that ended meanwhile, -1 for one without an end
            assert all(operator.ttl(operator.randomkey()) != -1 for _ in range(500)), "a key has no end"
            give_up_at = time.monotonic() + SWEPT_WITHIN_SECONDS
            # What stays is two names of the installation itself, with ends of their own.
            while operator.dbsize() > 2 and time.monotonic() < give_up_at:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
            live = await store.count_live_tokens()
            report.left |= {"live": live} if live else {}
            for name in operator.scan_iter(count=1_000):
                kind = name.partition(b"}")[2][:1].decode()
                if kind not in {"b", "l"}:
                    report.left[kind] = report.left.get(kind, 0) + 1
            operator.memory_purge()
            report.resident_bytes.append(resident_bytes())
            report.store_bytes.append(int(operator.info("memory")["used_memory"]))
    await store.close()
    report.seconds = time.monotonic() - began
    return report


if __name__ == "__main__":
    give_back_large_blocks()  # as `auth-service serve` does
    done = uvloop.run(in_memory() if sys.argv[1] == "memory" else in_redis(sys.argv[2]))
    sys.stdout.write(msgspec.json.encode(done).decode())
