"""What is refused before its client is known counts all the same, and against whom."""

import hashlib
from typing import Any

import pytest
from argon2 import PasswordHasher

from app.endpoints.exchange import Request
from app.model.clients import Client, ClientAuthMethod, ClientSecret
from app.protocol.form import FORM_CONTENT_TYPE, too_large
from app.protocol.metadata import INTROSPECTION_PATH, REVOCATION_PATH, TOKEN_PATH
from tests.unit.endpoints.wiring import Answer, Wired, basic, confidential, generated

pytestmark = pytest.mark.anyio

GENERATED = "ascs_" + "R4nd0m-b1ts" * 3 + "0123456789"
AS_GIVEN = "a person gave this one"
ATTACKER, ELSEWHERE = "203.0.113.66", "198.51.100.1"
FORM = b"grant_type=client_credentials&token=x"
MALFORMED: dict[str, dict[str, Any]] = {
    "a query string": {"body": FORM, "has_query": True},
    "another content type": {"body": FORM, "content_type": b"text/plain"},
    "a repeated parameter": {"body": FORM + b"&token=y"},
    "a broken escape": {"body": FORM + b"&a=%z"},
    "an assertion without its type": {"body": FORM + b"&client_assertion=x"},
    "a secret without an id": {"body": FORM + b"&client_secret=x"},
    "a large body": {"body": b"a=" + b"x" * 65_536},
}
PATHS = (TOKEN_PATH, INTROSPECTION_PATH, REVOCATION_PATH)
QUERY = MALFORMED["a query string"]


async def ask(wired: Wired, path: str = TOKEN_PATH, peer: str | None = ATTACKER, **members: Any) -> Answer:
    given = {"content_type": FORM_CONTENT_TYPE, "body": FORM} | members
    return await wired.send(path, Request("POST", peer=peer, request_id="r", **given))


def policy(answer: Answer) -> bytes | None:
    return answer.headers.get(b"ratelimit-policy")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("what", MALFORMED)
async def test_what_cannot_be_read_counts_against_its_address(what: str, path: str) -> None:
    wired = Wired(confidential("billing", secrets=(generated(GENERATED),)), failures_per_minute=3)
    statuses = [(await ask(wired, path, **MALFORMED[what])).status for _ in range(3)]
    assert set(statuses) <= {400, 413, 415}
    refused = await ask(wired, path, **MALFORMED[what])
    assert refused.error == (429, "slow_down")
    assert (policy(refused), refused.headers[b"retry-after"]) == (b'"failure";q=3;w=60', b"20")
    assert (await ask(wired, path, ELSEWHERE, **MALFORMED[what])).status in {400, 413, 415}
    # Who cannot have guessed gets in, from anywhere; who fails shares the address's failures.
    assert (await ask(wired, path, authorization=basic("billing", GENERATED))).status == 200
    assert (await ask(wired, path, authorization=basic("nobody"))).status == 429


async def test_a_body_that_is_refused_unread_counts_as_well() -> None:
    wired = Wired(failures_per_minute=2)
    route = wired.routes[TOKEN_PATH]
    answers = [wired.edge.refuse(route, Request("POST", peer=ATTACKER, request_id="r"), too_large()) for _ in range(3)]
    assert [answer.status for answer in answers] == [413, 413, 429]


@pytest.mark.parametrize("used_before", [True, False])
@pytest.mark.parametrize("what", MALFORMED)
async def test_a_client_that_its_header_proves_pays_by_itself(what: str, *, used_before: bool) -> None:
    billing = confidential("billing", secrets=(generated(GENERATED),), rate_limit_per_minute=4)
    wired = Wired(billing, confidential("other"), failures_per_minute=1)
    header = basic("billing", GENERATED)
    if used_before:
        assert (await ask(wired, authorization=header)).status == 200
    for _ in range(4 - used_before):
        assert (await ask(wired, authorization=header, **MALFORMED[what])).status in {400, 413, 415}
    refused = await ask(wired, authorization=header, **MALFORMED[what])
    assert (refused.status, policy(refused)) == (429, b'"client";q=4;w=60')
    assert (await ask(wired, authorization=header)).status == 429
    assert (await ask(wired, authorization=basic("other"))).status == 200
    assert (await ask(wired, **MALFORMED[what])).status in {400, 413, 415}  # the first failure of the address


