"""Releases side by side on one Redis, and records of other releases: nothing is misread, in either direction."""

import asyncio
import hashlib
from pathlib import Path

import httpx
import msgspec
import pytest
import redis

from app.model.tokens import RECORD_VERSION, TokenRef
from app.storage.redis.keyspace import Keyspace
from tests.conftest import StartRedis
from tests.proving.conftest import Proof, StartReplica, StartTwo
from tests.proving.model import Token
from tests.proving.previous import previous_release, unpack
from tests.proving.traffic import Traffic

pytestmark = [pytest.mark.anyio, pytest.mark.prove, pytest.mark.timeout(300)]


async def test_previous_release(
    proof: Proof, redis_process: StartRedis, start_replica: StartReplica, tmp_path: Path
) -> None:
    release = previous_release()
    server = redis_process()
    old = await start_replica(root=unpack(release, tmp_path), REDIS_URL=server.url)
    new = await start_replica(REDIS_URL=server.url)
    both = proof.traffic(old, new)
    directions = {"old to new": both.wires, "new to old": list(reversed(both.wires))}
    crossed = 0
    async with both:
        await both.until_well()
        for issuer, other in directions.values():
            for kind in ("opaque", "jwt", "family") * 20:
                token = await both.issue(kind, issuer)
                assert token is not None
                assert await both.introspect(token, other) == "active"
                if kind == "family":
                    family = next(one for one in reversed(proof.model.families) if token in one.members)
                    assert await both.rotate(family, other)
                    assert await both.rotate(family, issuer)
                    assert await both.revoke_family(family, other)
                else:
                    assert await both.revoke(token, other)
                crossed += 1
        await asyncio.sleep(8)
        await both.check(1_000)
    # A rolling update and its way back: whoever starts anew reads what the other wrote.
    assert old.stop() == 0
    assert new.stop() == 0
    again = [await start_replica(root=tmp_path, REDIS_URL=server.url), await start_replica(REDIS_URL=server.url)]
    await proof.traffic(*again).check(1_000)
    proof.conclude(
        "previous-release", notes=f"{release} and this one; {crossed} tokens across, each way; both restarted"
    )


class Records:
    """The record of a token in Redis, as another release would have written it."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._client = client
        self._names = Keyspace(prefix)

    def access(self, token: Token) -> bytes:
        return self._names.access(self._ref(token.text))

    def refresh(self, refresh_token: str) -> bytes:
        return self._names.refresh(self._ref(refresh_token))

    def rewrite(self, name: bytes, version: int, *more: object, fields: int | None = None) -> None:
        """Give it another version, more fields behind, or only its first ``fields``."""
        data = self._client.get(name)
        assert isinstance(data, bytes)
        record = msgspec.msgpack.decode(data)
        assert isinstance(record, list)
        record[0] = version
        self._client.set(name, msgspec.msgpack.encode([*record[:fields], *more]), keepttl=True)

    @staticmethod
    def _ref(text: str) -> TokenRef:
        return TokenRef(text[5:9], hashlib.sha256(text.encode()).digest())


async def answers(traffic: Traffic, tokens: list[Token]) -> set[str]:
    """What every replica says of these, twice."""
    return {await traffic.introspect(token, wire) for token in tokens for wire in traffic.wires * 2}


async def test_records_of_other_releases(
    proof: Proof, redis_process: StartRedis, start_two: StartTwo, redis_key_prefix: str
) -> None:
    server = redis_process()
    replicas = await start_two(REDIS_URL=server.url)
    model = proof.model
    traffic = proof.traffic(*replicas)
    await traffic.until_well()
    issued = [[token for _ in range(30) if (token := await traffic.issue(kind))] for kind in ("opaque", "family")]
    plain, of_families = issued
    families = list(model.families)
    with redis.Redis(port=server.port) as client:
        records = Records(client, redis_key_prefix)
        for token in [*plain[:10], *of_families[:10]]:  # the next release: another version, fields that nobody knows
            records.rewrite(records.access(token), RECORD_VERSION + 1, "a new field", {"of": ["any", "form"]})
        for family in families[:10]:
            records.rewrite(records.refresh(family.refresh_token), RECORD_VERSION + 1, "a new field", 7)
        for token in plain[10:20]:  # the release before: the last field, which has a default, is not there yet
            records.rewrite(records.access(token), RECORD_VERSION, fields=-1)
        for token in plain[20:]:  # a release far ahead: this one cannot know what its records mean
            records.rewrite(records.access(token), RECORD_VERSION + 2)
    assert await answers(traffic, [*plain[:20], *of_families]) == {"active"}
    assert await answers(traffic, plain[20:]) == {"unavailable"}
    for replica in replicas:
        text = (await asyncio.to_thread(httpx.get, f"{replica.metrics_url}/metrics")).text
        assert 'store_errors_total{backend="redis",kind="record_version"} 20.0' in text
    for family in families[:10]:  # used by this release, its successors come, its second use ends the family
        assert await traffic.rotate(family)
        assert await traffic.introspect(family.members[-1]) == "active"
    for token in plain[:20]:
        assert await traffic.revoke(token)
    for family in families[:10]:
        assert await traffic.revoke_family(family)
    outcomes = await traffic.ask_all(list(model.dead()))
    assert set(outcomes) == {"inactive"}
    notes = "the next one's and the last one's are read, used and revoked; one two versions ahead is 503 and a metric"
    proof.conclude("other-records", notes=notes, least_requests=300)
