"""Who asks: every method at every endpoint, secrets that overlap, and assertions that count once."""

import asyncio
import functools
import hashlib
import math
import sys
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.endpoints.argon2id import Argon2idVerifier
from app.endpoints.exchange import Proof, Request
from app.endpoints.known_credentials import KnownCredentials, UsedAssertions, VerifiedSecrets
from app.endpoints.waiting_room import Places
from app.model.clients import Client, ClientAuthMethod, ClientSecret
from app.protocol.client_auth import ASSERTION_TYPE
from app.protocol.client_jwks import client_key
from app.protocol.form import FORM_CONTENT_TYPE
from app.protocol.metadata import INTROSPECTION_PATH, REVOCATION_PATH, TOKEN_PATH
from app.storage.interface import StoreUnavailable
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import (
    ISSUER,
    NOW,
    Answer,
    Clock,
    Wired,
    basic,
    confidential,
    generated,
    public,
    signing_threads,
)

pytestmark = pytest.mark.anyio

SECOND = int(NOW)
BASIC, POST, ASSERTION, NONE = ClientAuthMethod
CREDENTIALS = {"grant_type": "client_credentials"}


@functools.cache
def private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def asserting(name: str = "asserting", **members: Any) -> Client:
    jwk = ECAlgorithm.to_jwk(private_key().public_key(), as_dict=True)
    return confidential(name, auth_method=ASSERTION, jwks=(client_key(jwk),), **members)


def assertion(name: str = "asserting", jti: str = "one", **claims: Any) -> dict[str, str]:
    """The parameters of a client assertion."""
    payload = {"iss": name, "sub": name, "aud": ISSUER, "exp": SECOND + 60, "jti": jti} | claims
    return {
        "client_assertion": jwt.encode(payload, private_key(), "ES256"),
        "client_assertion_type": ASSERTION_TYPE,
    }


# ------------------------------------------------------------------------------------------ methods and endpoints

# As each registered method is named, so is the client; each has the same secret and the same key.
REGISTERED = {
    BASIC: confidential("client"),
    POST: confidential("client", auth_method=POST),
    ASSERTION: asserting("client", secrets=(generated("secret of client"),)),
    NONE: public("client"),
}


def present(method: ClientAuthMethod) -> tuple[bytes | None, dict[str, str]]:
    """The header and the parameters of a request that is authenticated this way."""
    match method:
        case ClientAuthMethod.CLIENT_SECRET_BASIC:
            return basic("client"), {}
        case ClientAuthMethod.CLIENT_SECRET_POST:
            return None, {"client_id": "client", "client_secret": "secret of client"}
        case ClientAuthMethod.PRIVATE_KEY_JWT:
            return None, {"client_id": "client", **assertion("client")}
        case ClientAuthMethod.NONE:
            return None, {"client_id": "client"}


@pytest.mark.parametrize("path", [TOKEN_PATH, INTROSPECTION_PATH, REVOCATION_PATH])
@pytest.mark.parametrize("registered", ClientAuthMethod)
@pytest.mark.parametrize("presented", ClientAuthMethod)
async def test_the_registered_method_is_the_only_one_at_every_endpoint(
    path: str, registered: ClientAuthMethod, presented: ClientAuthMethod
) -> None:
    wired = Wired(REGISTERED[registered])
    authorization, parameters = present(presented)
    form = {"token": "x"} if path != TOKEN_PATH else CREDENTIALS
    answer = await wired.post(path, {**form, **parameters}, None, authorization=authorization)
    if presented is not registered:
        assert answer.error == (401, "invalid_client")
    elif registered is not NONE or path == REVOCATION_PATH:
        assert answer.status == 200
    elif path == TOKEN_PATH:
        assert answer.error == (
            400,
            "unauthorized_client",
        )  # the grant of RFC 6749 section 4.4 is for confidential ones
    else:
        assert answer.error == (401, "invalid_client")  # RFC 7662 section 2.1: introspection needs authorization


def looks(answer: Answer) -> tuple[object, ...]:
    return answer.status, answer.body, tuple(answer.headers.items())


