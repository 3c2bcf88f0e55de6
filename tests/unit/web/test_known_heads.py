"""A head that is known is what the parser would make of it: the same fields, or the parser is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.endpoints.exchange import Request
from app.model.clients import Client
from app.web.known_heads import KNOWN_BYTES, KnownHead, copy_request, known_head

ID = b"0af7651916cd43dd8448eb211c80319c"
PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BODY = b"token=abc"


def sent(*fields: tuple[bytes, bytes], body: bytes = BODY) -> bytes:
    lines = [b"POST /oauth/introspect HTTP/1.1", b"Host: x", *(b"%b: %b" % field for field in fields)]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def known(*fields: tuple[bytes, bytes], has_own_id: bool = True) -> KnownHead | None:
    request = Request("POST", BODY, request_id=ID.decode(), authorization=b"Basic x", traceparent=PARENT)
    return known_head(sent(*fields), request, [(name.lower(), value) for name, value in fields], has_own_id=has_own_id)


def read(head: KnownHead, data: bytes) -> Request | None:
    """What a connection makes of ``data`` by a known head."""
    request = copy_request(head.request)
    if len(data) != head.length or not data.startswith(head.head):
        return None
    if head.varying is not None and not head.varying.read(data, request):
        return None
    request.body = data[head.body_at :]
    return request


@pytest.mark.parametrize("order", [1, -1])
def test_another_id_and_another_parent_are_read_where_they_stand(order: int) -> None:
    fields = ((b"X-Request-Id", ID), (b"Accept", b"*/*"), (b"traceparent", PARENT))[::order]
    head = known(*fields)
    assert head is not None
    other_id, other_parent = ID[::-1], PARENT.replace(b"b7ad", b"0123")
    others = [
        (name, {b"X-Request-Id": other_id, b"traceparent": other_parent}.get(name, value)) for name, value in fields
    ]
    request = read(head, sent(*others, body=b"token=xyz"))
    assert request is not None
    assert (request.request_id, request.traceparent) == (other_id.decode(), other_parent)
    assert (request.body, request.authorization) == (b"token=xyz", b"Basic x")


@pytest.mark.parametrize(
    "value",
    [
        b"0af7651916cd43dd8448eb211c803\r\nA",
        b"0af7651916cd43dd\r\nx-y: 1\r\na: 2",
        b"0af7651916cd43dd8448eb211c80319\n",
        b"0af7651916cd43dd8448eb211c80319 ",
        b"0af7651916cd43dd8448eb211c80319\0",
        b"0af7651916cd43dd8448eb211c80319\xff",
        b"0af7651916cd43dd8448eb211c80319,",
        ID[:-1],
        ID + b"a",
    ],
)
@pytest.mark.parametrize("name", [b"x-request-id", b"traceparent"])
def test_a_value_of_another_form_is_for_the_parser(name: bytes, value: bytes) -> None:
    given_before = ID if name == b"x-request-id" else PARENT
    value = value if name == b"x-request-id" else PARENT[: -len(ID)] + value
    head = known((name, given_before), has_own_id=name == b"x-request-id")
    assert head is not None
    assert read(head, sent((name, given_before))) is not None
    assert read(head, sent((name, value))) is None


@given(st.binary(min_size=32, max_size=32))
def test_no_value_ends_its_line(value: bytes) -> None:
    head = known((b"x-request-id", ID))
    assert head is not None
    request = read(head, sent((b"x-request-id", value)))
    assert request is None or request.request_id == value.decode()
    assert request is None or not {"\r", "\n", " ", "\0"} & set(request.request_id)


@pytest.mark.parametrize(
    "fields",
    [
        [(b"x-request-id", ID), (b"x-request-id", ID)],
        [(b"x-request-id", b"not, sane")],
        [(b"a", b"x-request-id: " + ID)],
    ],
)
def test_what_cannot_be_told_apart_is_known_byte_for_byte(fields: list[tuple[bytes, bytes]]) -> None:
    head = known(*fields)
    assert head is not None
    assert head.varying is None
    assert read(head, sent(*fields)) is not None


def test_what_varies_is_at_its_own_field_and_not_where_its_value_stands_first() -> None:
    fields = ((b"x-other", ID), (b"x-request-id", ID))
    head = known(*fields)
    assert head is not None
    assert read(head, sent((b"x-other", ID[::-1]), (b"x-request-id", ID))) is None
    request = read(head, sent((b"x-other", ID), (b"x-request-id", ID[::-1])))
    assert request is not None
    assert request.request_id == ID[::-1].decode()


def test_what_stands_behind_a_value_that_varies_is_compared() -> None:
    head = known((b"x-request-id", ID), (b"authorization", b"Basic YQ=="))
    assert head is not None
    assert read(head, sent((b"x-request-id", ID), (b"authorization", b"Basic Yg=="))) is None


def test_a_long_request_and_one_that_came_in_chunks_or_with_others_are_not_known() -> None:
    request = Request("POST", BODY)
    assert known_head(sent(), request, [], has_own_id=False) is not None
    assert known_head(sent() + b"x", request, [], has_own_id=False) is None
    assert known_head(b"\r\n" + sent(), request, [], has_own_id=False) is None
    long = (b"x", b"y" * KNOWN_BYTES)
    assert known_head(sent(long), request, [long], has_own_id=False) is None


def test_only_what_a_head_says_is_kept_of_a_request() -> None:
    """What an endpoint found out about one request is not told of the next."""
    request = Request("POST", BODY, client_id="billing", operation="refresh", named="billing")
    head = known_head(sent(), request, [], has_own_id=False)
    assert head is not None
    assert head.request == Request("POST")
    assert head.request.span is None
    assert Client("billing") not in [getattr(head.request, name) for name in head.request.__struct_fields__]
