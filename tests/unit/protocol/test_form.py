"""Request bodies: what is read, what is refused, and that nothing else ever happens."""

import json
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.protocol.errors import ErrorCode, ProtocolError
from app.protocol.form import (
    BODY_LIMIT_BYTES,
    FORM_CONTENT_TYPE,
    JSON_CONTENT_TYPE,
    Parameters,
    media_type,
    parse_body,
    parse_form,
    parse_json,
    plain_value,
)

NAMES = ("grant_type", "scope", "token", "client_id", "client_secret", "a", "b", "ü")
# What urlencode can write and RFC 6749 appendix B can carry: no surrogates (no UTF-8), no NUL (refused).
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
FORM_LIKE = st.text("ab=&%+0fF;\0é", max_size=60).map(lambda text: text.encode())


def refusal(body: bytes, content_type: bytes | None = FORM_CONTENT_TYPE, *, allow_json: bool = True) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        parse_body(content_type, body, allow_json=allow_json)
    return raised.value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"a=1", {"a": "1"}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"&&a=1&&b=2&", {"a": "1", "b": "2"}),
        (b"a=1=2", {"a": "1=2"}),
        (b"a=b%3Dc", {"a": "b=c"}),
        (b"a=x+y", {"a": "x y"}),
        (b"a=x%20y", {"a": "x y"}),
        (b"a=x%2By", {"a": "x+y"}),
        (b"a=%C3%BC", {"a": "ü"}),
        (b"a=%c3%bc", {"a": "ü"}),
        (b"a=%25", {"a": "%"}),
        (b"a=%26b=2", {"a": "&b=2"}),
        (b"%61=1", {"a": "1"}),
        (b"a+b=1", {"a b": "1"}),
        (b"a=1;b=2", {"a": "1;b=2"}),  # the semicolon separates nothing
        # RFC 6749 section 3.2: "Parameters sent without a value MUST be treated as if they were omitted".
        (b"a", {}),
        (b"a=", {}),
        (b"a=&b=2", {"b": "2"}),
        (b"=1", {"": "1"}),
    ],
)
def test_a_form_is_read(body: bytes, expected: dict[str, str]) -> None:
    read = parse_form(body)
    assert {name: read.get(name) for name in expected} == expected
    assert repr(read) == f"Parameters({', '.join(sorted(expected))})"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a=1&a=2", "repeated_parameter"),
        (b"a=1&a=1", "repeated_parameter"),
        (b"a=1&%61=2", "repeated_parameter"),
        (b"a=&a=2", "repeated_parameter"),
        (b"a&a", "repeated_parameter"),
        (b"a=\0", "malformed_form"),
        (b"a=x%00y", "malformed_form"),
        (b"a=x+%00", "malformed_form"),
        (b"a\0=1", "malformed_form"),
        (b"a%00=1", "malformed_form"),
        (b"a=\xc3\xbc", "malformed_form"),
        (b"a=\xff", "malformed_form"),
        (b"a=+\xff", "malformed_form"),
        (b"a=%FF", "malformed_form"),
        (b"a=%C3", "malformed_form"),
        (b"a=%C0%80", "malformed_form"),  # NUL in overlong UTF-8
        (b"a=%ED%A0%80", "malformed_form"),  # a surrogate in UTF-8
        (b"%FF=1", "malformed_form"),
        (b"a=%", "malformed_form"),
        (b"a=%2", "malformed_form"),
        (b"a=%zz", "malformed_form"),
        (b"a=%u00fc", "malformed_form"),
        (b"&".join(b"p%d=1" % number for number in range(65)), "malformed_form"),
        (b"&".join(b"p%d=+" % number for number in range(65)), "malformed_form"),
        (b"&" * 64, "malformed_form"),
    ],
)
def test_a_form_is_refused(body: bytes, reason: str) -> None:
    refused = refusal(body)
    assert (refused.error, refused.status, refused.reason) == (ErrorCode.INVALID_REQUEST, 400, reason)


@pytest.mark.parametrize("value", [b"1", b"+"])
def test_64_parameters_are_read(value: bytes) -> None:
    assert parse_form(b"&".join(b"p%d=%s" % (number, value) for number in range(64))).get("p63")


def test_resource_may_repeat_and_keeps_its_order() -> None:
    read = parse_form(b"resource=https%3A%2F%2Fb&a=1&resource=https%3A%2F%2Fa&resource=")
    assert read.resources == ("https://b", "https://a")
    assert read.get("resource") is None
    assert parse_form(b"a=1").resources == ()


def test_a_missing_parameter_is_named() -> None:
    assert parse_form(b"a=1").require("a") == "1"
    with pytest.raises(ProtocolError) as raised:
        parse_form(b"token=").require("token")
    assert (raised.value.description, raised.value.reason) == ("the parameter token is missing", "missing_parameter")