async def test_every_failure_looks_the_same() -> None:
    """Nobody learns from an answer whether the client, its secret or its method was wrong."""
    wired = Wired(
        confidential("billing"), confidential("posting", auth_method=POST), public("app"), asserting(), asserting("b")
    )
    failures: list[dict[str, Any]] = [
        {"authorization": basic("unknown")},
        {"authorization": basic("billing", "wrong")},
        {"authorization": basic("billing", "")},
        {"authorization": basic("BILLING", "secret of billing")},
        {"authorization": basic("posting")},
        {"authorization": basic("app", "x")},
        {"authorization": basic("asserting", "x")},
        {"authorization": b"Basic !"},
        {"authorization": b"Bearer x"},
        {"authorization": b""},
        {},
        {"form": {"client_id": "billing"}},
        {"form": {"client_id": "unknown"}},
        {"form": {"client_id": "billing", "client_secret": "secret of billing"}},
        {"form": {"client_id": "posting", "client_secret": "wrong"}},
        {"form": assertion("unknown")},
        {"form": assertion(aud="https://elsewhere.example")},
        {"form": assertion(exp=SECOND - 100)},
        {"form": assertion(sub="b")},
        {"form": assertion() | {"client_id": "b"}},
        {"form": assertion() | {"client_assertion": "x"}},
        {"form": assertion() | {"client_assertion": assertion()["client_assertion"] + "x"}},
    ]
    answers = []
    for failure in failures:
        form = failure.pop("form", {})
        answers.append(await wired.post(TOKEN_PATH, {**CREDENTIALS, **form}, None, **failure))
    assert {answer.error for answer in answers} == {(401, "invalid_client")}
    assert len({looks(answer) for answer in answers}) == 1
    assert wired.wrote_nothing()


async def test_the_reason_of_a_failure_is_for_the_operator() -> None:
    wired = Wired(confidential("billing"))
    await wired.post(TOKEN_PATH, CREDENTIALS, "unknown")
    await wired.post(TOKEN_PATH, CREDENTIALS, authorization=basic("billing", "wrong"))
    for reason in ("unknown_client", "wrong_secret"):
        assert wired.sample("token_operation_failures_total", operation="issue", reason=reason) == 1


# ------------------------------------------------------------------------------------------ secrets


async def work_of(wired: Wired, name: str, secret: str) -> Counter[str]:
    """The hashes and comparisons that one authentication costs: calls into C, seen by the interpreter itself."""
    counted: Counter[str] = Counter()

    def note(_frame: object, event: str, argument: Any) -> None:
        if event == "c_call" and argument.__name__ in ("openssl_sha256", "compare_digest"):
            counted[argument.__name__] += 1

    sys.setprofile(note)
    try:
        answer = await wired.post(TOKEN_PATH, CREDENTIALS, None, authorization=basic(name, secret))
    finally:
        sys.setprofile(None)
    assert answer.error == (401, "invalid_client")
    return counted


async def test_an_unknown_client_costs_the_hash_that_a_wrong_secret_costs() -> None:
    without = confidential("without", secrets=())
    expired = confidential("expired", secrets=(generated("x", not_after=NOW - 1),))
    wired = Wired(confidential("billing"), without, expired, public("app"))
    for name in ("billing", "unknown", "without", "expired", "app"):
        # Of the header, and of the secret.
        assert await work_of(wired, name, "wrong") == {"openssl_sha256": 2, "compare_digest": 1}


async def status(wired: Wired, secret: str, name: str = "billing") -> int:
    return (await wired.post(TOKEN_PATH, CREDENTIALS, None, authorization=basic(name, secret))).status


