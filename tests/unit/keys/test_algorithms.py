"""Every algorithm signs and verifies as PyJWT's implementation of it does, and keys serve one algorithm each."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given
from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms

from app.keys.algorithms import ALGORITHMS, PrivateKey, fits, generate, is_rsa, raw_signature, signer, verifier

MESSAGE = b"header.payload"


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
class TestEachAlgorithm:
    def test_its_signatures_verify_here_and_with_pyjwt(
        self, algorithm: str, private_keys: dict[str, PrivateKey]
    ) -> None:
        key = private_keys[algorithm]
        signature = signer(algorithm, key)(MESSAGE)
        assert verifier(algorithm, key.public_key())(signature, MESSAGE)
        assert get_default_algorithms()[algorithm].verify(MESSAGE, key.public_key(), signature)

    def test_signatures_of_pyjwt_verify_here(self, algorithm: str, private_keys: dict[str, PrivateKey]) -> None:
        key = private_keys[algorithm]
        signature = get_default_algorithms()[algorithm].sign(MESSAGE, key)
        assert verifier(algorithm, key.public_key())(signature, MESSAGE)

    def test_anything_else_does_not_verify(self, algorithm: str, private_keys: dict[str, PrivateKey]) -> None:
        key = private_keys[algorithm]
        verify = verifier(algorithm, key.public_key())
        signature = signer(algorithm, key)(MESSAGE)
        assert not verify(signature, MESSAGE + b"x")
        for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature)), b"\xff" * len(signature)):
            assert not verify(wrong, MESSAGE)

    def test_a_key_of_another_kind_does_not_fit(self, algorithm: str, private_keys: dict[str, PrivateKey]) -> None:
        fitting = {a for a, key in private_keys.items() if fits(algorithm, key) and fits(algorithm, key.public_key())}
        assert fitting == ({a for a in ALGORITHMS if is_rsa(a)} if is_rsa(algorithm) else {algorithm})


@given(bits=st.integers(1, 384), data=st.data())
@example(bits=1, data=None)
def test_a_signature_keeps_both_numbers_at_their_full_length(bits: int, data: st.DataObject | None) -> None:
    size = 32 if bits <= 256 else 48
    numbers = st.integers(1, 2**bits - 1)
    r, s = (1, 2 ** (8 * size) - 1) if data is None else (data.draw(numbers), data.draw(numbers))
    assert raw_signature(encode_dss_signature(r, s), size) == r.to_bytes(size, "big") + s.to_bytes(size, "big")


def test_rsa_alone_needs_a_thread() -> None:
    assert [a for a in ALGORITHMS if is_rsa(a)] == ["RS256", "RS384", "RS512", "PS256"]


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa.generate_private_key(65537, 1024)),
        ("ES256", ec.generate_private_key(ec.SECP256K1())),
        ("ES256", ec.generate_private_key(ec.SECP521R1())),
        ("EdDSA", ed448.Ed448PrivateKey.generate()),
        ("EdDSA", "not a key"),
    ],
)
def test_short_keys_and_foreign_curves_do_not_fit(algorithm: str, key: object) -> None:
    assert not fits(algorithm, key)


def test_generation_honours_the_length() -> None:
    key = generate("PS256", 3072)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
    assert isinstance(generate("EdDSA", 3072), ed25519.Ed25519PrivateKey)
