"""Who guesses at a client's secret: during the delay a right guess is refused like a wrong one, and whoever was right
from the same address before goes on."""

import asyncio
import json

import jwt
import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from app.endpoints.exchange import Request
from app.endpoints.known_credentials import ProvedHere
from app.model.clients import Client, ClientAuthMethod, ClientSecret
from app.protocol.client_auth import ASSERTION_TYPE
from app.protocol.form import FORM_CONTENT_TYPE
from app.protocol.metadata import TOKEN_PATH
from app.ratelimit.failures import FREE_FAILURES
from tests.unit.endpoints.wiring import ISSUER, Answer, Wired, basic, confidential, generated

pytestmark = pytest.mark.anyio

GUESSER, ELSEWHERE = "198.51.100.66", "203.0.113.7"
NETWORK = ("2001:db8:1:2::1", "2001:db8:1:2::2")
AS_GIVEN = "a person gave this one"
MADE_UP = "ascs_" + "R4nd0m-b1ts" * 3 + "0123456789"
CREDENTIALS = {"grant_type": "client_credentials"}
BASIC, POST = ClientAuthMethod.CLIENT_SECRET_BASIC, ClientAuthMethod.CLIENT_SECRET_POST
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CHOSEN = ClientSecret(argon2id=HASHER.hash(AS_GIVEN))


def guarded(*clients: Client) -> Wired:
    return Wired(*(clients or (registered(),)), failures_per_minute=300)


def registered(method: ClientAuthMethod = BASIC, secret: ClientSecret | None = None, name: str = "billing") -> Client:
    return confidential(name, auth_method=method, secrets=(secret or generated(AS_GIVEN),))


async def attempt(
    wired: Wired, secret: str, peer: str | None = GUESSER, method: ClientAuthMethod = BASIC, name: str = "billing"
) -> Answer:
    if method is BASIC:
        return await wired.post(TOKEN_PATH, CREDENTIALS, None, authorization=basic(name, secret), peer=peer)
    form = {**CREDENTIALS, "client_id": name, "client_secret": secret}
    return await wired.post(TOKEN_PATH, form, None, peer=peer)


async def guess(wired: Wired, peer: str = GUESSER, method: ClientAuthMethod = BASIC, name: str = "billing") -> None:
    """Wrong secrets until the delay begins."""
    for _ in range(FREE_FAILURES + 1):
        assert (await attempt(wired, "wrong", peer, method, name)).status == 401
    assert (await attempt(wired, "wrong", peer, method, name)).status == 429


KINDS = [(BASIC, generated(AS_GIVEN)), (POST, generated(AS_GIVEN)), (BASIC, CHOSEN), (POST, CHOSEN)]
each_kind = pytest.mark.parametrize(("method", "secret"), KINDS, ids=["basic", "post", "chosen", "chosen post"])


@each_kind
async def test_a_right_guess_during_the_delay_is_refused_like_a_wrong_one(
    method: ClientAuthMethod, secret: ClientSecret
) -> None:
    wired = guarded(registered(method, secret))
    await guess(wired, method=method)
    hashed = len(wired.hashed)
    told = [await attempt(wired, text, method=method) for text in (AS_GIVEN, "wrong", AS_GIVEN)]
    assert [answer.error for answer in told] == [(429, "slow_down")] * 3
    assert len({(answer.body, tuple(answer.headers.items())) for answer in told}) == 1
    assert len(wired.hashed) == hashed
    wired.clock.now += 2.1
    assert (await attempt(wired, AS_GIVEN, method=method)).status == 200


@each_kind
async def test_that_the_real_client_is_at_work_elsewhere_helps_no_guesser(
    method: ClientAuthMethod, secret: ClientSecret
) -> None:
    """What is remembered of the real client's requests must not tell a guesser that it was right."""
    wired = guarded(registered(method, secret))
    for _ in range(2):
        assert (await attempt(wired, AS_GIVEN, ELSEWHERE, method)).status == 200
    await guess(wired, method=method)
    assert (await attempt(wired, AS_GIVEN, method=method)).error == (429, "slow_down")
    assert (await attempt(wired, AS_GIVEN, ELSEWHERE, method)).status == 200


@each_kind
@pytest.mark.parametrize("later", [0, 3600])
async def test_who_was_right_from_here_before_goes_on_beside_a_guesser(
    method: ClientAuthMethod, secret: ClientSecret, later: int
) -> None:
    """Behind one gateway: a client that comes for a token once an hour is not kept out by a neighbour."""
    wired = guarded(registered(method, secret), registered(name="other"))
    assert (await attempt(wired, AS_GIVEN, method=method)).status == 200
    wired.clock.now += later
    await guess(wired, method=method)
    assert (await attempt(wired, AS_GIVEN, method=method)).status == 200
    assert (await attempt(wired, AS_GIVEN, name="other")).status == 200  # others are not delayed at all
    assert (await attempt(wired, "wrong", method=method)).status in {401, 429}