async def test_two_secrets_are_valid_at_once_until_one_of_them_ends() -> None:
    wired = Wired(confidential("billing", secrets=(generated("old", not_after=NOW + 100), generated("new"))))
    assert [await status(wired, secret) for secret in ("old", "new", "other")] == [200, 200, 401]
    wired.clock.now = NOW + 99.9
    assert await status(wired, "old") == 200
    wired.clock.now = NOW + 100
    assert [await status(wired, secret) for secret in ("old", "new")] == [401, 200]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("billing", "100%"),
        ("billing", "a+b c:d"),
        ("billing", "päß€😀"),
        ("a:b", "x"),
        ("https://client.example/%20", "x"),
        ("ü", "x"),
        ("billing", "x" * 10_000),
        ("billing", "%41"),
    ],
)
async def test_any_id_and_secret_can_be_presented(name: str, secret: str) -> None:
    wired = Wired(
        confidential(name, secrets=(generated(secret),)), confidential("posting", secrets=(generated(secret),))
    )
    assert await status(wired, secret, name) == 200
    assert await status(wired, secret + "x", name) == 401
    wired.clients[name] = confidential(name, secrets=(generated(secret),), auth_method=POST)
    form = {**CREDENTIALS, "client_id": name, "client_secret": secret}
    assert (await wired.post(TOKEN_PATH, form, None)).status == 200


@pytest.mark.parametrize(
    "changed",
    [
        confidential("billing", secrets=(generated("new"),)),
        confidential("billing", secrets=()),
        confidential("billing", secrets=(generated("secret of billing"),), auth_method=POST),
        public("billing"),
        None,
    ],
)
async def test_a_header_that_was_good_is_not_when_its_client_was_loaded_anew(changed: Client | None) -> None:
    wired = Wired(confidential("billing"), confidential("other"))
    assert await status(wired, "secret of billing") == 200
    if changed is None:
        del wired.clients["billing"]
    else:
        wired.clients["billing"] = changed
    assert await status(wired, "secret of billing") == 401


async def test_a_proof_that_is_void_since_a_reload_is_replaced_by_the_next_one() -> None:
    """Connections keep a request's proof with its head: a reload must not let each of them authenticate for ever."""
    wired = Wired(confidential("billing"))
    form = urlencode(CREDENTIALS).encode()

    async def send(proof: Proof | None) -> Request:
        request = Request(
            "POST", form, content_type=FORM_CONTENT_TYPE, authorization=basic("billing"), proof=proof, request_id="r"
        )
        assert (await wired.send(TOKEN_PATH, request)).status == 200
        return request

    first = (await send(None)).proof
    assert first is not None
    wired.clients["billing"] = confidential("billing")
    second = (await send(first)).proof
    assert second is not None
    assert second is not first
    assert (await send(first)).proof is second, "what the second proved is found"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"client_id": "billing"}, 200),
        ({"client_id": "other"}, 400),
        ({"client_secret": "secret of billing"}, 400),
        ({"client_assertion": "x"}, 400),
        ({"client_assertion_type": "x"}, 400),
    ],
)
async def test_a_header_that_was_good_does_not_hide_a_second_method(parameters: dict[str, str], code: int) -> None:
    wired = Wired(confidential("billing"), confidential("other"))
    assert await status(wired, "secret of billing") == 200
    form = CREDENTIALS | parameters
    answer = await wired.post(TOKEN_PATH, form, None, authorization=basic("billing", "secret of billing"))
    assert answer.status == code


async def test_headers_are_remembered_by_their_digest_and_not_without_bound() -> None:
    known, client = KnownCredentials(max_entries=3), confidential("billing")
    for number in range(10):
        proof = known.remember(b"Basic %d" % number, client, math.inf, peer=None, everywhere=True)
        assert known.find(b"Basic %d" % number, "203.0.113.7") is proof
        assert (proof.client, proof.until) == (client, math.inf)
    assert known.find(b"Basic 0", None) is None
    assert "Basic" not in repr(vars(known))


@functools.cache
def chosen(secret: str, version: int = 1) -> ClientSecret:
    """A secret that a person chose, hashed as cheaply as the library allows; each version has a salt of its own."""
    hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return ClientSecret(argon2id=hasher.hash(secret, salt=hashlib.sha256(b"%d" % version).digest()))


