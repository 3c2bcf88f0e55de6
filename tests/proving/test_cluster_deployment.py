"""A Redis Cluster of six nodes under the continuous client: slots move, and a node fails."""

import asyncio
import time
from itertools import cycle

import pytest

from tests.conftest import StartRedis
from tests.proving.conftest import Proof, StartTwo
from tests.redis.cluster_processes import ClusterProcesses

pytestmark = [pytest.mark.anyio, pytest.mark.prove, pytest.mark.timeout(300)]


@pytest.fixture
def cluster(redis_process: StartRedis) -> ClusterProcesses:
    return ClusterProcesses(redis_process, masters=3, replicas=1)


def tag_of(token: str) -> str:
    """The slot tag in an opaque token: four characters after the prefix and the version."""
    return token[5:9]


async def test_slots_move(proof: Proof, cluster: ClusterProcesses, start_two: StartTwo) -> None:
    replicas = await start_two(REDIS_URL=cluster.url)
    moved = 0
    async with proof.traffic(*replicas) as traffic:
        await traffic.until_well()
        await asyncio.sleep(2)
        targets = cycle(cluster.masters())
        tokens = [token for token in proof.model.alive() if token.kind != "jwt"]
        for token in tokens[:: max(1, len(tokens) // 60)][:60]:
            tag, target = tag_of(token.text), next(targets)
            if cluster.master_of(tag) is not target:
                await asyncio.to_thread(cluster.move_slot, tag, target)
                moved += 1
        await traffic.check()
    assert moved >= 20
    proof.conclude("cluster-slot-moves", notes=f"{moved} slots moved")


async def test_a_node_fails(proof: Proof, cluster: ClusterProcesses, start_two: StartTwo) -> None:
    replicas = await start_two(REDIS_URL=cluster.url, REDIS_WAIT_REPLICAS="1")
    outages: list[float] = []
    async with proof.traffic(*replicas) as traffic:
        for number in range(3):
            await traffic.until_well()
            await asyncio.sleep(2)
            master = list(cluster.masters())[number]
            master.kill()
            killed = time.monotonic()
            await asyncio.to_thread(cluster.wait_until_whole)
            outages.append(time.monotonic() - killed)
            # Its successor has no replica that could confirm a revocation, until the killed one is that replica.
            await asyncio.to_thread(master.restart)
            await asyncio.to_thread(cluster.wait_until_whole)
            for _ in range(30):  # the names of tokens are spread over all slots
                await traffic.until_well()
            await traffic.check()
    notes = (
        f"three nodes, one after the other, `REDIS_WAIT_REPLICAS=1`; all slots served again within {max(outages):.1f} s"
    )
    proof.conclude("cluster-node-fails", notes=notes, loses=True)