@each_kind
async def test_beyond_the_bound_of_its_address_a_right_guess_at_any_client_is_refused_like_a_wrong_one(
    method: ClientAuthMethod, secret: ClientSecret
) -> None:
    """Or one address would try a password at every client as fast as it can send."""
    wired = Wired(
        registered(method, secret),
        registered(method, secret, "at work"),
        registered(method, generated(MADE_UP), "made up"),
        failures_per_minute=10,
    )
    assert (await attempt(wired, AS_GIVEN, method=method, name="at work")).status == 200
    walk = [(await attempt(wired, "wrong", method=method, name=f"client {number}")).status for number in range(15)]
    assert walk == [401] * 10 + [429] * 5
    hashed = len(wired.hashed)
    told = [await attempt(wired, text, method=method) for text in (AS_GIVEN, "wrong")]
    told += [await attempt(wired, AS_GIVEN, method=method, name="nobody")]
    assert {(answer.error, answer.body, tuple(answer.headers.items())) for answer in told} == {
        ((429, "slow_down"), told[0].body, tuple(told[0].headers.items()))
    }
    assert len(wired.hashed) == hashed
    # What nobody guesses passes, and what was proved here, and whoever is elsewhere.
    assert (await attempt(wired, MADE_UP, method=method, name="made up")).status == 200
    assert (await attempt(wired, AS_GIVEN, method=method, name="at work")).status == 200
    assert (await attempt(wired, AS_GIVEN, ELSEWHERE, method)).status == 200
    wired.clock.now += 6.1
    assert (await attempt(wired, AS_GIVEN, method=method)).status == 200


async def guess_in_delay(wired: Wired, count: int, method: ClientAuthMethod = BASIC, name: str = "billing") -> None:
    told = {(await attempt(wired, f"guess {number}", method=method, name=name)).status for number in range(count)}
    assert told == {429}


@each_kind
async def test_a_guesser_at_the_real_clients_address_has_a_bounded_number_of_tries_in_a_delay(
    method: ClientAuthMethod, secret: ClientSecret
) -> None:
    """What was proved from there passes the delay, so whoever is there may find it among its guesses."""
    wired = Wired(registered(method, secret), registered(name="other"), failures_per_minute=40)
    for name in ("billing", "other"):
        assert (await attempt(wired, AS_GIVEN, method=method if name == "billing" else BASIC, name=name)).status == 200
    await guess(wired, method=method)  # the last of which is in the delay
    await guess_in_delay(wired, 38, method)
    assert (await attempt(wired, AS_GIVEN, method=method)).status == 200  # what was right is not counted
    await guess_in_delay(wired, 1, method)
    hashed = len(wired.hashed)
    told = [await attempt(wired, text, method=method) for text in (AS_GIVEN, "wrong", AS_GIVEN)]
    assert [answer.error for answer in told] == [(429, "slow_down")] * 3
    assert len({(answer.body, tuple(answer.headers.items())) for answer in told}) == 1
    assert len(wired.hashed) == hashed
    assert (await attempt(wired, AS_GIVEN, name="other")).status == 200
    wired.clock.now += 1.6  # another try flows in: 40 a minute
    assert (await attempt(wired, AS_GIVEN, method=method)).status == 200


async def test_a_request_that_was_refused_for_too_many_tries_leaves_no_proof_with_its_connection() -> None:
    """A connection gives a proof again unasked: a guesser would only have to send its guess twice."""
    wired = Wired(registered(), failures_per_minute=40)
    assert (await attempt(wired, AS_GIVEN)).status == 200
    await guess(wired)
    await guess_in_delay(wired, 40)
    request = Request(
        "POST",
        b"grant_type=client_credentials",
        content_type=FORM_CONTENT_TYPE,
        authorization=basic("billing", AS_GIVEN),
    )
    request.peer, request.request_id = GUESSER, "r"
    assert (await wired.send(TOKEN_PATH, request)).status == 429
    assert request.proof is None


async def test_no_number_of_guesses_makes_a_generated_secret_or_a_known_key_wait() -> None:
    wired = publisher()
    wired.clients["billing"] = registered(secret=generated(MADE_UP))
    assert (await asserted(wired, "first")).status == 200
    for name in ("billing", "signer"):
        await guess(wired, name=name)
        await guess_in_delay(wired, 400, name=name)
    assert (await attempt(wired, MADE_UP)).status == 200
    assert (await asserted(wired, "second")).status == 200


