"""JWTs: what this service signs any library reads, and what it did not sign it refuses, whatever it looks like."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.keys.algorithms import ALGORITHMS, generate
from app.keys.document import RingDocument
from app.keys.errors import InvalidToken, NoSigningKey, SigningQueueFull
from app.keys.jwk import b64url
from app.keys.jwt import MAX_WAITING_SIGNATURES, MOST_TOGETHER, Signer, needs_thread, sign_now, verify
from app.keys.loading import build_ring
from app.keys.ring import KeyRing, SigningKey
from app.keys.threads import LowPriorityPool, signing_pool
from app.keys.writer import entry_for
from tests.unit.keys.conftest import NOW

ISSUER = "https://issuer.example"
CLAIMS: dict[str, Any] = {"iss": ISSUER, "exp": int(NOW) + 60, "iat": int(NOW), "aud": "api", "sub": "client"}
PRIVATE = {algorithm: generate(algorithm, 2048) for algorithm in ("ES256", "EdDSA", "RS256", "PS256")}
RING = build_ring(
    RingDocument(keys=tuple(entry_for(algorithm, key, NOW, NOW) for algorithm, key in PRIVATE.items())), None
)
KEY = RING.signing_key("ES256", NOW)


def token(claims: dict[str, Any] | None = None, key: SigningKey = KEY, typ: str = "at+jwt") -> str:
    return sign_now(key, typ, json.dumps(CLAIMS if claims is None else claims).encode())


def with_header(header: Any, claims: dict[str, Any] | None = None, key: SigningKey = KEY) -> str:
    """A token with any header whatever, rightly signed."""
    parts = [b64url(json.dumps(part).encode()) for part in (header, CLAIMS if claims is None else claims)]
    signing_input = ".".join(parts)
    return f"{signing_input}.{b64url(key.sign(signing_input.encode()))}"


def check(
    presented: str, ring: KeyRing = RING, typ: str = "at+jwt", now: float = NOW, **options: Any
) -> dict[str, Any]:
    return verify(presented, ring, typ=typ, issuer=ISSUER, now=now, **options).claims


def reason(presented: str, **options: Any) -> str:
    with pytest.raises(InvalidToken) as refusal:
        check(presented, **options)
    return refusal.value.reason


HEADER = {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt"}


class TestSigning:
    @pytest.mark.parametrize("algorithm", list(ALGORITHMS))
    def test_every_algorithm_makes_tokens_that_pyjwt_and_this_service_read(self, algorithm: str) -> None:
        private = generate(algorithm, 2048)
        ring = build_ring(RingDocument(keys=(entry_for(algorithm, private, NOW, NOW),)), None)
        made = token(key=ring.signing_key(algorithm, NOW))
        options: Any = {"verify_exp": False, "verify_iat": False}
        decoded = jwt.decode_complete(
            made, private.public_key(), [algorithm], audience="api", issuer=ISSUER, options=options
        )
        kid = ring.signing_key(algorithm, NOW).kid
        assert decoded["payload"] == CLAIMS == check(made, ring)
        assert decoded["header"] == {"alg": algorithm, "kid": kid, "typ": "at+jwt"}

    def test_rsa_alone_needs_a_thread(self) -> None:
        assert [a for a in ALGORITHMS if needs_thread(a)] == ["RS256", "RS384", "RS512", "PS256"]


class TestVerifying:
    def test_the_claims_of_a_live_token_come_back(self) -> None:
        assert check(token()) == CLAIMS

    @pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"])
    def test_its_media_type_may_be_written_in_these_ways(self, typ: str) -> None:
        assert check(token(typ=typ)) == CLAIMS

    @pytest.mark.parametrize(
        "typ", ["JWT", "jwt", "", "at+jwt ", "text/at+jwt", "logout+jwt", "dpop+jwt", "application/application/at+jwt"]
    )
    def test_another_media_type_is_refused(self, typ: str) -> None:
        assert reason(token(typ=typ)) == "typ"

    @pytest.mark.parametrize("typ", [None, 1, ["at+jwt"], {"at+jwt": 1}])
    def test_a_media_type_that_is_no_text_is_refused(self, typ: object) -> None:
        assert reason(with_header(HEADER | {"typ": typ})) == "typ"

    def test_a_missing_media_type_is_refused(self) -> None:
        assert reason(with_header({"alg": "ES256", "kid": KEY.kid})) == "typ"

    def test_an_id_token_is_no_access_token_and_the_other_way_round(self) -> None:
        assert reason(token(typ="JWT")) == "typ"
        assert reason(token(typ="at+jwt"), typ="JWT") == "typ"

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "RS256", "ES384", "", None, 1, ["ES256"]])
    def test_the_header_may_not_choose_the_algorithm(self, algorithm: object) -> None:
        assert reason(with_header(HEADER | {"alg": algorithm})) == "algorithm"

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
    def test_a_header_or_a_payload_that_is_not_utf8_is_refused(self, encoding: str) -> None:
        """RFC 8725 section 3.7, rightly signed as they are."""
        for header, claims in ((encoding, "utf-8"), ("utf-8", encoding)):
            parts = [
                b64url(json.dumps(part | {"x": "é"}, ensure_ascii=False).encode(coding))
                for part, coding in ((HEADER, header), (CLAIMS, claims))
            ]
            signing_input = ".".join(parts)
            signed = f"{signing_input}.{b64url(KEY.sign(signing_input.encode()))}"
            with pytest.raises(InvalidToken):
                check(signed)

    def test_a_token_without_a_signature_is_refused(self) -> None:
        head, claims, _ = token().split(".")
        assert reason(f"{head}.{claims}.") == "signature"
        unsigned = b64url(json.dumps(HEADER | {"alg": "none"}).encode())
        assert reason(f"{unsigned}.{claims}.") == "algorithm"

    @pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
    def test_a_mac_with_the_public_key_is_refused(self, algorithm: str) -> None:
        key = RING.signing_key(algorithm, NOW)
        pem = key.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        mac = jwt.get_algorithm_by_name("HS256")
        for alg in ("HS256", algorithm):
            header = b64url(json.dumps({"alg": alg, "kid": key.kid, "typ": "at+jwt"}).encode())
            signing_input = f"{header}.{b64url(json.dumps(CLAIMS).encode())}"
            forged = f"{signing_input}.{b64url(mac.sign(signing_input.encode(), pem))}"
            assert reason(forged) == ("algorithm" if alg == "HS256" else "signature")

    def test_rs256_and_ps256_keys_are_not_exchanged(self) -> None:
        signed_by_pss = with_header(
            {"alg": "RS256", "kid": RING.signing_key("RS256", NOW).kid, "typ": "at+jwt"},
            key=RING.signing_key("PS256", NOW),
        )
        assert reason(signed_by_pss) == "signature"

    @pytest.mark.parametrize(
        "member",
        [
            {"jwk": {"kty": "EC"}},
            {"jku": "https://evil.example/jwks"},
            {"x5u": "https://evil.example/cert"},
            {"x5c": ["MII"]},
            {"x5t": "a"},
            {"x5t#S256": "a"},
            {"crit": ["exp"]},
            {"crit": []},
            {"crit": ["b64"]},
            {"b64": False},
            {"b64": True},
            {"zip": "DEF"},
            {"enc": "A256GCM"},
        ],
        ids=str,
    )
    def test_headers_that_bring_keys_or_extensions_are_refused(self, member: dict[str, Any]) -> None:
        assert reason(with_header(HEADER | member)) == "header"

    @pytest.mark.parametrize(
        "kid",
        [
            "unknown",
            "",
            "../../../../dev/null",
            "/dev/null",
            "' OR 1=1 --",
            "' UNION SELECT 'key",
            "kid\0",
            None,
            7,
            [KEY.kid],
            {"kid": KEY.kid},
            pytest.param(KEY.kid.lower(), id="lower-case"),
            pytest.param(KEY.kid + " ", id="followed-by-a-space"),
            "x" * 4000,
        ],
    )
    def test_an_unknown_kid_is_counted_and_refused(self, kid: object) -> None:
        counted: list[None] = []
        assert reason(with_header(HEADER | {"kid": kid}), on_unknown_kid=lambda: counted.append(None)) == "unknown_kid"
        assert len(counted) == 1

    def test_keys_that_left_the_ring_no_longer_verify(self) -> None:
        times = {"signs_from": NOW - 9, "retires_at": NOW - 5, "removed_at": NOW}
        entry = entry_for("ES256", PRIVATE["ES256"], NOW, None)
        ring = build_ring(RingDocument(keys=(msgspec.structs.replace(entry, **times),)), None)
        assert check(token(), ring, now=NOW - 1) == CLAIMS
        assert reason(token(), ring=ring) == "unknown_kid"

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"iss": "https://other.example"}, "issuer"),
            ({"iss": None}, "issuer"),
            ({"iss": [ISSUER]}, "issuer"),
            ({"iss": ISSUER + "/"}, "issuer"),
            ({"exp": int(NOW)}, "expired"),
            ({"exp": 0}, "expired"),
            ({"exp": -1}, "expired"),
            ({"exp": NOW - 0.001}, "expired"),
            ({"exp": None}, "claims"),
            ({"exp": "1900000000"}, "claims"),
            ({"exp": True}, "claims"),
            ({"exp": [1]}, "claims"),
            ({"nbf": int(NOW) + 1}, "not_yet_valid"),
            ({"nbf": "1"}, "claims"),
            ({"nbf": None}, "claims"),
            ({"iat": "now"}, "claims"),
        ],
        ids=str,
    )
    def test_claims_that_do_not_hold_are_refused(self, change: dict[str, Any], why: str) -> None:
        assert reason(token(CLAIMS | change)) == why

    @pytest.mark.parametrize("missing", ["iss", "exp"])
    def test_issuer_and_expiry_are_required(self, missing: str) -> None:
        claims = {name: value for name, value in CLAIMS.items() if name != missing}
        assert reason(token(claims)) == {"iss": "issuer", "exp": "claims"}[missing]

    def test_skew_is_allowed_for_the_beginning_alone(self) -> None:
        assert check(token(CLAIMS | {"nbf": int(NOW) + 30}), skew_seconds=30)
        assert reason(token(CLAIMS | {"exp": int(NOW) - 1}), skew_seconds=30) == "expired"

    @pytest.mark.parametrize(
        "presented",
        [
            "",
            ".",
            "..",
            "...",
            "a",
            "a.b",
            "a.b.c",
            "a.b.c.d.e",
            "é.b.c",
            " ",
            "e30.e30.",
            "e30.e30.e30",
            "bnVsbA.e30.AA",
            "W10.e30.AA",
            "{}.{}.x",
            "\0.\0.\0",
        ],
    )
    def test_what_is_no_jwt_is_refused(self, presented: str) -> None:
        assert reason(presented) in ("malformed", "typ")

    def test_two_texts_are_never_one_token(self) -> None:
        head, claims, signature = token().split(".")
        for changed in (
            f"{head}=.{claims}.{signature}",
            f"{head}.{claims}=.{signature}",
            f"{head}.{claims}.{signature}=",
            f"{head}.{claims}.{signature}==",
            f" {head}.{claims}.{signature}",
            f"{head}.{claims}.{signature}\n",
            f"{head}.{claims}\n.{signature}",
        ):
            assert reason(changed) in ("malformed", "signature")
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        twins = [signature[:-1] + letter for letter in last if letter != signature[-1]]
        assert {reason(f"{head}.{claims}.{twin}") for twin in twins} <= {"malformed", "signature"}

    def test_an_oversized_token_is_refused_unread(self) -> None:
        assert reason(token(CLAIMS | {"x": "x" * 8192})) == "oversize"
        assert reason("." * 10_000_000) == "oversize"

    @pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"x"', b"{", b"\xff", b'{"a":' * 1000, b'{"exp":NaN}'])
    def test_a_payload_that_is_no_object_is_refused(self, payload: bytes) -> None:
        assert reason(sign_now(KEY, "at+jwt", payload)) == "malformed"

    def test_a_flood_of_unknown_kids_leaves_nothing_behind(self) -> None:
        before = {name: len(getattr(RING, name)) for name in ("_verification", "_signing", "_transitions")}
        for number in range(2000):
            with contextlib.suppress(InvalidToken):
                check(with_header(HEADER | {"kid": f"kid-{number}"}))
        assert {name: len(getattr(RING, name)) for name in before} == before


def mutations() -> st.SearchStrategy[str]:
    """Near misses of a real token: changed characters, headers and claims."""
    real = token()
    header: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "cty"]),
        st.sampled_from(["ES256", "none", "HS256", KEY.kid, "at+jwt", "JWT", False, None, ["b64"], {}]),
    )
    claims: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
        st.sampled_from(["iss", "exp", "nbf", "iat", "sub", "jti"]),
        st.sampled_from([ISSUER, int(NOW) + 60, int(NOW) - 60, "x", None, 1.5, True, [], {}]),
    )
    edited = st.builds(
        lambda at, text: real[: at % len(real)] + text + real[at % len(real) + len(text) :],
        st.integers(0, 10_000),
        st.text(alphabet="abcAB01-_.=é \n", max_size=3),
    )
    made = st.builds(lambda h, c: with_header(HEADER | h, CLAIMS | c), header, claims)
    return edited | made | st.text(max_size=40)


@given(mutations())
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_it_is_never_laxer_than_pyjwt(presented: str) -> None:
    try:
        claims = check(presented)
    except InvalidToken:
        return
    # PyJWT reads the system's clock, so the times are not its to judge here.
    options: Any = {
        "verify_signature": True,
        "require": ["iss", "exp"],
        "verify_iss": True,
        "verify_aud": False,
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_sub": False,
        "verify_jti": False,
    }
    public = PRIVATE["ES256"].public_key()
    assert jwt.decode(presented, public, algorithms=["ES256"], issuer=ISSUER, options=options) == claims


@pytest.fixture
def pool() -> Iterator[LowPriorityPool]:
    made = signing_pool(1)
    yield made
    made.close()


Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def busy(signer: Signer) -> Signer:
    """The signer after a turn of the loop in which more than one asked."""
    await asyncio.gather(*(signing(signer, "ES256") for _ in range(2)))
    await asyncio.sleep(0)
    return signer


async def signing(signer: Signer, algorithm: str, payload: bytes = b"{}") -> str:
    return await signer.sign(algorithm, "JWT", payload, NOW)


class TestSigner:
    @pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256", "PS256"])
    def test_what_it_signs_is_a_token(self, algorithm: str, pool: LowPriorityPool, run: Run) -> None:
        signed = run(signing(Signer(lambda: RING, pool), algorithm, json.dumps(CLAIMS).encode()))
        assert check(signed, typ="JWT") == CLAIMS

    @pytest.mark.parametrize(("algorithm", "threads"), [("ES256", 0), ("EdDSA", 0), ("RS256", 1), ("PS256", 1)])
    def test_rsa_alone_signs_on_another_thread(
        self, algorithm: str, threads: int, pool: LowPriorityPool, run: Run
    ) -> None:
        before = set(threading.enumerate())
        run(signing(Signer(lambda: RING, pool), algorithm))
        began = set(threading.enumerate()) - before
        assert [thread.name.startswith("keys-signing") for thread in began] == [True] * threads

    @pytest.mark.parametrize("count", [1, MOST_TOGETHER, 2 * MOST_TOGETHER + 1])
    def test_those_of_one_turn_are_signed_together_each_as_it_was_asked_for(
        self, count: int, pool: LowPriorityPool, run: Run
    ) -> None:
        async def scenario() -> list[str]:
            signer, order = await busy(Signer(lambda: RING, pool)), list[str]()

            async def sign(number: int) -> str:
                order.append("asked")
                signed = await signer.sign("ES256", "JWT", json.dumps(CLAIMS | {"n": number}).encode(), NOW)
                order.append("signed")
                return signed

            signed = await asyncio.gather(*map(sign, range(count)))
            together = min(count, MOST_TOGETHER)
            assert order[:together] == ["asked"] * together
            assert order.index("signed") == together, "no more are waited for"
            assert sorted(order) == ["asked"] * count + ["signed"] * count
            return signed

        assert [check(token, typ="JWT")["n"] for token in run(scenario())] == list(range(count))

    @pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
    def test_who_asks_alone_waits_for_nobody(self, algorithm: str, pool: LowPriorityPool, run: Run) -> None:
        async def signs_at_once(signer: Signer) -> bool:
            signed = asyncio.ensure_future(signer.sign(algorithm, "JWT", b"{}", NOW))
            at_once = signed.done()
            await signed
            await asyncio.sleep(0)
            return at_once

        async def scenario() -> None:
            signer = Signer(lambda: RING, pool)
            assert await signs_at_once(signer)
            await busy(signer)
            assert not await signs_at_once(signer), "others may still come, as they did"
            assert await signs_at_once(signer)

        run(scenario())

    def test_who_no_longer_waits_keeps_nobody_from_being_signed(self, pool: LowPriorityPool, run: Run) -> None:
        async def scenario() -> str:
            signer = await busy(Signer(lambda: RING, pool))
            gone, here = (asyncio.create_task(signing(signer, "ES256")) for _ in range(2))
            await asyncio.sleep(0)
            gone.cancel()
            return await here

        assert run(scenario()).count(".") == 2

    def test_a_signature_that_fails_fails_alone(self, pool: LowPriorityPool, run: Run) -> None:
        def fail(message: bytes) -> bytes:
            raise OSError("no entropy")

        right = RING.signing_key("ES256", NOW)
        broken = SigningKey(right.kid, right.algorithm, PRIVATE["ES256"])
        broken.sign = fail
        keys = iter([right, right, broken, right])

        class Ring:
            def signing_key(self, algorithm: str, now: float) -> SigningKey:
                return next(keys)

        async def scenario() -> None:
            signer = await busy(Signer(lambda: cast("KeyRing", Ring()), pool))
            fails, signs = (asyncio.create_task(signing(signer, "ES256")) for _ in range(2))
            assert (await signs).count(".") == 2
            with pytest.raises(OSError, match="no entropy"):
                await fails

        run(scenario())

    def test_without_a_key_it_says_so(self, pool: LowPriorityPool) -> None:
        with pytest.raises(NoSigningKey):
            _ = Signer(lambda: RING, pool).sign("ES384", "at+jwt", b"{}", NOW)

    def test_the_queue_is_bounded_and_empties(self, pool: LowPriorityPool, run: Run) -> None:
        async def scenario() -> None:
            gate = threading.Event()
            pool.executor.submit(gate.wait)
            signer = Signer(lambda: RING, pool)

            waiting = [asyncio.create_task(signing(signer, "RS256")) for _ in range(MAX_WAITING_SIGNATURES)]
            await asyncio.sleep(0)
            with pytest.raises(SigningQueueFull):
                await signing(signer, "RS256")
            gate.set()
            await asyncio.gather(*waiting)
            await signing(signer, "RS256")

        run(scenario())