async def test_a_chosen_secret_is_hashed_once_in_a_while() -> None:
    wired = Wired(confidential("billing", secrets=(chosen("hunter2"),)))
    # Who is at work is not asked again; who was silent for five minutes is.
    for later, hashed in ((0, 1), (0, 1), (299, 1), (301, 1), (600, 1), (901, 2), (901, 2), (1202, 3)):
        wired.clock.now = NOW + later
        assert await status(wired, "hunter2") == 200
        assert len(wired.hashed) == hashed


async def test_a_wrong_secret_is_never_remembered() -> None:
    wired = Wired(confidential("billing", secrets=(chosen("hunter2"),)))
    for attempt in range(1, 4):
        assert await status(wired, "hunter3") == 401
        assert len(wired.hashed) == attempt
    assert await status(wired, "hunter2") == 200


async def test_a_changed_secret_counts_at_once() -> None:
    wired = Wired(confidential("billing", secrets=(chosen("hunter2"),)))
    assert await status(wired, "hunter2") == 200
    wired.clients["billing"] = confidential("billing", secrets=(chosen("hunter3"),))
    assert [await status(wired, secret) for secret in ("hunter2", "hunter3")] == [401, 200]
    wired.clients["billing"] = confidential("billing", secrets=(chosen("hunter2", version=2),))
    assert await status(wired, "hunter2") == 200
    assert len(wired.hashed) == 4


async def test_generated_and_chosen_secrets_stand_side_by_side() -> None:
    wired = Wired(confidential("billing", secrets=(chosen("hunter2"), generated("g"), chosen("hunter3"))))
    assert [await status(wired, secret) for secret in ("g", "hunter2", "hunter3", "x")] == [200, 200, 200, 401]
    assert len(wired.hashed) == 0 + 1 + 2 + 2


async def test_a_chosen_secret_ends_at_its_time_remembered_or_not() -> None:
    ending = ClientSecret(argon2id=chosen("hunter2").argon2id, not_after=NOW + 100)
    wired = Wired(confidential("billing", secrets=(ending,)))
    assert await status(wired, "hunter2") == 200
    wired.clock.now = NOW + 100
    assert await status(wired, "hunter2") == 401


async def test_where_too_many_wait_to_be_verified_nobody_is_told_more() -> None:
    wired = Wired(confidential("billing", secrets=(chosen("hunter2"),)))
    wired.argon2id = Argon2idVerifier(signing_threads().executor, Places(all=0))
    assert [await status(wired, secret) for secret in ("hunter2", "hunter3")] == [429, 429]
    limited = {"class": "secret_check", "result": "limited"}
    assert wired.sample("rate_limit_decisions_total", **limited) == 2
    assert wired.sample("token_operation_failures_total", operation="issue", reason="argon2id_queue") == 2


async def test_a_damaged_hash_matches_nothing() -> None:
    wired = Wired(confidential("billing", secrets=(ClientSecret(argon2id="$argon2id$v=19$damaged"),)))
    assert await status(wired, "$argon2id$v=19$damaged") == 401


def test_the_memory_of_verified_secrets_is_bounded_and_keeps_nothing_that_could_be_tried() -> None:
    verified = VerifiedSecrets(bytes, max_entries=100, seconds=10.0)
    for number in range(1000):
        verified.remember("$argon2id$x", f"secret {number}", 0.0)
    assert len(verified._until) == 100
    assert verified.knows("$argon2id$x", "secret 998", 9.9)
    assert verified.knows("$argon2id$x", "secret 998", 19.8)  # each use begins the time anew
    assert not verified.knows("$argon2id$x", "secret 998", 29.8)
    assert not verified.knows("$argon2id$x", "secret 999", 10.0)
    assert not verified.knows("$argon2id$x", "secret 0", 9.9)
    assert not verified.knows("$argon2id$y", "secret 999", 9.9)
    other = VerifiedSecrets(lambda count: b"x" * count, max_entries=100, seconds=10.0)
    other.remember("$argon2id$x", "secret 999", 0.0)
    assert set(other._until).isdisjoint(verified._until)
    assert not any(b"secret" in name for name in verified._until)