async def test_who_waits_for_a_slow_check_stands_by_what_its_address_did_before() -> None:
    wired = guarded(registered(secret=CHOSEN))
    for secret in ("wrong", "wrong", AS_GIVEN):
        await attempt(wired, secret)
    wired.clock.now += 3600
    for secret in (AS_GIVEN, "wrong"):
        await attempt(wired, secret)
    await attempt(wired, "wrong", ELSEWHERE)
    assert wired.standings == [(False, 0), (False, 1), (False, 2), (True, 0), (False, 0), (False, 0)]


async def test_an_ipv6_client_is_known_in_its_network() -> None:
    wired = guarded(registered(POST))
    assert (await attempt(wired, AS_GIVEN, NETWORK[0], POST)).status == 200
    await guess(wired, NETWORK[0], POST)
    assert (await attempt(wired, AS_GIVEN, NETWORK[1], POST)).status == 200


async def test_generated_secrets_pass_beside_a_guesser() -> None:
    """Nobody guesses 256 random bits, so nobody is delayed for them."""
    for method in (BASIC, POST):
        wired = guarded(registered(method, generated(MADE_UP)))
        await guess(wired, method=method)
        assert (await attempt(wired, MADE_UP, method=method)).status == 200


async def test_what_has_the_form_of_a_generated_secret_buys_a_guesser_no_slow_check() -> None:
    wired = guarded(registered(secret=CHOSEN))
    await guess(wired)
    hashed = len(wired.hashed)
    assert (await attempt(wired, MADE_UP)).status == 429
    assert len(wired.hashed) == hashed


async def test_a_secret_that_was_changed_is_known_from_nowhere() -> None:
    wired = guarded(registered())
    assert (await attempt(wired, AS_GIVEN)).status == 200
    wired.clients["billing"] = registered(secret=generated("another one"))
    await guess(wired)
    for secret in ("another one", AS_GIVEN):
        assert (await attempt(wired, secret)).status == 429


async def test_a_delay_tells_nothing_of_what_exists() -> None:
    wired = guarded(registered())
    looks = []
    for name, secret in (("billing", AS_GIVEN), ("billing 2", AS_GIVEN), ("billing 3", MADE_UP)):
        await guess(wired, name=name)
        answer = await attempt(wired, secret, name=name)
        looks.append((answer.status, answer.body, tuple(answer.headers.items())))
    assert len(set(looks)) == 1


async def test_without_addresses_or_without_the_limit_nobody_is_delayed() -> None:
    wired = guarded(registered())
    for _ in range(20):
        assert (await attempt(wired, "wrong", None)).status == 401
    assert (await attempt(wired, AS_GIVEN, None)).status == 200
    wired = Wired(registered())
    for _ in range(20):
        assert (await attempt(wired, "wrong")).status == 401
    assert (await attempt(wired, AS_GIVEN)).status == 200


def test_the_memory_of_who_proved_what_is_bounded_and_no_client_washes_away_anothers() -> None:
    proved = ProvedHere(bytes, max_entries=100, max_of_client=60, seconds=10.0)
    proved.note(ELSEWHERE, "billing", AS_GIVEN, 0.0)
    for number in range(1000):
        proved.note(f"2001:db8:{number:x}::1", f"flood-{number % 3}", AS_GIVEN, 0.0)
        assert len(proved) <= 100
    assert proved.knows(ELSEWHERE, "billing", AS_GIVEN, 9.9)
    assert not proved.knows(ELSEWHERE, "billing", AS_GIVEN, 10.0)
    assert not proved.knows(ELSEWHERE, "billing", AS_GIVEN + "x", 9.9)
    assert not proved.knows(GUESSER, "billing", AS_GIVEN, 9.9)
    assert not proved.knows(ELSEWHERE, "flood-0", AS_GIVEN, 9.9)
    proved.note(ELSEWHERE, "b", "illing" + AS_GIVEN, 0.0)
    assert not proved.knows(ELSEWHERE, "bi", "lling" + AS_GIVEN, 9.9)
    for number in range(1000):
        proved.note(f"10.0.{number >> 8}.{number & 255}", "billing", AS_GIVEN, 0.0)
    assert len(proved._of_client["billing"]) <= 60


def test_nothing_of_a_secret_is_kept() -> None:
    proved = ProvedHere(bytes)
    proved.note(ELSEWHERE, "billing", AS_GIVEN, 0.0)
    assert AS_GIVEN not in repr(vars(proved))
    other = ProvedHere(lambda count: b"x" * count)
    other.note(ELSEWHERE, "billing", AS_GIVEN, 0.0)
    assert set(other._of_client["billing"]).isdisjoint(proved._of_client["billing"])


