"""The form of opaque tokens: what can be told from a token without asking anyone.

    asa_1a2b3c4Zf…43 characters…k0deadbeef
    ─┬─ │─┬─ ──────────┬──────────  ───┬────
     │  │ │            │               └ CRC-32 of everything before it, 8 hexadecimal digits
     │  │ │            └ 256 random bits, base64url
     │  │ └ slot tag: 16 random bits, 4 hexadecimal digits, shared by a token and its family
     │  └ version of this form
     └ kind: asa_ access token, asr_ refresh token, asc_ authorization code

The prefix lets secret scanners find leaks and tells the kind; the checksum lets garbage be refused without I/O (as
GitHub's tokens do, https://github.blog/engineering/behind-githubs-new-authentication-token-formats/). The tag keeps a
token and its family in one slot of a Redis Cluster, so that one script can rotate them; it is no secret. The checksum
is no defence: an attacker can compute it; 256 random bits are the defence.
"""

import hashlib
from binascii import crc32

from app.model.tokens import TokenKind, TokenRef
from app.protocol.base64url import base64url
from app.randomness import RandomBytes

_PREFIXES = {TokenKind.ACCESS: "asa_", TokenKind.REFRESH: "asr_", TokenKind.CODE: "asc_"}
_KINDS = {f"{prefix}1": kind for kind, prefix in _PREFIXES.items()}
_ACCESS_START = f"{_PREFIXES[TokenKind.ACCESS]}1"
_JWT_START = "eyJ"
"""`{"` in base64url: how the header of a JWT begins."""
_SECRET_BYTES = 32
_FAMILY_BYTES = 16
TOKEN_LENGTH = 4 + 1 + 4 + 43 + 8
_TAG = slice(5, 9)
_HEX = frozenset("0123456789abcdef")
_sha256 = hashlib.sha256


def new_tag(random_bytes: RandomBytes) -> str:
    """A fresh slot tag: four hexadecimal digits."""
    return random_bytes(2).hex()


def new_family(tag: str, random_bytes: RandomBytes) -> str:
    """The name of a new family in the tag's slot: the tag, then 128 random bits in base64url."""
    return tag + base64url(random_bytes(_FAMILY_BYTES)).decode("ascii")


def new_jti(random_bytes: RandomBytes) -> str:
    """The ``jti`` of a JWT of no family: of a family's form, with a tag of its own, by one call for random bytes."""
    random = random_bytes(2 + _FAMILY_BYTES)
    return random[:2].hex() + base64url(random[2:]).decode("ascii")


def family_tag(family: str) -> str:
    """The slot tag of a family or of a JWT's ``jti``: both begin with it."""
    return family[:4]


def new_token(kind: TokenKind, tag: str, random_bytes: RandomBytes) -> str:
    """A fresh token of 60 characters; every one of them is URL-safe and needs no encoding in a form."""
    body = f"{_PREFIXES[kind]}1{tag}{base64url(random_bytes(_SECRET_BYTES)).decode('ascii')}"
    return f"{body}{crc32(body.encode()):08x}"


def new_access_token(random_bytes: RandomBytes) -> tuple[str, TokenRef]:
    """A fresh access token of no family, with a tag of its own, and its reference.

    As :func:`new_tag`, :func:`new_token` and :func:`token_ref` have it, with one call for random bytes.
    """
    random = random_bytes(2 + _SECRET_BYTES)
    tag = random[:2].hex()
    body = (_ACCESS_START + tag).encode() + base64url(random[2:])
    token = body + crc32(body).to_bytes(4).hex().encode()
    return token.decode("ascii"), TokenRef(tag, _sha256(token).digest())


def looks_like_access_token(token: str) -> bool:
    """Whether a token has the length and the prefix of an access token.

    That is enough to look for it where that costs less than :func:`token_kind` does: what is found is well-formed.
    """
    return len(token) == TOKEN_LENGTH and token.startswith(_ACCESS_START) and token.isascii()


def token_kind(token: str) -> TokenKind | None:
    """The kind of a well-formed token; None for anything that this service cannot have made."""
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    kind = _KINDS.get(token[:5])
    if kind is None or token[-8:] != f"{crc32(token[:-8].encode()):08x}" or not _HEX.issuperset(token[_TAG]):
        return None
    return kind


def has_form_of_token(text: str) -> bool:
    """Whether a text may be a token, opaque or a JWT (RFC 7519 section 3), and not what somebody can guess by its hash.

    People paste passwords into the wrong field; of a token nobody finds the text from its digest.
    """
    return token_kind(text) is not None or (text.startswith(_JWT_START) and text.count(".") == 2)


def token_ref(token: str) -> TokenRef:
    """The reference of a token that :func:`token_kind` found well-formed."""
    return TokenRef(token[_TAG], _sha256(token.encode()).digest())


def token_digest(token: str) -> bytes:
    """SHA-256 of any token's text: what it is known by where it must not stand itself."""
    return _sha256(token.encode()).digest()


def jti_ref(jti: str) -> TokenRef:
    """The reference of a JWT by its ``jti``, which begins with a slot tag like a family's name."""
    return TokenRef(tag=family_tag(jti), digest=hashlib.sha256(jti.encode()).digest())
