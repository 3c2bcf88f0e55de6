"""Starting while Redis is away or not to be written to: nothing is guessed, and nothing that was promised is lost."""

import asyncio
import time

import pytest
import redis

from tests.conftest import StartRedis
from tests.proving.conftest import BOUND_SECONDS, Proof, StartReplica, StartTwo
from tests.proving.model import Model

pytestmark = [pytest.mark.anyio, pytest.mark.prove, pytest.mark.timeout(300)]

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


async def test_redis_comes_back(
    proof: Proof, redis_process: StartRedis, start_replica: StartReplica, start_two: StartTwo
) -> None:
    server = redis_process(*DURABLE)
    settings = {"REDIS_URL": server.url, "STORE_FALLBACK": "memory"}
    model = proof.model
    before = await start_replica(**settings)
    async with proof.traffic(before):
        await asyncio.sleep(3)
    assert before.stop() == 0
    old = [token for token in model.alive() if token.kind == "opaque"]
    old_jwts = [token for token in model.alive() if token.kind == "jwt"]
    old_families = [family for family in model.families if family.is_usable]
    ended_before = model.dead()
    server.stop()

    # Each stands alone in its memory: what one issues the other does not know, and says so.
    replicas = await start_two(**settings)
    models = [Model(BOUND_SECONDS), Model(BOUND_SECONDS)]
    for number, one in enumerate(models):
        one.start_counting_at(1_000_000 * (number + 1))
    alone = [proof.traffic(replica, model=own) for replica, own in zip(replicas, models, strict=True)]
    both = proof.traffic(*replicas)
    for wire in both.wires:
        assert (await wire.get("/health/ready")).status == 200
    async with alone[0], alone[1]:
        await asyncio.sleep(3)
        for token in [*old[:100], *old_jwts[:50], *ended_before[:100]]:
            for wire in both.wires:
                assert await both.introspect(token, wire) == "unavailable"
        # Tokens that only Redis knows are revoked all the same: by the first replica, by the second, by both.
        kept = [[await both.revoke(token, wire) for token in old[part::4]] for part, wire in enumerate(both.wires)]
        kept += [[await both.revoke_family(family, both.wires[0]) for family in old_families[::2]]]
        assert all(map(all, kept))
        assert all(map(len, kept))
        for token in model.dead()[-100:]:
            assert await both.introspect(token, both.any_wire()) == "unavailable"
        restarted = time.monotonic()
        await asyncio.to_thread(server.restart)
        for wire in both.wires:
            while (await wire.get("/health")).body.count(b'"degraded":true'):
                assert time.monotonic() - restarted < 30
                await asyncio.sleep(0.02)
        took = time.monotonic() - restarted
        await asyncio.sleep(BOUND_SECONDS)
    # What either of them did is now true for both.
    await both.check(2_000)
    for own in models:
        across = proof.traffic(*replicas, model=own)
        await across.check(1_000)
        assert own.wrong == []
        assert own.lost == set()
        model.add_counts_of(own)
    async with both:
        await asyncio.sleep(2)
    notes = (
        f"{sum(map(len, kept)):,} revocations of tokens that only Redis knew were kept and are in force, "
        f"{sum(len(own.alive()) for own in models):,} tokens handed over; one switch, {took:.1f} s after Redis was back"
    )
    proof.conclude("starts-without-redis", notes=notes)


async def test_sigterm_during_the_hand_over(
    proof: Proof, redis_process: StartRedis, start_replica: StartReplica
) -> None:
    server = redis_process(*DURABLE)
    server.stop()
    settings = {"REDIS_URL": server.url, "STORE_FALLBACK": "memory"}
    first = await start_replica(**settings)
    alone = proof.traffic(first)
    for _ in range(12):
        await asyncio.gather(*(alone.issue(kind) for kind in ("opaque", "family", "jwt", "opaque") * 100))
    for token in proof.model.alive()[::5]:
        if token.kind != "family":
            assert await alone.revoke(token)
    await asyncio.to_thread(server.restart)
    with redis.Redis(port=server.port) as operator:
        give_up_at = time.monotonic() + 10
        while operator.info("clients")["connected_clients"] < 2:
            assert time.monotonic() < give_up_at
    assert await asyncio.to_thread(first.stop) == 0
    second = await start_replica(**settings)
    after = proof.traffic(second)
    await after.check(5_000)
    living, revoked = len(proof.model.alive()), len(proof.model.dead())
    notes = f"{living:,} living and {revoked:,} revoked tokens, all of them known to the next process"
    proof.conclude("sigterm-hand-over", notes=notes)


async def test_read_only_at_start(proof: Proof, redis_process: StartRedis, start_replica: StartReplica) -> None:
    master = redis_process()
    server = redis_process("--replicaof", "127.0.0.1", str(master.port))
    replica = await start_replica(REDIS_URL=server.url, ready_path="/health/live")
    traffic = proof.traffic(replica)
    for _ in range(10):
        assert (await traffic.wires[0].get("/health/ready")).status == 503
        assert await traffic.issue() is None
        await asyncio.sleep(0.1)
    assert any("replica" in record["message"] for record in replica.log_records()), replica.logs
    with redis.Redis(port=server.port) as operator:
        operator.replicaof("NO", "ONE")
    took = await traffic.until_well()
    assert (await traffic.wires[0].get("/health/ready")).status == 200
    async with traffic:
        await asyncio.sleep(2)
    proof.conclude("read-only-at-start", notes=f"not ready, and says why; ready {took:.2f} s after it was promoted")
