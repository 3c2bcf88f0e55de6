"""Token records as the bytes that every store keeps: one msgpack array, its first element the form's version.

Rules:
- What this release writes, the one before and the one after read; what they write, this release reads.
- Bytes that carry a version beyond ``RECORD_VERSION + 1`` raise :class:`UnsupportedRecordVersion`; bytes that are no
  record raise :class:`CorruptRecord`. No input raises anything else: neither may look like "not found".
"""

from typing import NoReturn

import msgspec

from app.model.tokens import RECORD_VERSION, AccessTokenRecord, RefreshTokenRecord
from app.storage.interface import CorruptRecord, UnsupportedRecordVersion

NEWEST_READABLE_VERSION = RECORD_VERSION + 1

REFRESH_USED_AT_FIELD = RefreshTokenRecord.__struct_fields__.index("used_at")
"""Where ``used_at`` stands in a refresh token's array, counted from 0; scripts inside Redis look there."""

_encode = msgspec.msgpack.Encoder().encode
_decode_access = msgspec.msgpack.Decoder(AccessTokenRecord).decode
_decode_refresh = msgspec.msgpack.Decoder(RefreshTokenRecord).decode
_decode_anything = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_version = msgspec.msgpack.Decoder(int).decode


def encode_record(record: AccessTokenRecord | RefreshTokenRecord) -> bytes:
    """The bytes of a record, about 100 to 200."""
    return _encode(record)


def decode_access_record(data: bytes) -> AccessTokenRecord:
    """The access token record in ``data``. Raises UnsupportedRecordVersion or CorruptRecord."""
    try:
        record = _decode_access(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _refuse(data)
    if not 1 <= record.version <= NEWEST_READABLE_VERSION:
        _refuse(data)
    return record


def decode_refresh_record(data: bytes) -> RefreshTokenRecord:
    """The refresh token record in ``data``. Raises UnsupportedRecordVersion or CorruptRecord."""
    try:
        record = _decode_refresh(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _refuse(data)
    if not 1 <= record.version <= NEWEST_READABLE_VERSION:
        _refuse(data)
    return record


def _refuse(data: bytes) -> NoReturn:
    """Tell a record from the future, whose later fields may have any form, from bytes that are no record."""
    try:
        version = _decode_version(_decode_anything(data)[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError):
        raise CorruptRecord("a stored token record cannot be decoded") from None
    if version > NEWEST_READABLE_VERSION:
        raise UnsupportedRecordVersion(
            f"a stored token record has form {version}; this release reads forms 1 to {NEWEST_READABLE_VERSION}"
        ) from None
    raise CorruptRecord(f"a stored token record of form {version} cannot be decoded") from None
