"""Keys that a client publishes: when they are fetched, for how long they count, and how often anybody can have them
fetched."""

import asyncio
import functools
import json
import logging
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.endpoints.client_keys import AFTER_FAILURE_SECONDS, AGAIN_SECONDS, STALE_SECONDS, ClientKeys
from app.model.clients import Client, ClientAuthMethod
from app.outgoing.fetching import Fetched, FetchError
from app.protocol.client_jwks import client_key
from app.protocol.errors import ErrorCode, ProtocolError
from app.protocol.metadata import TOKEN_PATH
from tests.unit.endpoints.wiring import ISSUER, NOW, Clock, Wired, confidential

pytestmark = pytest.mark.anyio
URI = "https://app.example.com/jwks.json?tenant=canary"
SIGNER = Client("signer", auth_method=ClientAuthMethod.PRIVATE_KEY_JWT, jwks_uri=URI)


@functools.cache
def private_key(kid: str) -> ec.EllipticCurvePrivateKey:
    del kid
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(kid: str) -> dict[str, Any]:
    jwk = ECAlgorithm.to_jwk(private_key(kid).public_key(), as_dict=True)
    return {"kid": kid, **{name: jwk[name] for name in ("kty", "crv", "x", "y")}}


def jwks(*kids: str) -> bytes:
    return json.dumps({"keys": [public_jwk(kid) for kid in kids]}).encode()


class Host:
    """Publishes what it is told to, after ``gate`` is open."""

    def __init__(self, answer: bytes | FetchError, max_age: int | None = None) -> None:
        self.answer = answer
        self.max_age = max_age
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, url: str, accept: str, traceparent: str | None) -> Fetched:
        assert (url, traceparent) == (URI, None)
        assert accept.startswith("application/jwk-set+json")
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, FetchError):
            raise self.answer
        return Fetched(self.answer, self.max_age)


AWAY = FetchError("unreachable", "the host cannot be reached")


class Known(ClientKeys):
    """The keys of one host's client."""

    def __init__(self, host: Host) -> None:
        self.clock = Clock()
        self.results: list[str] = []
        super().__init__(host.fetch, monotonic=self.clock, on_fetched=self.results.append)

    async def kids(self) -> list[str]:
        return [str(key.kid) for key in await self.of(SIGNER)]

    async def refused(self) -> bool:
        with pytest.raises(ProtocolError) as refused:
            await self.of(SIGNER)
        assert (refused.value.error, refused.value.reason) == (ErrorCode.INVALID_CLIENT, "assertion_keys_unavailable")
        return True


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_registered_keys_are_never_fetched() -> None:
    host = Host(AWAY)
    known = Known(host)
    registered = Client("a", jwks=(client_key(public_jwk("one")),))
    assert await known.of(registered) == registered.jwks
    assert await known.newer(registered, registered.jwks) is None
    assert host.asked == 0


async def test_published_keys_are_fetched_once_and_renewed_ahead_of_time() -> None:
    host = Host(jwks("one"))
    known = Known(host)
    for _ in range(3):
        assert await known.kids() == ["one"]
    assert (host.asked, known.results) == (1, ["ok"])
    host.answer = jwks("two")
    known.clock.now += 301  # half of ten minutes
    host.gate.clear()
    assert await known.kids() == ["one"], "nobody waits for a renewal"
    assert await known.kids() == ["one"]
    await settled()
    host.gate.set()
    await settled()
    assert await known.kids() == ["two"]
    assert host.asked == 2


@pytest.mark.parametrize(
    ("max_age", "fresh"), [(None, 600), (0, 60), (59, 60), (120, 120), (3600, 3600), (10**9, 3600)]
)
async def test_the_answer_says_within_bounds_how_long_it_counts(max_age: int | None, fresh: int) -> None:
    host = Host(jwks("one"), max_age)
    known = Known(host)
    assert await known.kids() == ["one"]
    host.answer = jwks("two")
    known.clock.now += fresh - 1
    assert await known.kids() == ["one"]  # and renewed behind its back
    known = Known(host := Host(jwks("one"), max_age))
    assert await known.kids() == ["one"]
    host.answer = jwks("two")
    known.clock.now += fresh
    assert await known.kids() == ["two"]


