"""Sealing: private keys encrypted at rest under a key-encryption key (KEK).

The format, method ``A256GCM-v1``: AES-256-GCM (NIST SP 800-38D) over the PKCS #8 DER of the private key, with a fresh
random 96-bit nonce; stored is base64url(nonce || ciphertext || 128-bit tag). The additional data is
``auth-service/keyring/v1``, NUL, the kid, NUL, the algorithm, so that a sealed part cannot be moved to another entry.

Rules:
- The KEK comes from a file of 32 bytes in base64. Further lines are older KEKs, which open but never seal.
- A ring is written as often as it rotates, far below the 2^32 messages that random nonces allow under one key.
"""

import binascii
import hashlib
from base64 import b64decode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.keys.document import PrivatePart
from app.keys.errors import SealError
from app.keys.jwk import b64url, unb64url
from app.randomness import RandomBytes

METHOD = "A256GCM-v1"
KEK_BYTES = 32
NONCE_BYTES = 12
MAX_KEKS = 4


class KeyEncryption:
    """Seals with the first KEK, opens with any of them."""

    def __init__(self, keks: tuple[bytes, ...], random_bytes: RandomBytes) -> None:
        """``keks``: 32 bytes each, the current one first. Raises ValueError for any other number of bytes."""
        if not 1 <= len(keks) <= MAX_KEKS or any(len(kek) != KEK_BYTES for kek in keks):
            raise ValueError(f"a key-encryption key has {KEK_BYTES} bytes, and there are 1 to {MAX_KEKS} of them")
        self._ciphers = {kek_id(kek): AESGCM(kek) for kek in reversed(keks)}
        self.current = kek_id(keks[0])
        self._random_bytes = random_bytes

    def __repr__(self) -> str:
        return f"KeyEncryption({self.current})"

    def seal(self, kid: str, algorithm: str, pkcs8: bytes) -> PrivatePart:
        nonce = self._random_bytes(NONCE_BYTES)
        sealed = nonce + self._ciphers[self.current].encrypt(nonce, pkcs8, _bound_to(kid, algorithm))
        return PrivatePart(sealed=b64url(sealed), method=METHOD, kek=self.current)

    def open(self, kid: str, algorithm: str, part: PrivatePart) -> bytes:
        """The PKCS #8 DER. Raises SealError when no KEK fits or the text was changed."""
        if part.method != METHOD or part.sealed is None:
            raise SealError(f"key {kid}: sealed by the method {part.method!r:.40}; this release opens {METHOD}")
        cipher = self._ciphers.get(part.kek or "")
        if cipher is None:
            held = ", ".join(self._ciphers)
            raise SealError(f"key {kid}: sealed under the key-encryption key {part.kek!r:.20}; held are {held}")
        try:
            sealed = unb64url(part.sealed)
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound_to(kid, algorithm))
        except (InvalidTag, ValueError):
            raise SealError(f"key {kid}: the sealed part does not open (changed, or of another key)") from None


def parse_keks(text: bytes) -> tuple[bytes, ...]:
    """The KEKs of a KEK file: base64, one a line. Raises ValueError that does not quote the file."""
    keks = []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            kek = b64decode(line.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(line) % 4), validate=True)
        except binascii.Error:
            raise ValueError(f"line {number} is not base64") from None
        if len(kek) != KEK_BYTES:
            raise ValueError(f"line {number} has {len(kek)} bytes, a key-encryption key has {KEK_BYTES}")
        keks.append(kek)
    if not 1 <= len(keks) <= MAX_KEKS:
        raise ValueError(f"there are {len(keks)} key-encryption keys, 1 to {MAX_KEKS} are allowed")
    return tuple(keks)


def kek_id(kek: bytes) -> str:
    """A name for a KEK that tells nothing about it: the first 8 bytes of its SHA-256 in base64url."""
    return b64url(hashlib.sha256(kek).digest()[:8])


def _bound_to(kid: str, algorithm: str) -> bytes:
    return b"\0".join((b"auth-service/keyring/v1", kid.encode(), algorithm.encode()))
