"""Sentinel fails masters over under load, again and again: what is lost is counted, what is promised is held.

``PROVE_FAILOVERS`` is how many times the master is killed for each ``REDIS_WAIT_REPLICAS`` (100 unless set).
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.proving.conftest import Proof, StartTwo
from tests.proving.model import Family, note_revoke_sent, note_revoked
from tests.proving.traffic import Traffic
from tests.redis.sentinels import Sentinels

pytestmark = [pytest.mark.anyio, pytest.mark.prove, pytest.mark.timeout(1_800)]

FAILOVERS = int(os.environ.get("PROVE_FAILOVERS", "100"))


DOWN_AFTER_MILLISECONDS = 1_000
"""Less, on a busy machine, makes Sentinel take a master that works for one that is down."""


@pytest.fixture
def watch(redis_process: StartRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Sentinels]]:
    """``watch(replicas)``: three sentinels over a master and so many replicas."""
    with ExitStack() as stack:

        def start(replicas: int) -> Sentinels:
            folder = tmp_path_factory.mktemp("sentinels")
            sentinels = Sentinels(redis_process, folder, replicas, DOWN_AFTER_MILLISECONDS)
            stack.enter_context(sentinels)
            sentinels.wait_until_watching()
            return sentinels

        yield start


def server_at(sentinels: Sentinels, port: int | None) -> RedisProcess | None:
    return next((server for server in sentinels.servers if server.port == port), None)


async def agreed_master(sentinels: Sentinels, other_than: RedisProcess | None = None) -> RedisProcess:
    """The master that all sentinels agree on."""
    give_up_at = time.monotonic() + 40
    while True:
        master = server_at(sentinels, await asyncio.to_thread(sentinels.agreed_master_port))
        if master is not None and master is not other_than:
            return master
        assert time.monotonic() < give_up_at, "the sentinels agree on no master"
        await asyncio.sleep(0.05)


async def used_again(traffic: Traffic, families: list[Family]) -> int:
    """Present refresh tokens whose use was acknowledged; how many are taken once more."""
    taken = 0
    for family in families:
        if not family.used or not family.is_usable:
            continue
        family.busy = True
        # A second use ends the family (RFC 9700 section 4.14.2).
        note_revoke_sent(family.members)
        answer = await traffic.present(family.used[-1])
        if answer is not None and answer.status == 400:
            note_revoked(family.members)
        elif answer is not None and answer.status == 200:
            taken += 1
    return taken


async def fail_over_often(proof: Proof, sentinels: Sentinels, start_two: StartTwo, wait: int) -> None:
    """Kill the master, let Sentinel find another, let the killed one come back, again and again."""
    model = proof.model
    outages: list[float] = []
    taken = presented = rotated = revoked = issued = 0
    replicas = await start_two(REDIS_URL=sentinels.url, REDIS_WAIT_REPLICAS=str(wait), REDIS_KEY_PREFIX=f"wait-{wait}")
    async with proof.traffic(*replicas, workers=6) as traffic:
        for number in range(1, FAILOVERS + 1):
            await traffic.until_well()
            await asyncio.sleep(0.3 + 0.05 * (number % 7))
            families = [family for family in model.families if family.used and family.is_usable][-20:]
            master = await agreed_master(sentinels)
            master.kill()
            killed = time.monotonic()
            successor = await agreed_master(sentinels, other_than=master)
            # Where Sentinel doubts a master that works, an empty replica must not be there to be taken.
            await asyncio.to_thread(sentinels.wait_until_content, successor.port)
            # It returns, empty, as a replica of its successor.
            master.replicate(successor.port)
            await asyncio.to_thread(master.restart)
            await traffic.until_well()
            outages.append(time.monotonic() - killed)
            await asyncio.to_thread(sentinels.wait_until_watching)
            await traffic.check(150)
            presented += len(families)
            taken += await used_again(traffic, families)
            issued += len(model.tokens)
            revoked += len(model.dead())
            rotated += sum(len(family.used) for family in model.families)
            model.forget()
            if number % 10 == 0:
                proof.say(
                    f"REDIS_WAIT_REPLICAS={wait}: {number} failovers, {len(model.lost)} tokens lost, "
                    f"{model.stale_past_bound} answers active past the bound, {taken} refresh tokens taken again"
                )
    outages.sort()
    notes = (
        f"{FAILOVERS} failovers; acknowledged: {issued:,} tokens issued, {revoked:,} revocations, {rotated:,} "
        f"rotations; {taken} of {presented:,} used refresh tokens taken again; away for "
        f"{outages[len(outages) // 2]:.1f} s (median)"
    )
    assert wait == 0 or taken == 0
    proof.conclude(f"failovers-{wait}", notes=notes, loses=True, revives=wait == 0)


async def test_failovers(
    proof: Proof, second_proof: Proof, watch: Callable[[int], Sentinels], start_two: StartTwo
) -> None:
    """Both at a time: most of it is waiting for Sentinel. As many replicas as are waited for: what was acknowledged is
    on whichever server Sentinel may choose."""
    waits = [fail_over_often(each, watch(1), start_two, wait) for wait, each in enumerate((proof, second_proof))]
    await asyncio.gather(*waits)


async def test_hanging_master(proof: Proof, watch: Callable[[int], Sentinels], start_two: StartTwo) -> None:
    sentinels = watch(2)
    replicas = await start_two(REDIS_URL=sentinels.url, REDIS_WAIT_REPLICAS="1")
    async with proof.traffic(*replicas) as traffic:
        for _ in range(3):
            await traffic.until_well()
            await asyncio.sleep(1)
            old = await agreed_master(sentinels)
            old.pause()
            await agreed_master(sentinels, other_than=old)
            await traffic.until_well()
            # It believes in itself for a moment; nobody goes back to it.
            old.resume()
            await asyncio.sleep(1)
            await traffic.check(300)
            await asyncio.to_thread(sentinels.wait_until_watching, 40)
    proof.conclude("hanging-master", notes="`REDIS_WAIT_REPLICAS=1`, three times", loses=True)
