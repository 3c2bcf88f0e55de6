"""A document becomes a ring only if every key in it is what its entry says."""

from collections.abc import Callable

import msgspec
import pytest

from app.keys.document import KeyEntry, PrivatePart, RingDocument
from app.keys.errors import RingDocumentError, SealError
from app.keys.jwk import b64url
from app.keys.loading import build_ring
from app.keys.sealing import KeyEncryption
from app.randomness import random_bytes
from tests.unit.keys.conftest import NOW

NewEntry = Callable[..., KeyEntry]
KEK = KeyEncryption((b"k" * 32,), random_bytes)


def sealed(entry: KeyEntry, kek: KeyEncryption) -> KeyEntry:
    assert entry.private is not None
    return msgspec.structs.replace(entry, private=kek.seal(entry.kid, entry.algorithm, b"whatever"))


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "EdDSA", "RS256", "PS256"])
def test_a_whole_key_signs_and_verifies(algorithm: str, new_entry: NewEntry) -> None:
    ring = build_ring(RingDocument(keys=(new_entry(algorithm, signs_from=NOW),)), None)
    key = ring.signing_key(algorithm, NOW)
    public = ring.verification_key(key.kid, NOW)
    assert public is not None
    assert public.verify(key.sign(b"message"), b"message")


def test_a_wrong_key_makes_the_document_unusable(new_entry: NewEntry) -> None:
    good, other, rsa = new_entry(), new_entry(), new_entry("RS256")
    replace = msgspec.structs.replace
    table = [
        ((good, good), "twice"),
        ((replace(good, kid=other.kid),), "not the thumbprint"),
        ((replace(good, public={**good.public, "x": "AAAA"}),), good.kid),
        ((replace(good, public={}),), "lacks the member"),
        ((replace(good, private=other.private),), "not that of the public key"),
        ((replace(good, private=rsa.private),), "not one for ES256"),
        ((replace(good, private=PrivatePart(pkcs8="AAAA")),), "damaged"),
        ((replace(good, private=PrivatePart(pkcs8="!")),), "damaged"),
        ((replace(good, private=PrivatePart()),), "damaged"),
        ((replace(good, algorithm="RS256"),), "kty is not RSA"),
        ((replace(good, signs_from=5.0, retires_at=4.0),), "not in this order"),
        ((replace(good, retires_at=5.0, removed_at=4.0),), "not in this order"),
        ((replace(good, created_at=NOW * 1000),), "not in Unix seconds"),
        ((replace(good, removed_at=1e300),), "not in Unix seconds"),
    ]
    for keys, says in table:
        with pytest.raises(RingDocumentError, match=says):
            build_ring(RingDocument(keys=keys), None)


def test_an_rsa_key_whose_numbers_were_changed_is_found_without_openssls_slow_check(new_entry: NewEntry) -> None:
    entry, other = new_entry("RS256"), new_entry("RS256")
    with pytest.raises(RingDocumentError, match="not that of the public key"):
        build_ring(RingDocument(keys=(msgspec.structs.replace(entry, private=other.private),)), None)


def test_sealed_keys_need_their_kek(new_entry: NewEntry) -> None:
    document = RingDocument(keys=(sealed(new_entry(), KEK),))
    with pytest.raises(SealError, match="KEYS_KEK_FILE"):
        build_ring(document, None)
    with pytest.raises(SealError, match="held are"):
        build_ring(document, KeyEncryption((b"x" * 32,), random_bytes))
    with pytest.raises(RingDocumentError, match="damaged"):
        build_ring(document, KEK)  # it opens, and is no key


def test_no_error_shows_a_private_part(new_entry: NewEntry) -> None:
    entry = new_entry()
    assert entry.private is not None
    secret = b64url(b"\0" * 20 + b"secret of the operator")
    broken = msgspec.structs.replace(entry, private=PrivatePart(pkcs8=secret))
    with pytest.raises(RingDocumentError) as refusal:
        build_ring(RingDocument(keys=(broken,)), None)
    shown = [str(e) for e in (refusal.value, refusal.value.__cause__)]
    assert not any(secret in text or "secret" in text for text in shown)


def test_an_algorithm_of_a_newer_release_is_carried_along(new_entry: NewEntry) -> None:
    unknown = KeyEntry(kid="future", algorithm="ML-DSA-65", created_at=NOW, public={"kty": "AKP"})
    ring = build_ring(RingDocument(keys=(unknown, new_entry(signs_from=NOW))), None)
    assert ring.algorithms == ("ES256",)
    assert ring.document.keys[0] == unknown
    assert ring.verification_key("future", NOW) is None


def test_a_revoked_key_is_checked_but_never_in_the_ring(new_entry: NewEntry) -> None:
    revoked = new_entry(signs_from=NOW, revoked_at=NOW)
    ring = build_ring(RingDocument(keys=(revoked,)), None)
    assert ring.verification_key(revoked.kid, NOW) is None
    assert ring.published(NOW) == ()
