"""Documents that are the same for everybody: built once, cached by others, answered with 304 where that is enough."""

import msgspec
import pytest

from app.endpoints.documents import Document, DocumentEndpoint, Health, HealthEndpoints, Readiness, StoreHealth
from app.endpoints.exchange import Request, Response

pytestmark = pytest.mark.anyio

DOCUMENT = Document(b'{"keys":[]}', 300)
ETAG = dict(DOCUMENT.answer(Request("GET")).headers)[b"etag"]


def test_a_document_may_be_kept_for_as_long_as_it_says_by_anybody() -> None:
    answer = DOCUMENT.answer(Request("GET"))
    headers = dict(answer.headers)
    assert (answer.status, answer.body) == (200, b'{"keys":[]}')
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"cache-control"] == b"public, max-age=300"
    assert b"access-control-allow-origin" not in headers  # the edge's part, for the allowed origins
    assert headers[b"x-content-type-options"] == b"nosniff"


def test_the_entity_tag_is_that_of_the_content() -> None:
    assert ETAG.startswith(b'"')
    assert ETAG.endswith(b'"')
    assert dict(Document(b'{"keys":[]}', 1).answer(Request("GET")).headers)[b"etag"] == ETAG
    assert dict(Document(b"{}", 300).answer(Request("GET")).headers)[b"etag"] != ETAG
    assert dict(Document(b"{}", 300, b'"given"').answer(Request("GET")).headers)[b"etag"] == b'"given"'


@pytest.mark.parametrize(
    ("if_none_match", "status"),
    [
        (None, 200),
        (ETAG, 304),
        (b"W/" + ETAG, 304),  # RFC 9110 section 13.1.2: the weak comparison
        (b'"other", ' + ETAG, 304),
        (b'"other",W/' + ETAG + b' ,"x"', 304),
        (b"*", 304),
        (b" * ", 304),
        (b'"other"', 200),
        (ETAG.strip(b'"'), 200),
        (b"", 200),
        (b",", 200),
        (b"\xff", 200),
        (b"w/" + ETAG, 200),
    ],
)
def test_who_has_it_already_is_told_so(if_none_match: bytes | None, status: int) -> None:
    answer = DOCUMENT.answer(Request("GET", if_none_match=if_none_match))
    assert answer.status == status
    if status == 304:
        headers = dict(answer.headers)
        assert answer.body == b""
        assert b"content-type" not in headers
        # RFC 9110 section 15.4.5: what a 200 would have said of caching.
        assert headers[b"etag"] == ETAG
        assert headers[b"cache-control"] == b"public, max-age=300"


async def test_a_document_is_made_anew_when_its_source_is_another_object() -> None:
    sources: list[tuple[str, ...]] = [("a",)]
    made: list[tuple[str, ...]] = []

    def build(source: tuple[str, ...]) -> Document:
        made.append(source)
        return Document(msgspec.json.encode(source), 1)

    endpoint = DocumentEndpoint(lambda: sources[-1], build)
    for source, bodies in ((None, [b'["a"]'] * 2), (("b",), [b'["b"]'] * 2), (tuple("b"), [b'["b"]'])):
        if source is not None:
            sources.append(source)
        assert [(await endpoint.handle(Request("GET"))).body for _ in bodies] == bodies
    assert made == [("a",), ("b",), ("b",)]


def health(status: str = "ok", readiness: str = "ready") -> HealthEndpoints:
    return HealthEndpoints(
        lambda: Health(status, "1.2.3", StoreHealth("memory", degraded=status == "degraded")),
        lambda: Readiness(readiness, {"keys": "ok", "store": "ok"}),
    )


def body(answer: Response) -> object:
    assert dict(answer.headers)[b"cache-control"] == b"no-store"
    return msgspec.json.decode(answer.body)


@pytest.mark.parametrize(("readiness", "status"), [("ready", 200), ("starting", 503), ("draining", 503)])
async def test_readiness_is_the_answer_of_the_moment(readiness: str, status: int) -> None:
    answer = await health(readiness=readiness).ready(Request("GET"))
    assert answer.status == status
    assert body(answer) == {"status": readiness, "checks": {"keys": "ok", "store": "ok"}}


@pytest.mark.parametrize("status", ["ok", "degraded"])
async def test_health_is_for_people_and_liveness_asks_nothing(status: str) -> None:
    endpoints = health(status, readiness="draining")
    answer = await endpoints.health(Request("GET"))
    assert answer.status == 200
    store = {"kind": "memory", "degraded": status == "degraded"}
    assert body(answer) == {"status": status, "version": "1.2.3", "store": store}
    live = await endpoints.live(Request("GET"))
    assert (live.status, body(live)) == (200, {"status": "ok"})