async def test_what_is_malformed_behind_the_admission_counts_once() -> None:
    wired = Wired(confidential("billing", rate_limit_per_minute=3), failures_per_minute=1)
    answers = [await ask(wired, body=b"scope=read", authorization=basic("billing")) for _ in range(4)]
    assert [answer.status for answer in answers] == [400, 400, 400, 429]


@pytest.mark.parametrize("kind", ["sha256", "argon2id"])
@pytest.mark.parametrize("at_work", [None, ELSEWHERE, ATTACKER], ids=["away", "elsewhere", "at the guesser's address"])
async def test_a_request_that_cannot_be_read_tells_no_guesser_anything(kind: str, at_work: str | None) -> None:
    phc = PasswordHasher(1, 8, 1).hash(AS_GIVEN, salt=hashlib.sha256(b"salt").digest())
    secret = generated(AS_GIVEN) if kind == "sha256" else ClientSecret(argon2id=phc)
    wired = Wired(confidential("billing", secrets=(secret,)), failures_per_minute=10)
    if at_work is not None:
        assert (await ask(wired, authorization=basic("billing", AS_GIVEN), peer=at_work)).status == 200
    told = [
        await ask(wired, authorization=basic("billing", text), **QUERY) for text in ["wrong", AS_GIVEN] * 8
    ]  # the address' bound lies within
    assert [answer.status for answer in told] == [400] * 10 + [429] * 6
    assert len({(answer.body, tuple(answer.headers.items())) for answer in told[10:]}) == 1
    # Nothing was compared, so nobody at this client is delayed by it.
    assert wired.limits._failures.must_wait_at(ATTACKER, "billing", wired.clock()) == 0


async def test_a_guess_of_the_generated_form_counts_at_the_client_that_it_names() -> None:
    wired = Wired(confidential("billing"), failures_per_minute=300)
    for number in range(8):
        await ask(wired, authorization=basic("billing", f"ascs_{number:043}"), **QUERY)
    assert (await ask(wired, authorization=basic("billing", "guess"))).status == 429
    assert (await ask(wired, authorization=basic("billing"), peer=ELSEWHERE)).status == 200


async def test_a_registered_method_cannot_be_avoided() -> None:
    poster = confidential("poster", auth_method=ClientAuthMethod.CLIENT_SECRET_POST)
    wired = Wired(poster, failures_per_minute=2)
    answers = [await ask(wired, authorization=basic("poster"), **QUERY) for _ in range(3)]
    assert [answer.status for answer in answers] == [400, 400, 429]


async def test_a_chosen_secret_is_not_verified_for_what_is_refused_anyway() -> None:
    phc = PasswordHasher(1, 8, 1).hash("hunter2", salt=hashlib.sha256(b"salt").digest())
    wired = Wired(Client("chosen", secrets=(ClientSecret(argon2id=phc),)), failures_per_minute=3)
    header = basic("chosen", "hunter2")
    assert (await ask(wired, authorization=header, **QUERY)).status == 400
    assert wired.hashed == []
    assert (await ask(wired, authorization=header)).status in {200, 400}  # it may have no scope; it was let in
    assert wired.hashed == [phc]
    # Remembered from now on, and yet no proof for what cannot be read: who guesses beside it would learn from it.
    assert [(await ask(wired, authorization=header, **QUERY)).status for _ in range(3)] == [400, 400, 429]
    assert (await ask(wired, authorization=header)).status in {200, 400}
    # What was not verified delays nobody at this client.
    assert wired.limits._failures.must_wait_at(ATTACKER, "chosen", wired.clock()) == 0


async def test_where_failures_are_not_counted_nothing_is_refused_for_them() -> None:
    wired = Wired(failures_per_minute=0)
    assert {(await ask(wired, **QUERY)).status for _ in range(500)} == {400}