def test_a_representation_shows_names_alone() -> None:
    assert "hunter2" not in repr(parse_form(b"client_secret=hunter2"))


@pytest.mark.parametrize(
    ("content_type", "allow_json", "status"),
    [
        (b"application/x-www-form-urlencoded", False, 200),
        (b"application/x-www-form-urlencoded; charset=UTF-8", False, 200),
        (b"Application/X-WWW-Form-URLencoded ;charset=utf-8", False, 200),
        (b"application/json", False, 415),
        (b"application/json", True, 400),  # read as JSON, and it is none
        (None, True, 415),
        (b"", True, 415),
        (b"text/plain", True, 415),
        (b"multipart/form-data; boundary=x", True, 415),
        (b"application/x-www-form-urlencoded, application/json", True, 415),  # two headers, joined
        (b"application/jsonp", True, 415),
        (b"\xff\0", True, 415),
    ],
)
def test_the_content_type_decides_how_a_body_is_read(content_type: bytes | None, allow_json: bool, status: int) -> None:
    if status == 200:
        assert parse_body(content_type, b"a=1", allow_json=allow_json).get("a") == "1"
    else:
        assert refusal(b"a=1", content_type, allow_json=allow_json).status == status


@pytest.mark.parametrize("content_type", [FORM_CONTENT_TYPE, JSON_CONTENT_TYPE, b"text/plain", None])
def test_a_body_over_the_limit_is_refused_unread(content_type: bytes | None) -> None:
    refused = refusal(b"a" * (BODY_LIMIT_BYTES + 1), content_type)
    assert (refused.status, refused.reason) == (413, "body_too_large")


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert parse_body(FORM_CONTENT_TYPE, b"a=" + b"x" * (BODY_LIMIT_BYTES - 2)).require("a")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{}", {}),
        ('{"token": "x"}', {"token": "x"}),
        ('  {"token" : "x" , "a":""}\n', {"token": "x"}),
        ('{"token": "\\u00fc\\ud83d\\ude00"}', {"token": "ü😀"}),
        ('{"token": "ü"}', {"token": "ü"}),
        ('{"token": "x%20+y"}', {"token": "x%20+y"}),  # JSON has escapes of its own
        ('{"token": "\\\\u0000"}', {"token": "\\u0000"}),
    ],
)
def test_a_json_object_is_read(body: str, expected: dict[str, str]) -> None:
    read = parse_json(body.encode())
    assert {name: read.get(name) for name in expected} == expected
    assert repr(read) == f"Parameters({', '.join(sorted(expected))})"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"token"',
        b"1",
        b"{",
        b'{"token": }',
        b"{'token': 'x'}",
        b'{"token": "x"} {}',
        b'\xef\xbb\xbf{"token": "x"}',
        b'{"token": "\xff"}',
        b'{"token": "a\0b"}',
        b'{"token": "a\nb"}',
        '{"token": "x"}'.encode("utf-16"),
        b'{"token": null}',
        b'{"token": 1}',
        b'{"token": true}',
        b'{"token": NaN}',
        b'{"token": -Infinity}',
        b'{"token": ["x"]}',
        b'{"token": {"a": "x"}}',
        b'{"token": ' + b"9" * 5000 + b"}",
        b'{"token": 1e99999}',
        b'{"token": ' + b"[" * 60_000 + b"}",
        b'{"token": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 65_000,
    ],
)
def test_json_that_is_no_object_of_strings_is_refused(body: bytes) -> None:
    refused = refusal(body, JSON_CONTENT_TYPE)
    assert (refused.error, refused.status, refused.reason) == (ErrorCode.INVALID_REQUEST, 400, "malformed_json")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"token": "x", "token": "x"}', "repeated_parameter"),
        (b'{"token": "x", "\\u0074oken": "y"}', "repeated_parameter"),
        (b'{"token": "a\\u0000b"}', "malformed_form"),
        (b'{"a\\u0000": "b"}', "malformed_form"),
        (b"{" + b",".join(b'"p%d": "x"' % number for number in range(65)) + b"}", "malformed_json"),
    ],
)
def test_json_obeys_the_rules_of_forms(body: bytes, reason: str) -> None:
    refused = refusal(body, JSON_CONTENT_TYPE)
    assert (refused.status, refused.reason) == (400, reason)


