"""Request bodies: bytes to parameters, once, at the edge.

Parameters without a value count as omitted (RFC 6749 section 3.2); a repeated parameter is an error, except those
that their specification lets repeat (``resource``, RFC 8707 section 2). NUL and malformed encodings are refused
rather than guessed at: two readers that guess differently are an attack.
"""

import json
import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any
from urllib.parse import parse_qsl

from app.protocol.errors import ProtocolError, invalid_request

BODY_LIMIT_BYTES = 64 * 1024
"""Largest body accepted. Assertions are the largest thing a client sends, and are a few KiB."""
_MAX_PARAMETERS = 64
_OF_CLIENTS = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
_REPEATABLE = frozenset({"resource"})
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
"""RFC 3986 section 2.3: what stands for itself wherever it stands."""
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

FORM_CONTENT_TYPE = b"application/x-www-form-urlencoded"
JSON_CONTENT_TYPE = b"application/json"


class Parameters:
    """The parameters of one request: single values by name, and the values of ``resource``."""

    __slots__ = ("_resources", "_single")

    def __init__(self, single: dict[str, str], resources: Sequence[str] = ()) -> None:
        self._single = single
        self._resources = tuple(resources)

    @property
    def names_a_client(self) -> bool:
        """Whether a parameter takes part in client authentication (RFC 6749 section 2.3.1, RFC 7521 section 4.2)."""
        return not _OF_CLIENTS.isdisjoint(self._single)

    @property
    def names(self) -> AbstractSet[str]:
        """Those of the single parameters that have a value."""
        return self._single.keys()

    def get(self, name: str) -> str | None:
        """The value of a parameter, or None if it was omitted or empty."""
        return self._single.get(name)

    def require(self, name: str) -> str:
        """The value of a parameter. Raises ProtocolError (``invalid_request``) if it is missing."""
        value = self._single.get(name)
        if value is None:
            raise missing_parameter(name)
        return value

    @property
    def resources(self) -> tuple[str, ...]:
        """The ``resource`` values in the order given (RFC 8707 section 2)."""
        return self._resources

    def __repr__(self) -> str:
        return f"Parameters({', '.join(sorted(self._single))})"  # names only: values may be secret


NO_PARAMETERS = Parameters({})


def too_large() -> ProtocolError:
    """The body is over :data:`BODY_LIMIT_BYTES` (RFC 9110 section 15.5.14)."""
    return invalid_request(f"the body is larger than {BODY_LIMIT_BYTES} bytes", reason="body_too_large", status=413)


def missing_parameter(name: str) -> ProtocolError:
    """A parameter that the request must have (RFC 6749 section 5.2)."""
    return invalid_request(f"the parameter {name} is missing", reason="missing_parameter")


def media_type(content_type: bytes) -> bytes:
    """The media type of a Content-Type value, lower case, without parameters (RFC 9110 section 8.3.1)."""
    return content_type.partition(b";")[0].strip().lower()


def parse_body(content_type: bytes | None, body: bytes, *, allow_json: bool = False) -> Parameters:
    """Parse a request body by its declared type. Raises ProtocolError (400, 413 or 415)."""
    if len(body) > BODY_LIMIT_BYTES:
        raise too_large()
    if content_type == FORM_CONTENT_TYPE:
        return parse_form(body)
    kind = media_type(content_type or b"")
    if kind == FORM_CONTENT_TYPE:
        return parse_form(body)
    if allow_json and kind == JSON_CONTENT_TYPE:
        return parse_json(body)
    allowed = "application/x-www-form-urlencoded" + (" or application/json" if allow_json else "")
    raise invalid_request(f"the content type must be {allowed}", reason="content_type", status=415)


def parse_form(body: bytes) -> Parameters:
    """Parse ``application/x-www-form-urlencoded`` (RFC 6749 appendix B). Raises ProtocolError."""
    try:
        text = body.decode("ascii")  # at once: to search bytes for a character costs ten times what it does in text
        if "\0" in text:
            raise _contains_nul()
        if "%" in text or "+" in text:
            if "%00" in text:
                raise _contains_nul()
            if _BROKEN_ESCAPE.search(text):
                raise invalid_request("the body has a malformed percent-encoding", reason="malformed_form")
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
        else:  # the common case, twice as fast: nothing to decode
            if "&" not in text:
                name, _, value = text.partition("=")
                if value and name not in _REPEATABLE:
                    return Parameters({name: value})
            if text.count("&") >= _MAX_PARAMETERS:
                raise invalid_request("the body has too many parameters", reason="malformed_form")
            pairs = [pair.partition("=")[::2] for pair in text.split("&") if pair]
    except UnicodeDecodeError:
        # RFC 6749 appendix B: UTF-8, then percent-encoded, so a raw byte beyond ASCII is as wrong as a bad sequence.
        raise invalid_request("the body is not percent-encoded UTF-8", reason="malformed_form") from None
    except ValueError:
        raise invalid_request("the body has too many parameters", reason="malformed_form") from None
    return _collect(pairs)


def plain_value(value: bytes) -> str | None:
    """What stands behind a form's first ``=``, where that is one value that needs no decoding; else None.

    What :func:`parse_form` says of such a form is the same; to find that out costs a third.
    """
    return value.decode("ascii") if value and not value.translate(None, _UNRESERVED) else None


def parse_json(body: bytes) -> Parameters:
    """Parse a JSON object of strings, a convenience beside the form of RFC 7662 section 2.1. Raises ProtocolError."""
    try:
        members = json.loads(body.decode("utf-8"), object_pairs_hook=_JsonObject)
    except (ValueError, RecursionError):
        raise invalid_request("the body is not valid JSON", reason="malformed_json") from None
    if not isinstance(members, _JsonObject):
        raise invalid_request("the body must be a JSON object", reason="malformed_json")
    if len(members.pairs) > _MAX_PARAMETERS:
        raise invalid_request("the body has too many parameters", reason="malformed_json")
    for name, value in members.pairs:
        if not isinstance(value, str):
            raise invalid_request("every member of the JSON object must be a string", reason="malformed_json")
        if "\0" in name or "\0" in value:
            raise _contains_nul()
        try:
            (name + value).encode()
        except UnicodeEncodeError:  # "\ud800": JSON can write half a surrogate pair, which no UTF-8 stands for
            raise invalid_request("the body is not valid Unicode", reason="malformed_json") from None
    return _collect(members.pairs)


class _JsonObject:
    """Keeps the members as pairs, so that a repeated name is seen instead of overwritten."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


def _collect(pairs: list[tuple[str, str]]) -> Parameters:
    single: dict[str, str] = {}
    resources: list[str] = []
    for name, value in pairs:
        if name in _REPEATABLE:
            if value:
                resources.append(value)
        elif name in single:
            raise invalid_request("a parameter is repeated", reason="repeated_parameter")
        else:
            single[name] = value  # an empty one too, so that its repetition is seen
    return Parameters({name: value for name, value in single.items() if value}, resources)


def _contains_nul() -> ProtocolError:
    return invalid_request("the body contains a NUL", reason="malformed_form")
