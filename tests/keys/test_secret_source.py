"""Keys in a Kubernetes Secret through the API server."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.keys.errors import RingDocumentError, SourceDenied, SourceUnreachable
from app.keys.sources.secret import SecretSource
from tests.keys.api_server import ApiServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def source(kubeconfig: Path) -> AsyncIterator[SecretSource]:
    made = SecretSource("auth", "keyring", kubeconfig=kubeconfig)
    yield made
    await made.close()


async def test_the_rest_of_the_secret_stays_as_it_is(api_server: ApiServer, source: SecretSource) -> None:
    other = {"metadata": {"name": "keyring", "labels": {"team": "a"}}, "data": {"other": "b3RoZXI="}}
    api_server._store("auth", "keyring", other)
    assert await source.read() is None
    assert await source.write(b"first", None)
    assert await source.write(b"second", await source.read())
    held = api_server.secrets["auth", "keyring"]
    assert held["data"] == {"other": "b3RoZXI=", "keyring.json": base64.b64encode(b"second").decode()}
    assert held["metadata"]["labels"] == {"team": "a"}


async def test_a_new_secret_is_labelled_as_ours(api_server: ApiServer, source: SecretSource) -> None:
    assert await source.write(b"first", None)
    held = api_server.secrets["auth", "keyring"]
    assert held["type"] == "Opaque"
    assert held["metadata"]["labels"]["app.kubernetes.io/name"] == "auth-service"


async def test_any_change_of_the_secret_in_between_wins(api_server: ApiServer, source: SecretSource) -> None:
    assert await source.write(b"first", None)
    read = await source.read()
    api_server._store("auth", "keyring", {**api_server.secrets["auth", "keyring"]})  # somebody set a label
    assert not await source.write(b"second", read)


async def test_a_secret_that_is_gone_is_a_lost_race(api_server: ApiServer, source: SecretSource) -> None:
    assert await source.write(b"first", None)
    read = await source.read()
    api_server.secrets.clear()
    assert not await source.write(b"second", read)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SourceDenied), (403, SourceDenied), (500, SourceUnreachable), (429, SourceUnreachable)],
)
async def test_refusals_and_failures_are_told_apart_without_the_servers_text(
    api_server: ApiServer, source: SecretSource, status: int, error: type[Exception]
) -> None:
    api_server.answer_with = status
    with pytest.raises(error, match=f"answered {status}") as refusal:
        await source.read()
    assert "canary-text" not in str(refusal.value)
    with pytest.raises(error):
        await source.write(b"x", None)


async def test_a_server_that_is_gone_is_unreachable(api_server: ApiServer, source: SecretSource) -> None:
    assert await source.read() is None
    api_server.close()
    with pytest.raises(SourceUnreachable, match="no answer"):
        await source.read()


async def test_an_entry_that_is_no_base64_is_a_damaged_document(api_server: ApiServer, source: SecretSource) -> None:
    api_server._store("auth", "keyring", {"metadata": {"name": "keyring"}, "data": {"keyring.json": "%%%"}})
    with pytest.raises(RingDocumentError, match="base64"):
        await source.read()


async def test_without_a_way_to_the_server_it_says_so(tmp_path: Path) -> None:
    missing = SecretSource("auth", "keyring", kubeconfig=tmp_path / "missing")
    with pytest.raises(SourceDenied, match="no way to the API server"):
        await missing.read()
