"""base64url without padding (RFC 7515 section 2), as every token is written in it."""

from binascii import b2a_base64

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def base64url(data: bytes) -> bytes:
    """The text of ``data``, in half the time of ``base64.urlsafe_b64encode`` and a strip."""
    return b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")
