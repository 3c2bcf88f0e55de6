"""The Secret source against a real API server: the one of the current kube context."""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config

from app.keys.document import decode
from app.keys.errors import SourceDenied
from app.keys.policy import RotationPolicy
from app.keys.rotation import plan
from app.keys.sources.secret import SecretSource
from app.keys.writer import RingWriter

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
NOW = 1_800_000_000.0
POLICY = RotationPolicy(algorithms=("ES256",))


@pytest.fixture
def api() -> Any:
    config.load_kube_config()  # type: ignore[no-untyped-call]
    return client.CoreV1Api()


@pytest.fixture
def namespace(api: Any) -> Iterator[str]:
    name = f"keyring-{secrets.token_hex(4)}"
    api.create_namespace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    api.delete_namespace(name)


async def test_of_many_writers_at_once_one_succeeds(namespace: str) -> None:
    sources = [SecretSource(namespace, "keyring") for _ in range(10)]
    assert await sources[0].read() is None
    begun = await asyncio.gather(*(source.write(f"{n}".encode(), None) for n, source in enumerate(sources)))
    assert begun.count(True) == 1
    read = await sources[0].read()
    written = await asyncio.gather(*(source.write(f"next {n}".encode(), read) for n, source in enumerate(sources)))
    assert written.count(True) == 1
    held = await sources[1].read()
    assert held is not None
    assert held.body == f"next {written.index(True)}".encode()
    for source in sources:
        await source.close()


async def test_the_rest_of_the_secret_stays_and_its_changes_win(api: Any, namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keyring"}, "stringData": {"other": "x"}}
    api.create_namespaced_secret(namespace, body)
    source = SecretSource(namespace, "keyring")
    assert await source.write(b"first", None)
    read = await source.read()
    api.patch_namespaced_secret("keyring", namespace, {"metadata": {"labels": {"team": "a"}}})
    assert not await source.write(b"second", read)
    assert await source.write(b"second", await source.read())
    held = api.read_namespaced_secret("keyring", namespace)
    assert set(held.data) == {"other", "keyring.json"}
    assert held.metadata.labels == {"team": "a"}
    await source.close()


async def test_of_many_rotations_at_once_one_makes_a_key(namespace: str) -> None:
    writers = [
        RingWriter(SecretSource(namespace, "keyring"), POLICY, kek=None, clock=lambda: NOW, threads=None)
        for _ in range(25)
    ]
    await writers[0].change(lambda document, now: plan(document, now, POLICY), may_begin=True)
    done = await asyncio.gather(
        *(writer.change(lambda document, now: plan(document, now + 86400, POLICY)) for writer in writers)
    )
    assert sum(d.changed for d in done) == 1
    stored = await writers[0].source.read()
    assert stored is not None
    assert len(decode(stored.body).keys) == 3
    for writer in writers:
        await writer.source.close()


async def test_a_missing_namespace_is_refused() -> None:
    source = SecretSource("no-such-namespace", "keyring")
    assert await source.read() is None
    with pytest.raises(SourceDenied, match="answered 40"):
        await source.write(b"x", None)
    await source.close()