@pytest.mark.parametrize("name", ["token", "client_id", "client_secret", "client_assertion", "unknown"])
@pytest.mark.parametrize("value", ["\\ud800", "x\\udfff", "\\udc00\\ud800", "\\ud83d \\ude00"])
def test_half_a_surrogate_pair_is_no_text(name: str, value: str) -> None:
    """JSON can write what UTF-8 cannot; let in, it would blow up wherever a secret or token is hashed."""
    for body in (f'{{"{name}": "{value}"}}', f'{{"{value}": "{name}"}}'):
        assert refusal(body.encode(), JSON_CONTENT_TYPE).reason == "malformed_json"


def test_media_types_are_compared_without_parameters_and_case() -> None:
    assert media_type(b" Text/HTML ; charset=x; y=z") == b"text/html"
    assert media_type(b"") == b""


@given(st.one_of(st.binary(max_size=200), FORM_LIKE), st.sampled_from([FORM_CONTENT_TYPE, JSON_CONTENT_TYPE]))
@example(b'{"a":"\\ud800"}', JSON_CONTENT_TYPE)
def test_any_bytes_are_parameters_or_a_refusal(body: bytes, content_type: bytes) -> None:
    read = attempt(content_type, body)
    if isinstance(read, Parameters):
        assert_sound(read)
    else:
        assert read.error is ErrorCode.INVALID_REQUEST
        assert 400 <= read.status < 500


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(json_values | st.dictionaries(st.text(max_size=5), st.text(max_size=10)), st.booleans())
def test_any_json_is_parameters_or_a_refusal(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    read = attempt(JSON_CONTENT_TYPE, body)
    if isinstance(read, ProtocolError):
        assert read.status == 400
    else:
        assert isinstance(value, dict)
        assert_sound(read)
        assert all(read.get(name) == (text or None) for name, text in value.items() if name != "resource")


@given(st.dictionaries(st.sampled_from(NAMES) | TEXT, TEXT, max_size=10), st.lists(TEXT, max_size=3))
def test_what_was_encoded_is_read_back(single: dict[str, str], resources: list[str]) -> None:
    single.pop("resource", None)
    body = urlencode([*single.items(), *(("resource", value) for value in resources)]).encode()
    read = parse_form(body)
    assert {name: read.get(name) for name in single} == single
    assert read.resources == tuple(resources)


@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_every_character_may_be_percent_encoded(single: dict[str, str]) -> None:
    def encode(text: str) -> str:
        return "".join(f"%{byte:02x}" for byte in text.encode())

    single.pop("resource", None)
    read = parse_form("&".join(f"{encode(name)}={encode(value)}" for name, value in single.items()).encode())
    assert {name: read.get(name) for name in single} == single


@given(st.text(st.characters(codec="ascii", exclude_characters="%+\0"), max_size=60))
def test_the_quick_path_reads_what_the_general_path_reads(text: str) -> None:
    """A body without an escape takes the quick path; the same body with one superfluous escape the general one."""
    assert outcome(text.encode()) == outcome(f"{text}&{quote_plus('é')}=".encode())


@given(FORM_LIKE)
def test_a_form_that_is_read_has_the_values_that_the_standard_library_reads(body: bytes) -> None:
    read = attempt(FORM_CONTENT_TYPE, body)
    if isinstance(read, ProtocolError):
        return
    for name, value in parse_qsl(body.decode(), keep_blank_values=True, errors="strict"):
        assert read.get(name) == (value or None)


def attempt(content_type: bytes, body: bytes) -> Parameters | ProtocolError:
    try:
        return parse_body(content_type, body, allow_json=True)
    except ProtocolError as refused:
        return refused


def outcome(body: bytes) -> tuple[object, ...]:
    read = attempt(FORM_CONTENT_TYPE, body)
    if isinstance(read, ProtocolError):
        return read.status, read.reason
    return tuple(sorted(read._single.items())), read.resources


def assert_sound(read: Parameters) -> None:
    """Whatever was let in can be hashed, compared and looked up."""
    for text in (*read._single, *read._single.values(), *read.resources):
        assert "\0" not in text
        text.encode()


@given(st.one_of(st.binary(max_size=40), st.text(max_size=40).map(lambda text: b"token=" + text.encode("utf-8"))))
@example(b"token=")
@example(b"token=a&token=b")
@example(b"token=a%41")
@example(b"token=a+b")
@example(b"token=a\0")
@example(b"token=a=b")
def test_a_plain_value_is_what_the_form_says_and_nothing_else_is_plain(body: bytes) -> None:
    value = plain_value(body.removeprefix(b"token="))
    if value is not None and body.startswith(b"token="):
        parameters = parse_form(body)
        assert (parameters.get("token"), parameters.names, parameters.resources) == (value, {"token"}, ())
        assert not parameters.names_a_client


@given(st.text("ABCXYZabcxyz0189-._~", min_size=1, max_size=100))
def test_a_value_of_unreserved_characters_is_plain(value: str) -> None:
    assert plain_value(value.encode()) == value
