"""Requests that are wrong in one way each, with the error and status that the RFCs ask for.

What must not be logged has the canary in it.
"""

import base64
from typing import NamedTuple
from urllib.parse import urlencode

from tests.programs.raw_http import request_bytes
from tests.programs.service_clients import API, BASIC, CANARY, JWT, NO_GRANT, OTHER, POST, PUBLIC, REFRESHER

TOKEN, INTROSPECT, REVOKE = "/oauth/token", "/oauth/introspect", "/oauth/revoke"
ALL = (TOKEN, INTROSPECT, REVOKE)
FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"
KIB_64 = 64 * 1024


class Row(NamedTuple):
    """One wrong request, and its answer."""

    name: str
    path: str
    status: int
    error: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    chunked: bool = False

    @property
    def request(self) -> bytes:
        return request_bytes("POST", self.path, self.headers, self.body, chunked=self.chunked)


def basic(client_id: str, secret: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Basic " + base64.b64encode(f"{client_id}:{secret}".encode())


AUTHENTIC = basic(*BASIC.basic)
GOOD_FORM = {TOKEN: "grant_type=client_credentials", INTROSPECT: "token=x", REVOKE: "token=x"}


def form_row(name: str, path: str, status: int, error: str, body: str | bytes, *, auth: bool = True) -> Row:
    """A form of an authenticated client, or (``auth`` False) of nobody."""
    headers = ((b"content-type", FORM), AUTHENTIC) if auth else ((b"content-type", FORM),)
    return Row(name, path, status, error, headers, body.encode() if isinstance(body, str) else body)


def header_row(name: str, path: str, *headers: tuple[bytes, bytes]) -> Row:
    """A good form whose client cannot be authenticated by its headers."""
    return Row(name, path, 401, "invalid_client", ((b"content-type", FORM), *headers), GOOD_FORM[path].encode())


def by_client(name: str, client: tuple[str, str], status: int, error: str, **form: str) -> Row:
    """A form at the token endpoint by another client."""
    return Row(name, TOKEN, status, error, ((b"content-type", FORM), basic(*client)), urlencode(form).encode())


# RFC 6749 section 5.2, in its order.
RFC_6749_ROWS = [
    # What is "missing a required parameter, includes an unsupported parameter value (other than grant type), repeats a
    # parameter, includes multiple credentials, utilizes more than one mechanism …, or is otherwise malformed" is an
    # invalid_request.
    form_row("no grant_type", TOKEN, 400, "invalid_request", "scope=read"),
    form_row("no body", TOKEN, 400, "invalid_request", ""),
    form_row("empty grant_type", TOKEN, 400, "invalid_request", "grant_type="),
    form_row(
        "grant_type twice", TOKEN, 400, "invalid_request", "grant_type=client_credentials&grant_type=refresh_token"
    ),
    form_row("scope twice", TOKEN, 400, "invalid_request", "grant_type=client_credentials&scope=read&scope=read"),
    form_row("an unknown parameter twice", TOKEN, 400, "invalid_request", "grant_type=client_credentials&a=1&a=2"),
    form_row("repeated but empty", TOKEN, 400, "invalid_request", "grant_type=client_credentials&scope=&scope="),
    by_client("no refresh_token", REFRESHER.basic, 400, "invalid_request", grant_type="refresh_token"),
    form_row(
        "two mechanisms",
        TOKEN,
        400,
        "invalid_request",
        f"grant_type=client_credentials&client_id={BASIC.id}&client_secret={CANARY}",
    ),
    form_row("another client_id", TOKEN, 400, "invalid_request", "grant_type=client_credentials&client_id=other"),
    # An "unknown client, no client authentication included, or unsupported authentication method" is invalid_client.
    form_row("no authentication", TOKEN, 401, "invalid_client", "grant_type=client_credentials", auth=False),
    header_row("an unknown client", TOKEN, basic("nobody", CANARY)),
    header_row("a wrong secret", TOKEN, basic(BASIC.id, CANARY)),
    header_row("another method than registered", TOKEN, basic(*POST.basic)),
    # A refresh token that "is invalid, expired, revoked, … or was issued to another client" is an invalid_grant.
    by_client(
        "an unknown refresh token", REFRESHER.basic, 400, "invalid_grant", grant_type="refresh_token", refresh_token="x"
    ),
    by_client(
        "well-formed and unknown",
        REFRESHER.basic,
        400,
        "invalid_grant",
        grant_type="refresh_token",
        refresh_token="asr_10000AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA35773270",
    ),
    # A client "not authorized to use this authorization grant type" is an unauthorized_client.
    by_client("not for this client", NO_GRANT.basic, 400, "unauthorized_client", grant_type="client_credentials"),
    by_client("no refreshing", BASIC.basic, 400, "unauthorized_client", grant_type="refresh_token", refresh_token="x"),
    form_row(
        "a public client",
        TOKEN,
        400,
        "unauthorized_client",
        f"grant_type=client_credentials&client_id={PUBLIC.id}",
        auth=False,
    ),
    # A grant type that "is not supported by the authorization server" is an unsupported_grant_type.
    form_row("an unknown grant", TOKEN, 400, "unsupported_grant_type", f"grant_type={CANARY}"),
    form_row("the grant of codes", TOKEN, 400, "unsupported_grant_type", "grant_type=authorization_code&code=x"),
    form_row("the grant of passwords", TOKEN, 400, "unsupported_grant_type", f"grant_type=password&password={CANARY}"),
    form_row("a grant in capitals", TOKEN, 400, "unsupported_grant_type", "grant_type=CLIENT_CREDENTIALS"),
    # A scope that "is invalid, unknown, malformed, or exceeds the scope granted" is an invalid_scope.
    form_row("an unknown scope", TOKEN, 400, "invalid_scope", "grant_type=client_credentials&scope=root"),
    form_row("one scope too many", TOKEN, 400, "invalid_scope", "grant_type=client_credentials&scope=read+root"),
    form_row("two spaces", TOKEN, 400, "invalid_scope", "grant_type=client_credentials&scope=read++write"),
    form_row("a leading space", TOKEN, 400, "invalid_scope", "grant_type=client_credentials&scope=+read"),
    form_row("a quote in the scope", TOKEN, 400, "invalid_scope", "grant_type=client_credentials&scope=re%22ad"),
    form_row("an umlaut in the scope", TOKEN, 400, "invalid_scope", "grant_type=client_credentials&scope=r%C3%A4d"),
    form_row(
        "a line break in the scope", TOKEN, 400, "invalid_scope", "grant_type=client_credentials&scope=read%0Awrite"
    ),
    # A resource that "is invalid, missing, unknown, or malformed" is an invalid_target (RFC 8707 section 2).
    by_client(
        "an unknown resource",
        JWT.basic,
        400,
        "invalid_target",
        grant_type="client_credentials",
        resource="https://x.test",
    ),
    by_client("no URI", JWT.basic, 400, "invalid_target", grant_type="client_credentials", resource="x"),
    by_client(
        "with a fragment", JWT.basic, 400, "invalid_target", grant_type="client_credentials", resource=API + "#a"
    ),
    by_client("no audiences", OTHER.basic, 400, "invalid_target", grant_type="client_credentials", resource=API),
]

HTTP_ROWS = [
    *(
        Row(f"{name} at {path}", path, 415, "invalid_request", (*headers, AUTHENTIC), GOOD_FORM[path].encode())
        for path in ALL
        for name, headers in {
            "no content type": (),
            "an empty content type": ((b"content-type", b""),),
            "plain text": ((b"content-type", b"text/plain"),),
            "multipart": ((b"content-type", b"multipart/form-data; boundary=x"),),
            "XML": ((b"content-type", b"application/xml"),),
            "nonsense for a content type": ((b"content-type", b";;;\xff"),),
            "two content types": ((b"content-type", FORM), (b"content-type", FORM)),
            "two in one": ((b"content-type", FORM + b", " + FORM),),
            "almost a form": ((b"content-type", FORM + b"x"),),
        }.items()
    ),
    *(
        Row(f"JSON at {path}", path, 415, "invalid_request", ((b"content-type", JSON), AUTHENTIC), b'{"token":"x"}')
        for path in (TOKEN, REVOKE)
    ),
    *(
        Row(f"{name} at {path}", path, 413, "invalid_request", ((b"content-type", FORM), AUTHENTIC), body, chunked)
        for path in ALL
        for name, body, chunked in [
            ("a byte too many", b"a=" + b"x" * (KIB_64 - 1), False),
            ("a byte too many, in chunks", b"a=" + b"x" * (KIB_64 - 1), True),
            ("a megabyte", b"a=" + b"x" * 1024 * 1024, False),
            ("a megabyte, in chunks", b"a=" + b"x" * 1024 * 1024, True),
        ]
    ),
    *(
        header_row(f"{name} at {path}", path, *headers)
        for path in ALL
        for name, headers in {
            "bad base64": ((b"authorization", b"Basic !!!!"),),
            "base64 with white space": ((b"authorization", b"Basic YmFz aWM6eA=="),),
            "base64 cut short": ((b"authorization", b"Basic YmFzaWM6e"),),
            "nothing in base64": ((b"authorization", b"Basic "),),
            "no credentials": ((b"authorization", b"Basic"),),
            "an empty header": ((b"authorization", b""),),
            "no colon": ((b"authorization", b"Basic " + base64.b64encode(CANARY.encode())),),
            "no UTF-8": ((b"authorization", b"Basic " + base64.b64encode(b"basic:\xff\xfe")),),
            "escaped, no UTF-8": (basic("basic", "%ff%fe"),),
            "a NUL": ((b"authorization", b"Basic " + base64.b64encode(b"basic:\0")),),
            "an escaped NUL": (basic("basic", "%00" + CANARY),),
            "raw bytes": ((b"authorization", b"Basic \xff\xfe" + CANARY.encode()),),
            "a bearer token": ((b"authorization", b"Bearer " + CANARY.encode()),),
            "another scheme": ((b"authorization", b'Digest username="' + CANARY.encode() + b'"'),),
            "the good header twice": (AUTHENTIC, AUTHENTIC),
            "a good header and a bad one": (AUTHENTIC, basic("nobody", CANARY)),
            "a bad header and a good one": (basic("nobody", CANARY), AUTHENTIC),
            "a very long header": ((b"authorization", b"Basic " + b"QUFB" * 7_000),),
        }.items()
    ),
]

BODY_ROWS = [
    *(
        form_row(f"{name} at {path}", path, 400, "invalid_request", GOOD_FORM[path].encode() + more)
        for path in ALL
        for name, more in {
            "no UTF-8": b"&a=%ff%fe",
            "a raw byte": b"&a=\xff",
            "raw UTF-8": "&a=ü".encode(),
            "an overlong NUL": b"&a=%c0%80",
            "a surrogate": b"&a=%ed%a0%80",
            "half an escape": b"&a=%4",
            "no escape": b"&a=100%",
            "bad hex": b"&a=%zz",
            "a NUL": b"&a=%00",
            "a raw NUL": b"&a=\0",
            "a NUL in a name": b"&%00=a",
            "65 parameters": b"".join(b"&a%d=1" % number for number in range(64)),
            "a secret twice": b"&client_secret=a&client_secret=a",
            "an assertion without its type": b"&client_assertion=" + CANARY.encode(),
        }.items()
    ),
    *(
        form_row(f"no token at {path}", path, 400, "invalid_request", "token_type_hint=x")
        for path in (INTROSPECT, REVOKE)
    ),
    *(form_row(f"an empty token at {path}", path, 400, "invalid_request", "token=") for path in (INTROSPECT, REVOKE)),
    *(
        form_row(f"two tokens at {path}", path, 400, "invalid_request", "token=a&token=b")
        for path in (INTROSPECT, REVOKE)
    ),
    *(
        form_row(
            f"credentials in the URL at {path}",
            f"{path}?client_id={POST.id}&client_secret={POST.secret}",
            400,
            "invalid_request",
            GOOD_FORM[path],
            auth=False,
        )
        for path in ALL
    ),
    *(
        form_row(f"the token in the URL at {path}", f"{path}?token={CANARY}", 400, "invalid_request", "")
        for path in ALL
    ),
    *(
        Row(f"JSON: {name}", INTROSPECT, 400, "invalid_request", ((b"content-type", JSON), AUTHENTIC), body)
        for name, body in {
            "nothing": b"",
            "no JSON": b"{" + CANARY.encode(),
            "a list": b'["token"]',
            "a text": b'"token"',
            "null": b"null",
            "no token": b"{}",
            "the token is a number": b'{"token": 7}',
            "the token is null": b'{"token": null}',
            "the token is a list": b'{"token": ["x"]}',
            "the token twice": b'{"token": "x", "token": "y"}',
            "no UTF-8": b'{"token": "\xff"}',
            "a NUL": b'{"token": "\\u0000"}',
            "half a pair": b'{"token": "x", "client_id": "\\ud800"}',
            "NaN": b'{"token": NaN}',
            "UTF-16": '{"token": "x"}'.encode("utf-16"),
            "deep": b"[" * 60_000,
            "deep in the token": b'{"token": ' + b"[" * 60_000,
            "a very long number": b'{"token": ' + b"9" * 60_000 + b"}",
        }.items()
    ),
]

BAD_INPUT = [*RFC_6749_ROWS, *HTTP_ROWS, *BODY_ROWS]
