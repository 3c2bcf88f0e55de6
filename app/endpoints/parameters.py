"""The first step of every endpoint that takes parameters: read them, or refuse."""

from app.endpoints.exchange import Request
from app.protocol.errors import invalid_request
from app.protocol.form import FORM_CONTENT_TYPE, Parameters, parse_body, plain_value


def read_parameters(request: Request, *, allow_json: bool = False) -> Parameters:
    """The parameters of the body. Raises ProtocolError.

    A query string is refused: credentials and tokens in URLs end in logs (RFC 6749 section 2.3.1, RFC 9700 4.3.2).
    """
    if request.has_query:
        raise invalid_request("parameters belong into the body, not into the URL", reason="query_string")
    return parse_body(request.content_type, request.body, allow_json=allow_json)


def plain_parameter(request: Request, start: bytes) -> str | None:
    """The value of a request's only parameter, where :func:`read_parameters` would find it without decoding anything.

    ``start`` is the parameter's name with its ``=``; None where the request has to be read in full.
    """
    body = request.body
    if not body.startswith(start) or request.content_type != FORM_CONTENT_TYPE or request.has_query:
        return None
    return plain_value(body[len(start) :])