# ------------------------------------------------------------------------------------------ assertions

SIGNER = ec.generate_private_key(ec.SECP256R1())
URI = "https://app.example.com/jwks.json"


def publisher() -> Wired:
    wired = guarded(confidential("signer", auth_method=ClientAuthMethod.PRIVATE_KEY_JWT, secrets=(), jwks_uri=URI))
    jwk = ECAlgorithm.to_jwk(SIGNER.public_key(), as_dict=True)
    wired.published[URI] = json.dumps({"keys": [jwk]}).encode()
    return wired


async def asserted(wired: Wired, jti: str, peer: str = GUESSER, key: ec.EllipticCurvePrivateKey = SIGNER) -> Answer:
    claims = {"iss": "signer", "sub": "signer", "aud": ISSUER, "exp": int(wired.clock.now) + 60, "jti": jti}
    form = {"client_assertion": jwt.encode(claims, key, "ES256"), "client_assertion_type": ASSERTION_TYPE}
    return await wired.post(TOKEN_PATH, {**CREDENTIALS, **form}, None, peer=peer)


async def test_in_a_delay_no_signature_is_verified_and_no_key_fetched() -> None:
    wired = publisher()
    await guess(wired, name="signer")
    assert (await asserted(wired, "first")).error == (429, "slow_down")
    assert wired.fetched == []
    assert (await asserted(wired, "first", ELSEWHERE)).status == 200
    wired.clock.now += 2.1
    assert (await asserted(wired, "second")).status == 200


async def test_the_bound_of_an_address_keeps_no_first_assertion_out() -> None:
    """A signature is not guessed: what its neighbours guess at other clients is none of its business."""
    wired = publisher()
    for number in range(400):
        await attempt(wired, "wrong", name=f"client {number}")
    assert (await attempt(wired, "wrong", name="another")).status == 429
    assert (await asserted(wired, "first")).status == 200


async def test_who_has_proved_a_key_from_here_before_goes_on_beside_a_forger() -> None:
    wired, other = publisher(), ec.generate_private_key(ec.SECP256R1())
    assert (await asserted(wired, "first")).status == 200
    told = [(await asserted(wired, f"forged {number}", key=other)).status for number in range(9)]
    assert told == [401] * 6 + [429] * 3
    assert (await asserted(wired, "second")).status == 200


async def test_a_replayed_assertion_frees_nobody_from_the_delay() -> None:
    wired = publisher()
    claims = {"iss": "signer", "sub": "signer", "aud": ISSUER, "exp": int(wired.clock.now) + 60, "jti": "used"}
    form = {"client_assertion": jwt.encode(claims, SIGNER, "ES256"), "client_assertion_type": ASSERTION_TYPE}
    told = [(await wired.post(TOKEN_PATH, {**CREDENTIALS, **form}, None, peer=ELSEWHERE)).status]
    told += [(await wired.post(TOKEN_PATH, {**CREDENTIALS, **form}, None, peer=GUESSER)).status for _ in range(7)]
    assert told == [200] + [401] * 6 + [429]
    assert (await asserted(wired, "fresh")).error == (429, "slow_down")
    assert (await asserted(wired, "fresh", ELSEWHERE)).status == 200


# ------------------------------------------------------------------------------------------ several at once


async def test_guesses_sent_at_once_at_the_end_of_a_delay_are_one_guess() -> None:
    wired = guarded(registered(secret=CHOSEN))
    await guess(wired)
    wired.clock.now += 2.1
    texts = ("wrong", "wronger", AS_GIVEN, "wrongest")
    told = await asyncio.gather(*(attempt(wired, text) for text in texts))
    assert [answer.status for answer in told] == [401, 429, 429, 429]
    assert len({(answer.body, tuple(answer.headers.items())) for answer in told[1:]}) == 1
    hashed = len(wired.hashed)
    wired.clock.now += 4.1
    assert (await attempt(wired, AS_GIVEN)).status == 200
    assert len(wired.hashed) == hashed + 1  # what was refused is not remembered as right


async def test_who_proved_its_secret_here_is_let_in_though_a_guess_beside_it_began_a_delay() -> None:
    wired = guarded(registered(secret=CHOSEN))
    assert (await attempt(wired, AS_GIVEN)).status == 200
    wired.clock.now += 3600  # verified anew from now on
    for _ in range(FREE_FAILURES):
        await attempt(wired, "wrong")
    told = await asyncio.gather(*(attempt(wired, text) for text in ("wrong", "wronger", AS_GIVEN)))
    # The known one goes before the second guess, and being right ends the delay that the first one began.
    assert [answer.status for answer in told] == [401, 401, 200]
