"""The JWK set: public members alone, the same bytes everywhere, valid until a key leaves it."""

import json
from collections.abc import Callable

import msgspec
import pytest
from jwt import PyJWKSet

from app.keys.document import KeyEntry, RingDocument
from app.keys.jwks import jwks_document
from app.keys.loading import build_ring
from app.keys.ring import EMPTY_RING
from tests.unit.keys.conftest import NOW

NewEntry = Callable[..., KeyEntry]
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "EdDSA"])
def test_it_has_public_members_alone_and_pyjwt_reads_them(algorithm: str, new_entry: NewEntry) -> None:
    entry = new_entry(algorithm)
    document = jwks_document(build_ring(RingDocument(keys=(entry,)), None), NOW)
    (key,) = json.loads(document.body)["keys"]
    assert key | entry.public == key
    assert (key["kid"], key["alg"], key["use"]) == (entry.kid, algorithm, "sig")
    assert not PRIVATE_MEMBERS & set(key)
    assert PyJWKSet.from_json(document.body.decode())[entry.kid].algorithm_name == algorithm


def test_private_members_that_someone_wrote_into_the_public_part_stay_out(new_entry: NewEntry) -> None:
    entry = new_entry()
    leaky = msgspec.structs.replace(entry, public={**entry.public, "d": "leaked"})
    assert b"leaked" not in jwks_document(build_ring(RingDocument(keys=(leaky,)), None), NOW).body


def test_it_holds_what_may_verify_and_tells_how_long(new_entry: NewEntry) -> None:
    retired = new_entry(signs_from=NOW - 10, retires_at=NOW, removed_at=NOW + 50)
    signing, waiting = new_entry(signs_from=NOW), new_entry()
    gone = new_entry(signs_from=NOW - 9, retires_at=NOW - 8, removed_at=NOW)
    revoked = new_entry(revoked_at=NOW)
    ring = build_ring(RingDocument(keys=(retired, signing, waiting, gone, revoked)), None)
    before, after = jwks_document(ring, NOW), jwks_document(ring, NOW + 50)
    assert kids(before.body) == {retired.kid, signing.kid, waiting.kid}
    assert before.valid_until == NOW + 50
    assert kids(after.body) == {signing.kid, waiting.kid}
    assert after.valid_until is None
    assert before.etag != after.etag


def test_the_order_of_the_document_does_not_change_its_bytes(new_entry: NewEntry) -> None:
    keys = (new_entry("ES256"), new_entry("EdDSA"), new_entry("ES256"))
    one = jwks_document(build_ring(RingDocument(keys=keys), None), NOW)
    other = jwks_document(build_ring(RingDocument(revision=9, keys=keys[::-1]), None), NOW)
    assert (one.body, one.etag) == (other.body, other.etag)
    assert one.etag.startswith(b'"')
    assert one.etag.endswith(b'"')


def test_an_empty_ring_has_an_empty_set() -> None:
    assert jwks_document(EMPTY_RING, NOW).body == b'{"keys":[]}'


def kids(body: bytes) -> set[str]:
    return {key["kid"] for key in json.loads(body)["keys"]}
