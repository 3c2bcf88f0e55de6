"""Hot routes over ASGI: from a scope and messages to a request, and from a response to messages."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from app.clock import stopwatch
from app.endpoints.exchange import Request, Response
from app.observability.audit import silent_audit
from app.observability.metrics import Metrics
from app.protocol.form import BODY_LIMIT_BYTES
from app.randomness import random_bytes
from app.web.asgi import HotRoutes, Message, Receive, Send
from app.web.edge import Edge
from app.web.outer import Outer, request_id_of
from app.web.routes import GET, POST, Route, route_table

pytestmark = pytest.mark.anyio


class Server:
    """What an ASGI server does around one application, for one request at a time."""

    def __init__(self, *, draining: bool = False) -> None:
        self.saw: list[Request] = []
        self.behind: list[Message] = []
        self.sent: list[Message] = []
        self.waits = False
        self.metrics = Metrics()
        self.edge = Edge(
            metrics=self.metrics,
            audit=silent_audit(),
            random_bytes=random_bytes,
            stopwatch=stopwatch,
            is_draining=lambda: draining,
        )
        self.routes = route_table(
            Route("/oauth/token", POST, self._endpoint, "issue"), Route("/jwks.json", GET, self._endpoint)
        )
        self.application: Any = HotRoutes(self.edge, self.routes, self._behind)
        self.outer = Outer(
            self._framework,
            edge=self.edge,
            metrics=self.metrics,
            stopwatch=stopwatch,
            is_draining=lambda: draining,
            hot=self.routes,
        )

    async def _endpoint(self, request: Request) -> Response:
        self.saw.append(request)
        if self.waits:
            await asyncio.sleep(0)
        return Response(304 if request.if_none_match else 200, b"" if request.if_none_match else b"hot", ())

    async def _behind(self, scope: Message, receive: Receive, send: Send) -> None:
        self.behind.append(scope)

    async def _framework(self, scope: Message, receive: Receive, send: Send) -> None:
        """A framework that has a header of its own mind."""
        self.behind.append(scope)
        headers = [(b"X-Frame-Options", b"SAMEORIGIN"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 418, "headers": headers})
        await send({"type": "http.response.body", "body": b"teapot"})

    async def send(
        self,
        path: str = "/oauth/token",
        *,
        method: str = "POST",
        body: Iterable[bytes | None] = (b"",),
        headers: Iterable[tuple[bytes, bytes]] = (),
        application: Any = None,
        **scope: Any,
    ) -> Response | None:
        """``body``: the pieces in which it comes; None for a client that goes away."""
        pieces = list(body)
        messages: list[Message] = [
            {"type": "http.disconnect"}
            if piece is None
            else {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
            for number, piece in enumerate(pieces, 1)
        ]
        self.sent = []

        async def receive() -> Message:
            return messages.pop(0)

        async def send(message: Message) -> None:
            self.sent.append(message)

        full = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": list(headers), **scope}
        await (application or self.application)(full, receive, send)
        self.unread = len(messages)
        if not self.sent:
            return None
        start, finish = self.sent
        assert (start["type"], finish["type"]) == ("http.response.start", "http.response.body")
        return Response(start["status"], finish["body"], tuple(start["headers"]))


async def test_a_request_is_read_from_scope_and_messages() -> None:
    server = Server()
    answer = await server.send(
        body=[b"grant_type", b"", b"=x"],
        client=("192.0.2.1", 1234),
        query_string=b"a=1",
        headers=[
            (b"host", b"ignored"),
            (b"authorization", b"Basic x"),
            (b"content-type", b"text/plain"),
            (b"content-length", b"12"),
            (b"accept", b"*/*"),
            (b"origin", b"https://app.example"),
            (b"x-request-id", b"given"),
        ],
    )
    assert server.saw == [
        Request(
            "POST",
            b"grant_type=x",
            "192.0.2.1",
            has_query=True,
            authorization=b"Basic x",
            content_type=b"text/plain",
            accept=b"*/*",
            origin=b"https://app.example",
            request_id="given",
            operation="issue",
        )
    ]
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"hot")
    assert dict(answer.headers) == {b"x-request-id": b"given", b"content-length": b"3"}


@pytest.mark.parametrize("scope", [{}, {"client": None}])
async def test_what_is_not_known_is_none(scope: dict[str, Any]) -> None:
    server = Server()
    await server.send(**scope)
    (request,) = server.saw
    assert (request.peer, request.authorization, request.content_type, request.has_query) == (None, None, None, False)
    assert len(request.request_id) == 32


@pytest.mark.parametrize("name", [b"authorization", b"content-type"])
async def test_a_repeated_header_is_not_one_of_its_values(name: bytes) -> None:
    """RFC 9110 section 5.3: a list; taking the first or the last is how two readers come to disagree."""
    server = Server()
    await server.send(headers=[(name, b"one"), (name, b"two"), (name, b"three")])
    (request,) = server.saw
    assert b"one, two, three" in (request.authorization, request.content_type)


@pytest.mark.parametrize("waits", [False, True])
async def test_an_answer_comes_at_once_or_later(waits: bool) -> None:
    server = Server()
    server.waits = waits
    answer = await server.send()
    assert answer is not None
    assert answer.body == b"hot"


async def test_a_304_has_no_length() -> None:
    answer = await Server().send("/jwks.json", method="GET", headers=[(b"if-none-match", b"*")])
    assert answer is not None
    assert answer.status == 304
    assert b"content-length" not in dict(answer.headers)


LIMIT = BODY_LIMIT_BYTES


@pytest.mark.parametrize(
    ("announced", "body", "status", "unread"),
    [
        (LIMIT, [b"x" * LIMIT], 200, 0),
        (None, [b"x" * (LIMIT - 1), b"x"], 200, 0),
        (LIMIT + 1, [b"x" * 10, b"x"], 413, 2),  # refused by its announcement, unread
        (10**30, [b""], 413, 1),
        (None, [b"x" * (LIMIT + 1)], 413, 0),
        (None, [b"x" * LIMIT, b"x", b"x", b"x"], 413, 2),  # and read no further than needed
    ],
)
async def test_a_body_is_read_up_to_the_limit(
    announced: int | None, body: list[bytes], status: int, unread: int
) -> None:
    server = Server()
    headers = [] if announced is None else [(b"content-length", b"%d" % announced)]
    answer = await server.send(body=body, headers=headers)
    assert answer is not None
    assert (answer.status, server.unread) == (status, unread)
    assert ((b"connection", b"close") in answer.headers) is (status == 413)
    assert len(server.saw) == (status == 200)


@pytest.mark.parametrize("body", [[None], [b"grant", None], [b"", b"", None]])
async def test_who_goes_away_gets_no_answer_and_starts_nothing(body: list[bytes | None]) -> None:
    server = Server()
    assert await server.send(body=body) is None
    assert server.saw == []


@pytest.mark.parametrize(
    ("path", "scope"),
    [("/", {}), ("/oauth/token/", {}), ("/OAUTH/TOKEN", {}), ("/oauth", {}), ("/oauth/token", {"type": "websocket"})],
)
async def test_everything_else_goes_behind(path: str, scope: dict[str, Any]) -> None:
    server = Server()
    assert await server.send(path, **scope) is None
    assert [scope["path"] for scope in server.behind] == [path]
    assert server.saw == []


async def test_the_lifespan_goes_behind() -> None:
    server = Server()
    await server.application({"type": "lifespan"}, None, None)
    assert server.behind == [{"type": "lifespan"}]


async def test_carried_methods_go_behind_and_others_do_not() -> None:
    server = Server()
    application = HotRoutes(server.edge, server.routes, server._behind, carried=frozenset({"POST"}))
    assert await server.send(application=application) is None
    answer = await server.send(method="BREW", application=application)
    assert answer is not None
    assert answer.status == 405
    assert len(server.behind) == 1


# ------------------------------------------------------------------------------------------ around the framework


@pytest.mark.parametrize("draining", [False, True])
async def test_what_the_framework_answers_gets_what_the_edge_would_add(draining: bool) -> None:
    server = Server(draining=draining)
    answer = await server.send("/other", application=server.outer, headers=[(b"x-request-id", b"given")])
    assert answer is not None
    headers = dict(answer.headers)
    assert (answer.status, answer.body) == (418, b"teapot")
    assert headers[b"x-request-id"] == b"given"
    assert headers[b"X-Frame-Options"] == b"SAMEORIGIN"
    assert b"x-frame-options" not in headers
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert (headers.get(b"connection") == b"close") is draining
    assert request_id_of(server.behind[0]) == "given"


async def test_no_path_and_no_invented_method_becomes_a_label() -> None:
    server = Server()
    for path, method in (("/a", "GET"), ("/b", "GET"), ("/b", "BREW")):
        await server.send(path, method=method, application=server.outer)
    name = "http_server_request_duration_seconds_count"
    for method, count in (("GET", 2), ("_OTHER", 1)):
        labels = {"http_request_method": method, "http_route": "other", "http_response_status_code": "418"}
        assert server.metrics.registry.get_sample_value(name, labels) == count


@pytest.mark.parametrize(
    "path", ["/oauth/token/", "//oauth/token", "/oauth//token", "/jwks.json/", "/-/", "/-/openapi", "/-/openapi.json"]
)
async def test_other_spellings_and_unserved_pages_are_nothing(path: str) -> None:
    server = Server()
    answer = await server.send(path, application=server.outer)
    assert answer is not None
    assert answer.status == 404
    assert b"x-request-id" in dict(answer.headers)
    assert server.behind == []


async def test_a_request_that_came_another_way_has_no_id() -> None:
    assert request_id_of({"type": "http"}) is None


@pytest.mark.parametrize(("carries", "ids"), [(True, 0), (False, 1)])
async def test_what_the_edge_does_is_not_done_twice(carries: bool, ids: int) -> None:
    server = Server()
    outer = Outer(
        server._framework,
        edge=server.edge,
        metrics=server.metrics,
        stopwatch=stopwatch,
        is_draining=lambda: False,
        hot=server.routes,
        carries=carries,
    )
    answer = await server.send("/oauth/token", application=outer)
    assert answer is not None
    assert sum(name == b"x-request-id" for name, _ in answer.headers) == ids
