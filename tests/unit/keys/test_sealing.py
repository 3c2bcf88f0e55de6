"""Sealed private parts open with the right key-encryption key, in the right place, unchanged; never otherwise."""

import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.keys.document import PrivatePart
from app.keys.errors import SealError
from app.keys.jwk import b64url, unb64url
from app.keys.sealing import KeyEncryption, kek_id, parse_keks
from app.randomness import random_bytes

OLD, NEW = b"o" * 32, b"n" * 32
DER = b"a private key in DER"


def kek(*keys: bytes) -> KeyEncryption:
    return KeyEncryption(keys, random_bytes)


def test_what_is_sealed_opens_and_shows_nothing() -> None:
    part = kek(NEW).seal("kid", "ES256", DER)
    assert kek(NEW).open("kid", "ES256", part) == DER
    assert part.pkcs8 is None
    assert DER not in unb64url(part.sealed or "")


def test_the_format_is_the_documented_one() -> None:
    part = KeyEncryption((NEW,), lambda count: b"\7" * count).seal("kid", "ES256", DER)
    sealed = b"\7" * 12 + AESGCM(NEW).encrypt(b"\7" * 12, DER, b"auth-service/keyring/v1\0kid\0ES256")
    assert part == PrivatePart(sealed=b64url(sealed), method="A256GCM-v1", kek=kek_id(NEW))


def test_every_sealing_has_its_own_nonce() -> None:
    assert len({kek(NEW).seal("kid", "ES256", DER).sealed for _ in range(50)}) == 50


def test_an_older_kek_opens_but_only_the_first_one_seals() -> None:
    old = kek(OLD).seal("kid", "ES256", DER)
    both = kek(NEW, OLD)
    assert both.open("kid", "ES256", old) == DER
    assert both.seal("kid", "ES256", DER).kek == kek_id(NEW)


@pytest.mark.parametrize(
    ("kid", "algorithm", "change", "says"),
    [
        ("other", "ES256", {}, "does not open"),
        ("kid", "ES384", {}, "does not open"),
        ("kid", "ES256", {"method": "A256GCM-v2"}, "method"),
        ("kid", "ES256", {"method": None}, "method"),
        ("kid", "ES256", {"kek": None}, "held are"),
        ("kid", "ES256", {"sealed": b64url(bytes(60))}, "does not open"),
        ("kid", "ES256", {"sealed": b64url(bytes(5))}, "does not open"),
        ("kid", "ES256", {"sealed": "§"}, "does not open"),
        ("kid", "ES256", {"sealed": ""}, "does not open"),
    ],
)
def test_a_moved_or_changed_part_does_not_open(
    kid: str, algorithm: str, change: dict[str, str | None], says: str
) -> None:
    part = msgspec.structs.replace(kek(NEW).seal("kid", "ES256", DER), **change)
    with pytest.raises(SealError, match=says):
        kek(NEW).open(kid, algorithm, part)


def test_another_kek_is_told_apart_by_name() -> None:
    part = kek(OLD).seal("kid", "ES256", DER)
    with pytest.raises(SealError, match=f"{kek_id(OLD)}.*held are {kek_id(NEW)}"):
        kek(NEW).open("kid", "ES256", part)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (base64.b64encode(NEW), (NEW,)),
        (base64.b64encode(NEW) + b"\n", (NEW,)),
        (base64.urlsafe_b64encode(b"\xff" * 32).rstrip(b"="), (b"\xff" * 32,)),
        (base64.b64encode(NEW) + b"\r\n" + base64.b64encode(OLD) + b"\n", (NEW, OLD)),
    ],
)
def test_a_kek_file_is_read(text: bytes, keys: tuple[bytes, ...]) -> None:
    assert parse_keks(text) == keys


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "0 key-encryption keys"),
        (b"not base64!", "line 1 is not base64"),
        (base64.b64encode(b"n" * 31), "line 1 has 31 bytes"),
        (base64.b64encode(NEW) + b"\n" + base64.b64encode(b"o" * 33), "line 2 has 33 bytes"),
        (b"\n".join([base64.b64encode(NEW)] * 5), "5 key-encryption keys"),
        (b"\x00" * 32, "not base64"),
    ],
)
def test_a_wrong_kek_file_is_refused_without_being_quoted(text: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refusal:
        parse_keks(text)
    assert not text.strip() or text.decode() not in str(refusal.value)