async def test_keys_of_before_count_for_an_hour_where_their_host_is_away(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app.service")
    host = Host(jwks("one"))
    known = Known(host)
    assert await known.kids() == ["one"]
    host.answer = AWAY
    known.clock.now += 600
    assert await known.kids() == ["one"]
    known.clock.now += STALE_SECONDS - 1
    assert await known.kids() == ["one"]
    known.clock.now += 1
    assert await known.refused()
    host.answer = jwks("two")
    known.clock.now += AFTER_FAILURE_SECONDS
    assert await known.kids() == ["two"]
    assert known.results == ["ok", "unreachable", "unreachable", "ok"]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the keys of client 'signer' cannot be fetched from app.example.com: the host cannot be reached",
        "the keys of client 'signer' can be fetched again",
    ]


@pytest.mark.parametrize("answer", [AWAY, b"nonsense", b'{"keys": []}'])
async def test_without_keys_nobody_is_let_in_and_the_host_is_left_alone_for_a_while(answer: bytes | FetchError) -> None:
    host = Host(answer)
    known = Known(host)
    for _ in range(5):
        assert await known.refused()
    assert host.asked == 1
    known.clock.now += AFTER_FAILURE_SECONDS
    assert await known.refused()
    assert host.asked == 2


async def test_a_signature_of_no_known_key_has_them_fetched_again_but_not_often() -> None:
    host = Host(jwks("one"))
    known = Known(host)
    keys = await known.of(SIGNER)
    for _ in range(1000):
        assert await known.newer(SIGNER, keys) is None
    assert host.asked == 1, "they have just been fetched"
    host.answer = jwks("two")
    known.clock.now += AGAIN_SECONDS
    newer = await known.newer(SIGNER, keys)
    assert newer is not None
    assert [key.kid for key in newer] == ["two"]
    assert await known.newer(SIGNER, newer) is None
    assert host.asked == 2


async def test_who_waits_at_the_same_time_waits_for_one_fetch_and_may_give_up() -> None:
    host = Host(jwks("one"))
    known = Known(host)
    host.gate.clear()
    waiting = [asyncio.create_task(known.kids()) for _ in range(10)]
    await settled()
    waiting[0].cancel()
    await settled()
    host.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [["one"]] * 9
    assert host.asked == 1


# ------------------------------------------------------------------ at an endpoint


def assertion_of(kid: str, jti: str, *, signed_by: str | None = None) -> dict[str, str]:
    claims = {"iss": "signer", "sub": "signer", "aud": ISSUER, "exp": int(NOW) + 60, "jti": jti}
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode(claims, private_key(signed_by or kid), "ES256", headers={"kid": kid}),
    }


async def test_a_client_changes_its_keys_and_goes_on() -> None:
    wired = Wired(confidential("signer", auth_method=ClientAuthMethod.PRIVATE_KEY_JWT, secrets=(), jwks_uri=URI))
    wired.published[URI] = jwks("one")
    answer = await wired.post(TOKEN_PATH, assertion_of("one", "1"), None)
    assert answer.status == 200
    wired.published[URI] = jwks("two")
    wired.clock.now += AGAIN_SECONDS
    assert (await wired.post(TOKEN_PATH, assertion_of("two", "2"), None)).status == 200
    assert (await wired.post(TOKEN_PATH, assertion_of("one", "3"), None)).error == (401, "invalid_client")
    assert (await wired.post(TOKEN_PATH, assertion_of("two", "4", signed_by="one"), None)).status == 401
    assert len(wired.fetched) == 2
    assert wired.sample("outgoing_fetches_total", result="ok") == 2


async def test_a_flood_of_unknown_keys_is_two_fetches_a_minute_at_most() -> None:
    wired = Wired(confidential("signer", auth_method=ClientAuthMethod.PRIVATE_KEY_JWT, secrets=(), jwks_uri=URI))
    wired.published[URI] = jwks("one")
    for number in range(60):
        form = assertion_of(f"unknown-{number % 3}", str(number))
        assert (await wired.post(TOKEN_PATH, form, None)).error == (401, "invalid_client")
        wired.clock.now += 1
    assert len(wired.fetched) <= 3
    assert (await wired.post(TOKEN_PATH, assertion_of("one", "last"), None)).status in {200, 401}


async def test_keys_that_are_not_to_be_had_are_a_failed_authentication() -> None:
    wired = Wired(confidential("signer", auth_method=ClientAuthMethod.PRIVATE_KEY_JWT, secrets=(), jwks_uri=URI))
    answer = await wired.post(TOKEN_PATH, assertion_of("one", "1"), None)
    assert answer.error == (401, "invalid_client")
    assert b"keys" not in answer.body
    labels = {"operation": "issue", "reason": "assertion_keys_unavailable"}
    assert wired.sample("token_operation_failures_total", **labels) == 1
    assert wired.sample("outgoing_fetches_total", result="refused") == 1
