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

import base64
import hashlib
from binascii import crc32

from app.model.tokens import TokenKind, TokenRef
from app.randomness import RandomBytes

_PREFIXES = {TokenKind.ACCESS: "asa_", TokenKind.REFRESH: "asr_", TokenKind.CODE: "asc_"}
_KINDS = {f"{prefix}1": kind for kind, prefix in _PREFIXES.items()}
_SECRET_BYTES = 32
TOKEN_LENGTH = 4 + 1 + 4 + 43 + 8
_TAG = slice(5, 9)
_HEX = frozenset("0123456789abcdef")


def new_tag(random_bytes: RandomBytes) -> str:
    """A fresh slot tag: four hexadecimal digits."""
    return random_bytes(2).hex()


def new_family(tag: str, random_bytes: RandomBytes) -> str:
    """The name of a new family in the tag's slot: the tag, then 128 random bits in base64url."""
    return tag + _base64url(random_bytes(16))


def family_tag(family: str) -> str:
    """The slot tag of a family or of a JWT's ``jti``: both begin with it."""
    return family[:4]


def new_token(kind: TokenKind, tag: str, random_bytes: RandomBytes) -> str:
    """A fresh token of 60 characters; every one of them is URL-safe and needs no encoding in a form."""
    body = f"{_PREFIXES[kind]}1{tag}{_base64url(random_bytes(_SECRET_BYTES))}"
    return f"{body}{crc32(body.encode()):08x}"


def token_kind(token: str) -> TokenKind | None:
    """The kind of a well-formed token; None for anything that this service cannot have made."""
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    kind = _KINDS.get(token[:5])
    if kind is None or token[-8:] != f"{crc32(token[:-8].encode()):08x}" or not _HEX.issuperset(token[_TAG]):
        return None
    return kind


def token_ref(token: str) -> TokenRef:
    """The reference of a token that :func:`token_kind` found well-formed."""
    return TokenRef(tag=token[_TAG], digest=hashlib.sha256(token.encode()).digest())


def jti_ref(jti: str) -> TokenRef:
    """The reference of a JWT by its ``jti``, which begins with a slot tag like a family's name."""
    return TokenRef(tag=family_tag(jti), digest=hashlib.sha256(jti.encode()).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