# ------------------------------------------------------------------------------------------ assertions


async def with_assertion(wired: Wired, path: str = TOKEN_PATH, **claims: Any) -> Answer:
    form = CREDENTIALS if path == TOKEN_PATH else {"token": "x"}
    return await wired.post(path, {**form, **assertion(**claims)}, None)


async def test_an_assertion_counts_once() -> None:
    wired = Wired(asserting(), asserting("b"))
    assert (await with_assertion(wired)).status == 200
    for path in (TOKEN_PATH, INTROSPECTION_PATH, REVOCATION_PATH):
        assert (await with_assertion(wired, path)).error == (401, "invalid_client")
    # Its name counts, not its signature: ECDSA signs one content in many ways.
    assert (await with_assertion(wired, exp=SECOND + 61)).error == (401, "invalid_client")
    assert (await with_assertion(wired, jti="two")).status == 200
    assert (await with_assertion(wired, name="b")).status == 200  # another client's names are its own
    failure = {"operation": "issue", "reason": "assertion_replayed"}
    assert wired.sample("token_operation_failures_total", **failure) == 2


async def test_replays_of_a_used_assertion_are_failures_and_cost_the_client_nothing() -> None:
    """Or whoever reads one in a log spends the limit of the client that it belongs to."""
    wired = Wired(asserting(), per_minute=3, failures_per_minute=300)
    assert (await with_assertion(wired, jti="first")).status == 200
    form = {**CREDENTIALS, **assertion(jti="first")}
    replays = [(await wired.post(TOKEN_PATH, form, None, peer="198.51.100.66")).error for _ in range(9)]
    assert replays == [(401, "invalid_client")] * 6 + [(429, "slow_down")] * 3
    assert wired.limits._failures.in_a_row("198.51.100.66", "asserting", NOW) == 6
    assert [(await with_assertion(wired, jti=jti)).status for jti in ("second", "third", "fourth")] == [200, 200, 429]


async def test_an_assertion_that_another_replica_took_costs_the_client_one_request_at_most() -> None:
    clock = Clock()
    store = MemoryStore(100, clock)
    first, second = (Wired(asserting(), store=store, clock=clock, per_minute=3) for _ in range(2))
    assert (await with_assertion(first, jti="one")).status == 200
    assert {(await with_assertion(second, jti="one")).error for _ in range(9)} == {(401, "invalid_client")}
    assert [(await with_assertion(second, jti=jti)).status for jti in ("two", "three", "four")] == [200, 200, 429]


def test_the_memory_of_used_assertions_is_bounded() -> None:
    used = UsedAssertions(max_entries=100)
    for number in range(1000):
        used.note(b"%d" % number)
    assert used.knows(b"999")
    assert not used.knows(b"0")
    assert len(used._digests) == 100


async def test_ids_and_names_cannot_be_shifted_into_each_other() -> None:
    wired = Wired(asserting("a"), asserting("ab"), asserting("1:a"))
    assert (await with_assertion(wired, name="a", jti="bc")).status == 200
    assert (await with_assertion(wired, name="ab", jti="c")).status == 200
    assert (await with_assertion(wired, name="1:a", jti="b")).status == 200


async def test_of_fifty_parallel_uses_of_an_assertion_one_counts() -> None:
    class Waiting(MemoryStore):
        async def remember_once(self, digest: bytes, until: int, client_id: str | None = None) -> bool:
            await asyncio.sleep(0)
            return await super().remember_once(digest, until, client_id)

    clock = Clock()
    wired = Wired(asserting(), store=Waiting(100, clock), clock=clock)
    answers = await asyncio.gather(*(with_assertion(wired) for _ in range(50)))
    assert Counter(answer.status for answer in answers) == {200: 1, 401: 49}


async def test_an_assertion_cannot_be_replayed_for_as_long_as_it_is_accepted() -> None:
    wired = Wired(asserting())
    assert (await with_assertion(wired)).status == 200
    for later in (0, 59, 60, 89, 90, 91, 92, 1000):
        wired.clock.now = SECOND + later
        wired.store.sweep()
        assert (await with_assertion(wired)).error == (401, "invalid_client")
    assert wired.store.held()["marks"] == 0


