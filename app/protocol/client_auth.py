"""Client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2): reading what a client presents.

Reading and checking are two steps. :func:`read_credentials` finds the one method that a request uses; checking needs
the registered client (``app.endpoints.client_authentication``). Exactly one method a request.
"""

import base64
import binascii
import hashlib
import hmac
import math
import re
from collections.abc import Sequence
from urllib.parse import unquote_plus

import msgspec

from app.model.clients import ClientAuthMethod, ClientSecret
from app.protocol.errors import ProtocolError, invalid_client, invalid_request
from app.protocol.form import Parameters

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""``client_assertion_type`` of RFC 7523 section 2.2."""
GENERATED_PREFIX = "ascs_"
"""Of the client secrets that the service makes up, which are this and 256 random bits in base64url."""
_GENERATED = re.compile(rf"{GENERATED_PREFIX}[A-Za-z0-9_-]{{43}}")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ABSENT_SECRET = hashlib.sha256(b"compared with where a client has no secret").digest()


class SecretCredentials(msgspec.Struct, frozen=True, gc=False):
    """A client id and secret, by header or by body."""

    client_id: str
    secret: str
    method: ClientAuthMethod

    def __repr__(self) -> str:
        return f"SecretCredentials({self.client_id!r}, method={self.method.value})"


class AssertionCredentials(msgspec.Struct, frozen=True, gc=False):
    """A signed assertion (RFC 7523 section 2.2). ``client_id`` is optional there (RFC 7521 section 4.2)."""

    assertion: str
    client_id: str | None
    method: ClientAuthMethod = ClientAuthMethod.PRIVATE_KEY_JWT

    def __repr__(self) -> str:
        return f"AssertionCredentials({self.client_id!r})"


class PublicCredentials(msgspec.Struct, frozen=True, gc=False):
    """Only a client id: a public client says who it is and proves nothing (RFC 6749 section 3.2.1)."""

    client_id: str
    method: ClientAuthMethod = ClientAuthMethod.NONE


Credentials = SecretCredentials | AssertionCredentials | PublicCredentials


def read_credentials(authorization: bytes | None, parameters: Parameters) -> Credentials:
    """Find the one authentication method of a request.

    Raises ProtocolError: ``invalid_request`` for several or contradicting ones, ``invalid_client`` for none and for a
    header that cannot be read.
    """
    body_id = parameters.get("client_id")
    body_secret = parameters.get("client_secret")
    assertion = parameters.get("client_assertion")
    assertion_type = parameters.get("client_assertion_type")
    if authorization is not None:
        if body_secret is not None or assertion is not None or assertion_type is not None:
            raise _several_methods()
        credentials = read_basic(authorization)
        if body_id is not None and body_id != credentials.client_id:
            raise invalid_request("client_id differs from the Authorization header", reason="client_id_mismatch")
        return credentials
    if assertion is not None or assertion_type is not None:
        if body_secret is not None:
            raise _several_methods()
        if assertion is None or assertion_type != ASSERTION_TYPE:
            raise invalid_request("client_assertion needs the client_assertion_type of RFC 7523", reason="assertion")
        return AssertionCredentials(assertion=assertion, client_id=body_id)
    if body_id is None:
        if body_secret is not None:
            raise invalid_request("client_secret comes without client_id", reason="missing_parameter")
        raise invalid_client("no_credentials")
    if body_secret is not None:
        return SecretCredentials(body_id, body_secret, ClientAuthMethod.CLIENT_SECRET_POST)
    return PublicCredentials(body_id)


def read_basic(authorization: bytes) -> SecretCredentials:
    """Read ``Authorization: Basic``: base64, then each half form-decoded (RFC 6749 section 2.3.1, RFC 7617).

    The first colon separates; a colon inside an id is percent-encoded, one inside a secret need not be.
    Raises ProtocolError (``invalid_client``).
    """
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        raise invalid_client("unknown_scheme")
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        raise invalid_client("malformed_basic") from None
    if not colon:
        raise invalid_client("malformed_basic")
    client_id, secret = _form_decode(user), _form_decode(password)
    if not client_id or "\0" in client_id or "\0" in secret:
        raise invalid_client("malformed_basic")
    return SecretCredentials(client_id, secret, ClientAuthMethod.CLIENT_SECRET_BASIC)


def looks_generated(secret: str) -> bool:
    """Whether ``secret`` has the form of those that the service makes up: such a one cannot be guessed."""
    return _GENERATED.fullmatch(secret) is not None


def sha256_secret(secret: str) -> bytes:
    """The digest that a generated secret is kept and compared as."""
    return hashlib.sha256(secret.encode()).digest()


def generated_secret_ends(secret: str, secrets: Sequence[ClientSecret]) -> float | None:
    """Until when ``secret`` is one of the generated ones (Unix seconds, perhaps infinity); None if it is not.

    In time that tells nothing about them: every one is compared, and where there is none a digest in its place, so that
    a client that does not exist, or has no secret left, costs what a wrong secret costs.
    """
    presented = sha256_secret(secret)
    ends: float | None = None
    is_compared = False
    for candidate in secrets:
        if candidate.sha256 is not None:
            is_compared = True
            if hmac.compare_digest(presented, candidate.sha256):
                ends = max(ends or 0.0, math.inf if candidate.not_after is None else candidate.not_after)
    if not is_compared:
        hmac.compare_digest(presented, _ABSENT_SECRET)
    return ends


def _form_decode(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    if _BROKEN_ESCAPE.search(text):
        # Many clients send the secret as it is, without the encoding of RFC 6749 section 2.3.1. A '%' that begins no
        # escape can only be meant literally; anything else would refuse them without need.
        return text
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise invalid_client("malformed_basic") from None


def _several_methods() -> ProtocolError:
    return invalid_request("a request may use one client authentication method only", reason="several_auth_methods")
