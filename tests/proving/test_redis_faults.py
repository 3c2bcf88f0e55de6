"""One Redis, and everything that can be wrong with it, under a continuous client on two replicas of the service."""

import asyncio
import time

import pytest
import redis

from tests.conftest import StartRedis
from tests.programs.redis_process import RedisProcess
from tests.proving.conftest import LayCable, Proof, StartReplica, StartTwo
from tests.proving.traffic import Traffic

pytestmark = [pytest.mark.anyio, pytest.mark.prove, pytest.mark.timeout(300)]

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


async def stays_ready(traffic: Traffic) -> None:
    """The loss of Redis takes no replica out of service, nor the keys with it."""
    for wire in traffic.wires:
        for path in ("/health/ready", "/health/live", "/jwks.json"):
            began = time.monotonic()
            assert (await wire.get(path)).status == 200
            assert time.monotonic() - began < 1


async def test_hanging(proof: Proof, redis_process: StartRedis, start_two: StartTwo) -> None:
    server = redis_process()
    replicas = await start_two(REDIS_URL=server.url)
    recoveries = []
    async with proof.traffic(*replicas) as traffic:
        await traffic.until_well()
        for _ in range(3):
            await asyncio.sleep(2)
            server.pause()
            await asyncio.sleep(2.5)
            await stays_ready(traffic)
            before = proof.model.unavailable
            await asyncio.sleep(1)
            assert proof.model.unavailable > before
            server.resume()
            recoveries.append(await traffic.until_well())
        await traffic.check()
    assert proof.model.slowest_answer < 3
    notes = f"slowest answer {proof.model.slowest_answer:.2f} s; well again within {max(recoveries):.2f} s"
    proof.conclude("hangs", notes=notes)


async def test_slow(proof: Proof, redis_process: StartRedis, start_two: StartTwo, lay_cable: LayCable) -> None:
    cable = await lay_cable(redis_process().port)
    replicas = await start_two(REDIS_URL=cable.url)
    async with proof.traffic(*replicas, workers=24) as traffic:
        await traffic.until_well()
        cable.delay_seconds = 0.2
        await asyncio.sleep(10)
        cable.delay_seconds = 0
        await traffic.until_well()
        await traffic.check()
    assert proof.model.slowest_answer < 3
    proof.conclude("slow", notes=f"slowest answer {proof.model.slowest_answer:.2f} s")


async def test_killed_and_back_empty(proof: Proof, redis_process: StartRedis, start_two: StartTwo) -> None:
    server = redis_process()
    replicas = await start_two(REDIS_URL=server.url)
    model, recoveries = proof.model, []
    async with proof.traffic(*replicas) as traffic:
        for _ in range(3):
            await traffic.until_well()
            await asyncio.sleep(2)
            killed = time.monotonic()
            server.kill()
            await asyncio.sleep(1.2)  # JWTs carry whole seconds: those of before are older than the new birth
            await stays_ready(traffic)
            await asyncio.to_thread(server.restart)
            recoveries.append(await traffic.until_well())
            await asyncio.sleep(2)
            # From here on nothing of before may be taken for alive, JWTs included: their revocations are lost.
            model.gone = lambda token, before=killed: token.issued < before  # type: ignore[misc]
            await traffic.ask_all([token for token in model.tokens if model.gone(token)][-600:])
        await traffic.check()
    notes = f"every token of before is inactive, JWTs too; well again within {max(recoveries):.2f} s"
    proof.conclude("killed-empty", notes=notes, loses=True)


async def test_killed_and_back_with_its_file(proof: Proof, redis_process: StartRedis, start_two: StartTwo) -> None:
    server = redis_process(*DURABLE)
    replicas = await start_two(REDIS_URL=server.url)
    recoveries = []
    async with proof.traffic(*replicas) as traffic:
        for _ in range(3):
            await traffic.until_well()
            await asyncio.sleep(2)
            server.kill()
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.restart)
            recoveries.append(await traffic.until_well())
            await traffic.check()
    proof.conclude("killed-aof", notes=f"`appendfsync always`; well again within {max(recoveries):.2f} s")


def fill(server: RedisProcess, keys: int) -> None:
    with redis.Redis(port=server.port) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(keys):
            pipeline.set(f"filler:{number}", b"x" * 100, ex=3600)
        pipeline.execute()


def is_loading(server: RedisProcess) -> bool:
    with redis.Redis(port=server.port) as client:
        return bool(client.info("persistence")["loading"])


async def test_loading(
    proof: Proof, redis_process: StartRedis, start_two: StartTwo, start_replica: StartReplica
) -> None:
    slowly = ("--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024")
    server = redis_process(*DURABLE, *slowly)
    replicas = await start_two(REDIS_URL=server.url)
    await asyncio.to_thread(fill, server, 30_000)
    async with proof.traffic(*replicas) as traffic:
        await traffic.until_well()
        await asyncio.sleep(2)
        server.kill()
        await asyncio.to_thread(server.restart)
        assert is_loading(server)
        late = await start_replica(REDIS_URL=server.url, ready_path="/health/live")
        assert is_loading(server)
        latecomer = proof.traffic(late)
        assert (await latecomer.wires[0].get("/health/ready")).status == 503
        await stays_ready(traffic)
        took = await traffic.until_well()
        assert not is_loading(server)
        await latecomer.until_well()
        assert (await latecomer.wires[0].get("/health/ready")).status == 200
        await traffic.check()
    proof.conclude("loading", notes=f"well again {took:.2f} s after the first refusal; not ready at start until loaded")


async def test_full(proof: Proof, redis_process: StartRedis, start_two: StartTwo) -> None:
    server = redis_process()
    replicas = await start_two(REDIS_URL=server.url)
    model = proof.model
    async with proof.traffic(*replicas) as traffic:
        await traffic.until_well()
        await asyncio.sleep(2)
        with redis.Redis(port=server.port) as operator:
            operator.config_set("maxmemory", operator.info("memory")["used_memory"] - 100_000)
        victims = [token for token in model.alive() if token.kind != "family"][-60:]
        assert await traffic.issue() is None
        acknowledged = [await traffic.revoke(token) for token in victims]
        assert all(acknowledged)
        await traffic.check(200)
        await asyncio.sleep(3)
        assert await traffic.issue() is None
        with redis.Redis(port=server.port) as operator:
            operator.config_set("maxmemory", 0)
        await traffic.until_well()
        await traffic.check()
    proof.conclude("full", notes="nothing is issued; introspection and revocation go on")


async def test_cut_in_mid_pipeline(
    proof: Proof, redis_process: StartRedis, start_two: StartTwo, lay_cable: LayCable
) -> None:
    cable = await lay_cable(redis_process().port)
    replicas = await start_two(REDIS_URL=cable.url, CACHE_MAX_ENTRIES="0")
    traffic = proof.traffic(*replicas)
    await traffic.until_well()
    for _ in range(1_000):
        assert await traffic.issue("opaque") is not None
    tokens = [token for token in proof.model.alive() if token.kind == "opaque"]
    outcomes: list[str] = []
    for number in range(25):
        cable.cut_after_bytes = 1_000 + 1_777 * number
        outcomes += await asyncio.gather(*(traffic.introspect(token) for token in tokens[:1_000]))
        await traffic.until_well()
    await traffic.check(1_000)
    assert cable.cuts >= 20
    assert outcomes.count("unavailable") > 0
    assert outcomes.count("active") > 10_000
    notes = f"{cable.cuts} connections cut; {outcomes.count('active'):,} own answers, none of another's"
    proof.conclude("cut-pipeline", notes=notes, least_requests=25_000)