async def test_a_refused_assertion_uses_up_no_name() -> None:
    wired = Wired(asserting(), confidential("billing"))
    for claims in ({"aud": "https://elsewhere.example"}, {"exp": SECOND - 60}, {"iss": "x"}, {"nbf": SECOND + 60}):
        assert (await with_assertion(wired, **claims)).error == (401, "invalid_client")
    assert (await with_assertion(wired, name="billing")).error == (401, "invalid_client")
    assert wired.wrote_nothing()
    assert (await with_assertion(wired)).status == 200


@pytest.mark.parametrize("jti", ["\ud800", "x" * 257, "", 1, ["x"], None])
async def test_an_impossible_name_is_refused(jti: Any) -> None:
    wired = Wired(asserting())
    assert (await with_assertion(wired, jti=jti)).error == (401, "invalid_client")
    assert wired.wrote_nothing()


async def test_the_token_endpoints_address_names_this_service_too() -> None:
    """RFC 7523 section 3: "The token endpoint URL of the authorization server MAY be used as a value"."""
    assert (await with_assertion(Wired(asserting()), aud=ISSUER + TOKEN_PATH)).status == 200


async def test_an_assertion_that_cannot_be_remembered_is_an_outage() -> None:
    class Away(MemoryStore):
        async def remember_once(self, digest: bytes, until: int, client_id: str | None = None) -> bool:
            raise StoreUnavailable("away")

    clock = Clock()
    wired = Wired(asserting(), store=Away(100, clock), clock=clock)
    assert (await with_assertion(wired)).error == (503, "temporarily_unavailable")


# ------------------------------------------------------------------------------------------ what is told to nobody


async def test_no_secret_token_or_assertion_is_logged_or_measured(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    wired = Wired(
        confidential("billing", secrets=(generated("canary-1"), chosen("canary-2")), refresh_token_enabled=True),
        asserting(),
    )
    told = ["canary-1", "canary-2", "canary-3", assertion()["client_assertion"]]
    for secret in ("canary-1", "canary-2", "canary-3"):
        await status(wired, secret)
    await with_assertion(wired)
    await wired.post(TOKEN_PATH, {**CREDENTIALS, **assertion()}, None)
    answer = await wired.post(TOKEN_PATH, CREDENTIALS, None, authorization=basic("billing", "canary-1"))
    issued = answer.json
    told += [issued["access_token"], issued["refresh_token"]]
    for token in (issued["access_token"], issued["refresh_token"], "canary-4"):
        for path in (INTROSPECTION_PATH, REVOCATION_PATH):
            await wired.post(path, {"token": token}, None, authorization=basic("billing", "canary-1"))
    for _ in range(2):
        form = {"grant_type": "refresh_token", "refresh_token": issued["refresh_token"], "scope": "canary-5"}
        await wired.post(TOKEN_PATH, form, None, authorization=basic("billing", "canary-1"))
    await wired.post(TOKEN_PATH, {"grant_type": "canary-6"}, None, authorization=basic("billing", "canary-1"))
    told += ["canary-4", "canary-5", "canary-6", "billing"]
    samples = [
        (sample.name, *sample.labels.values())
        for metric in wired.metrics.registry.collect()
        for sample in metric.samples
    ]
    shown = caplog.text + repr([record.__dict__ for record in caplog.records]) + repr(samples)
    assert "wrong_secret" in shown
    assert [secret for secret in told if secret in shown] == []


async def test_a_refusal_by_the_limit_leaves_the_assertion_good_for_another_try() -> None:
    wired = Wired(asserting(), per_minute=1)
    assert (await with_assertion(wired, jti="first")).status == 200
    assert (await with_assertion(wired, jti="second")).status == 429
    wired.clock.now += 61
    assert (await with_assertion(wired, jti="second", exp=SECOND + 120)).status == 200
