"""The ring document, ``keyring.json``: what it looks like and which versions of it are read.

Rules:
- ``version`` is ``major.minor``. A newer minor is read, and members that this release does not know are kept when
  it writes; a newer major is refused.
- Times are Unix seconds. A key is published from the moment a replica reads it here.
- ``revision`` grows by one with every write.
- Structure is checked here, keys (thumbprints, sealing, algorithms) in :mod:`app.keys.ring`.
"""

from typing import Any

import msgspec

from app.keys.errors import EmptyDocument, RingDocumentError, UnsupportedVersion

FORMAT = "auth-service/keyring"
MAJOR, MINOR = 1, 0
MAX_BYTES = 1_000_000
"""A Kubernetes Secret holds no more; a ring of a few keys takes some 10 KB."""
MAX_KEYS = 200


class PrivatePart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A private key: either ``pkcs8`` or the three members of a sealed one (:mod:`app.keys.sealing`)."""

    pkcs8: str | None = None
    """PKCS #8 DER in base64url."""
    sealed: str | None = None
    """base64url of nonce, ciphertext and tag."""
    method: str | None = None
    kek: str | None = None
    """Which key-encryption key sealed it: the first 8 bytes of its SHA-256 in base64url."""

    def __repr__(self) -> str:
        return "PrivatePart(sealed)" if self.sealed else "PrivatePart(…)"


class KeyEntry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One key and the times of its life."""

    kid: str
    """RFC 7638 thumbprint."""
    algorithm: str
    created_at: float
    signs_from: float | None = None
    """None: a standing successor, published and waiting to be scheduled."""
    retires_at: float | None = None
    """It signs before this instant; None while no successor is scheduled."""
    removed_at: float | None = None
    """It is in the JWKS and verifies before this instant."""
    revoked_at: float | None = None
    """Anything but None ends the key at once, whatever a replica's clock says."""
    revoked_reason: str | None = None
    public: dict[str, str]
    private: PrivatePart | None = None
    """None once the key signs no more."""
    surplus: dict[str, Any] = {}
    """Members written by a newer minor version."""


class RingDocument(msgspec.Struct, frozen=True, kw_only=True):
    """All keys of the service."""

    format: str = FORMAT
    version: str = f"{MAJOR}.{MINOR}"
    revision: int = 0
    keys: tuple[KeyEntry, ...] = ()
    surplus: dict[str, Any] = {}

    def of(self, algorithm: str) -> tuple[KeyEntry, ...]:
        """The keys of one algorithm, in the order of the document."""
        return tuple(k for k in self.keys if k.algorithm == algorithm)

    def find(self, kid: str) -> KeyEntry | None:
        return next((k for k in self.keys if k.kid == kid), None)


def decode(body: bytes) -> RingDocument:
    """Read a document. Raises RingDocumentError (empty, truncated, malformed) or UnsupportedVersion."""
    if not body.strip():
        raise EmptyDocument("the ring document is empty")
    if len(body) > MAX_BYTES:
        raise RingDocumentError(f"the ring document has {len(body)} bytes, {MAX_BYTES} are allowed")
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The parser's message may quote the text around the fault, which may be key material.
        raise RingDocumentError("the ring document is not complete JSON (truncated or damaged)") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise RingDocumentError(f'the ring document is not an object with "format": "{FORMAT}"')
    _check_version(raw.get("version"))
    if not isinstance(raw.get("keys"), list) or not all(isinstance(k, dict) for k in raw["keys"]):
        raise RingDocumentError('the ring document\'s "keys" is not a list of objects')
    if len(raw["keys"]) > MAX_KEYS:
        raise RingDocumentError(f"the ring document has {len(raw['keys'])} keys, {MAX_KEYS} are allowed")
    keys = tuple(_convert(entry, KeyEntry, f"keys[{i}]") for i, entry in enumerate(raw.pop("keys")))
    document: RingDocument = _convert(raw, RingDocument, "the ring document")
    return msgspec.structs.replace(document, keys=keys)


def encode(document: RingDocument) -> bytes:
    """The document as indented JSON; members of newer minor versions are kept."""
    raw = _plain(document)
    raw["keys"] = [_plain(entry) for entry in document.keys]
    return msgspec.json.format(msgspec.json.encode(raw), indent=2) + b"\n"


def _check_version(version: object) -> None:
    parts = version.split(".") if isinstance(version, str) else []
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 6 for p in parts):
        raise RingDocumentError('the ring document\'s "version" is not of the form "major.minor"')
    if int(parts[0]) != MAJOR:
        raise UnsupportedVersion(f"the ring document has version {version}; this release reads {MAJOR}.x")


def _convert(raw: dict[str, Any], kind: type[Any], where: str) -> Any:
    known = set(kind.__struct_fields__) - {"surplus"}
    surplus = {name: value for name, value in raw.items() if name not in known}
    try:
        made = msgspec.convert({name: raw[name] for name in raw if name in known}, kind)
    except msgspec.ValidationError as problem:
        raise RingDocumentError(f"{where}: {problem}") from None
    return msgspec.structs.replace(made, surplus=surplus) if surplus else made


def _plain(made: msgspec.Struct) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(made)
    surplus = raw.pop("surplus", {})
    return {**raw, **surplus}
