"""The edge: what every request on a hot route gets, whatever its endpoint does."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.endpoints.answers import SECURITY_HEADERS, empty_answer, json_answer
from app.endpoints.exchange import Request, Response
from app.observability.audit import silent_audit
from app.observability.metrics import Metrics
from app.protocol.errors import invalid_client, invalid_grant, invalid_request, temporarily_unavailable
from app.protocol.form import too_large
from app.storage.interface import CorruptRecord, StoreFull, StoreUnavailable, UnsupportedRecordVersion
from app.web.edge import Edge
from app.web.routes import GET, POST, Endpoint, Route, route_table

pytestmark = pytest.mark.anyio

ORIGIN, OTHER_ORIGIN = b"https://app.example", b"https://evil.example"


class Behind:
    """An edge, and an endpoint behind it that does what the test says: now, or after a wait."""

    def __init__(self, *, origins: tuple[bytes, ...] = (), draining: bool = False) -> None:
        self.metrics = Metrics()
        seconds = itertools.count(step=0.0001)
        self.edge = Edge(
            metrics=self.metrics,
            audit=silent_audit(),
            random_bytes=lambda count: b"\x07" * count,
            stopwatch=lambda: next(seconds),
            allowed_origins=origins,
            is_draining=lambda: draining,
        )
        self.saw: list[Request] = []

    def endpoint(self, does: Response | BaseException, *, waits: bool) -> Endpoint:
        async def handle(request: Request) -> Response:
            self.saw.append(request)
            if waits:
                await asyncio.sleep(0)
            if isinstance(does, Response):
                return does
            raise does

        return handle

    async def answer(
        self,
        does: Response | BaseException,
        request: Request | None = None,
        *,
        waits: bool = False,
        operation: str | None = "issue",
        methods: tuple[str, ...] = POST,
        cors: bool = False,
    ) -> Response:
        route = Route("/oauth/token", methods, self.endpoint(does, waits=waits), operation, cors)
        request = request or Request("POST", request_id="given")
        answered = self.edge.answer(route, request)
        waited = not isinstance(answered, Response)
        assert waited is (waits and request.method in methods)
        return answered if isinstance(answered, Response) else await answered

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def requests(self, method: str, status: int) -> float:
        name = "http_server_request_duration_seconds_count"
        labels = {"http_request_method": method, "http_route": "/oauth/token", "http_response_status_code": str(status)}
        return self.sample(name, **labels)


# ------------------------------------------------------------------------------------------ the request's id


@pytest.mark.parametrize(
    ("given_id", "kept"),
    [
        (b"abc", True),
        (b"0af7651916cd43dd8448eb211c80319c", True),
        (b"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", True),
        (b"Root=1-67891233-abcdef012345678912345678", True),
        (b"a/b+c=:d_e.f", True),
        (b"a" * 128, True),
        (b"a" * 129, False),
        (b"", False),
        (b" ", False),
        (b"a b", False),
        (b"a\nb", False),
        (b"a\r\nset-cookie: x", False),
        (b"abc\n", False),
        (b"a\0", False),
        (b"\xc3\xbc", False),
        (b'a"b', False),
        (b"<script>", False),
        (b"${jndi:ldap}", False),
        (b"a,b", False),
        (None, False),
    ],
)
def test_a_sane_request_id_is_kept_and_any_other_replaced(given_id: bytes | None, kept: bool) -> None:
    made = Behind().edge.request_id(given_id)
    assert made == ((given_id or b"").decode() if kept else "07" * 16)


@given(st.binary(max_size=200))
def test_any_request_id_becomes_one_that_is_harmless_in_logs_and_headers(given_id: bytes) -> None:
    made = Behind().edge.request_id(given_id)
    assert 1 <= len(made) <= 128
    assert made.isascii()
    assert made.isprintable()
    assert not set(made) & set(" \"'\\<>,;{}$")


# ------------------------------------------------------------------------------------------ what comes of a request

OUTCOMES: list[tuple[Callable[[], Response | Exception], int, str, str | None]] = [
    (lambda: json_answer(b"{}"), 200, "ok", None),
    (lambda: Response(503, b"", ()), 503, "ok", None),
    (lambda: invalid_request("x", reason="r"), 400, "refused", "r"),
    (lambda: invalid_client("wrong_secret"), 401, "refused", "wrong_secret"),
    (lambda: temporarily_unavailable("lost_every_race"), 503, "error", "lost_every_race"),
    (lambda: StoreUnavailable("canary"), 503, "error", "store_unavailable"),
    (lambda: StoreFull("canary"), 503, "error", "store_full"),
    (lambda: UnsupportedRecordVersion("canary"), 503, "error", "store_record_version"),
    (lambda: CorruptRecord("canary"), 503, "error", "store_corrupt_record"),
    (lambda: RuntimeError("canary"), 500, "error", "server_error"),
    (lambda: UnicodeEncodeError("utf-8", "canary", 0, 1, "x"), 500, "error", "server_error"),
    (lambda: RecursionError("canary"), 500, "error", "server_error"),
    (lambda: TimeoutError("canary"), 500, "error", "server_error"),
]


@pytest.mark.parametrize(("does", "status", "outcome", "reason"), OUTCOMES)
@pytest.mark.parametrize("waits", [False, True])
async def test_everything_that_an_endpoint_does_becomes_a_response(
    does: Callable[[], Response | Exception],
    status: int,
    outcome: str,
    reason: str | None,
    *,
    waits: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    behind = Behind()
    done = does()
    answer = await behind.answer(done, waits=waits)
    assert answer.status == status
    headers = dict(answer.headers)
    assert len(headers) == len(answer.headers)
    assert headers[b"x-request-id"] == b"given"
    if isinstance(done, Exception):
        assert headers.items() >= dict(SECURITY_HEADERS).items()
        assert headers[b"cache-control"] == b"no-store"
        assert (b"retry-after" in headers) is (status == 503)
        assert b"canary" not in answer.body
        assert set(msgspec.json.decode(answer.body)) == {"error", "error_description"}
    assert behind.requests("POST", status) == 1
    name = "token_operation_duration_seconds_count"
    assert behind.sample(name, operation="issue", outcome=outcome) == 1
    if reason is None:
        assert caplog.records == []
    else:
        assert behind.sample("token_operation_failures_total", operation="issue", reason=reason) == 1
        assert_logged(caplog, status, reason)


def assert_logged(caplog: pytest.LogCaptureFixture, status: int, reason: str) -> None:
    """One line for what went wrong: information about clients, a warning for outages, the cause for our own faults."""
    (record,) = caplog.records
    level = {500: logging.ERROR, 503: logging.WARNING}.get(status, logging.INFO)
    assert (record.levelno, record.getMessage()) == (level, f"POST /oauth/token refused: {reason}")
    assert (record.__dict__["request_id"], record.__dict__["status"]) == ("given", status)
    assert (record.exc_info is not None) is (status == 500)


@pytest.mark.parametrize("waits", [False, True])
async def test_what_must_not_be_swallowed_is_not(waits: bool) -> None:
    for signal in (asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()):
        with pytest.raises(type(signal)):
            await Behind().answer(signal, waits=waits)


@pytest.mark.parametrize("outcome", ["inactive", "active"])
async def test_introspection_is_counted_by_what_its_endpoint_says(outcome: str) -> None:
    behind = Behind()
    await behind.answer(Response(200, b"{}", (), outcome=outcome), operation="introspect")
    assert behind.sample("token_operation_duration_seconds_count", operation="introspect", outcome=outcome) == 1


async def test_the_endpoint_may_say_what_the_request_counts_as() -> None:
    behind = Behind()

    async def handle(request: Request) -> Response:
        request.operation = "refresh"
        raise invalid_grant("x", reason="r")

    answered = behind.edge.answer(Route("/oauth/token", POST, handle, "issue"), Request("POST", request_id="r"))
    assert isinstance(answered, Response)
    assert behind.sample("token_operation_failures_total", operation="refresh", reason="r") == 1


async def test_documents_count_as_no_operation() -> None:
    behind = Behind()
    for does in (json_answer(b"{}"), StoreUnavailable("x")):
        await behind.answer(does, Request("GET", request_id="r"), operation=None, methods=GET)
    assert behind.requests("GET", 200) == behind.requests("GET", 503) == 1
    samples = {
        s.name: s
        for m in behind.metrics.registry.collect()
        for s in m.samples
        if s.name == "token_operation_failures_total"
    }
    assert samples == {}


async def test_a_request_can_be_refused_before_its_body_was_read() -> None:
    behind = Behind(draining=True)
    route = Route("/oauth/token", POST, behind.endpoint(empty_answer(), waits=False), "issue")
    answer = behind.edge.refuse(route, Request("POST", request_id="given"), too_large())
    assert answer.status == 413
    assert dict(answer.headers)[b"x-request-id"] == b"given"
    assert behind.saw == []
    assert behind.requests("POST", 413) == 1
    reason = {"operation": "issue", "reason": "body_too_large"}
    assert behind.sample("token_operation_failures_total", **reason) == 1


# ------------------------------------------------------------------------------------------ methods


@pytest.mark.parametrize(
    ("methods", "method", "status", "allow"),
    [
        (POST, "POST", 200, None),
        (POST, "GET", 405, b"POST"),
        (POST, "HEAD", 405, b"POST"),
        (POST, "PUT", 405, b"POST"),
        (POST, "post", 405, b"POST"),
        (POST, "OPTIONS", 204, b"POST, OPTIONS"),
        (GET, "GET", 200, None),
        (GET, "HEAD", 200, None),
        (GET, "POST", 405, b"GET, HEAD"),
        (GET, "OPTIONS", 204, b"GET, HEAD, OPTIONS"),
    ],
)
async def test_a_route_takes_its_methods_and_names_them(
    methods: tuple[str, ...], method: str, status: int, allow: bytes | None
) -> None:
    behind = Behind()
    answer = await behind.answer(json_answer(b"{}"), Request(method, request_id="r"), methods=methods)
    headers = dict(answer.headers)
    assert (answer.status, headers.get(b"allow")) == (status, allow)
    assert len(behind.saw) == (status == 200)
    assert headers.items() >= dict(SECURITY_HEADERS).items()
    assert (answer.body == b"") is (status == 204)
    # Neither is a token operation that was refused.
    assert behind.sample("token_operation_duration_seconds_count", operation="issue", outcome="refused") == 0


async def test_an_invented_method_makes_no_new_series() -> None:
    behind = Behind()
    for method in ("BREW", "post", "X" * 1000):
        assert (await behind.answer(json_answer(b"{}"), Request(method, request_id="r"))).status == 405
    assert behind.requests("_OTHER", 405) == 3


# ------------------------------------------------------------------------------------------ CORS and draining

EXPOSED = b"x-request-id, retry-after, www-authenticate, ratelimit, ratelimit-policy"


@pytest.mark.parametrize(
    ("origins", "cors", "origin", "method", "expected"),
    [
        ((), True, ORIGIN, "POST", {}),
        ((ORIGIN,), False, ORIGIN, "POST", {}),
        ((ORIGIN,), True, None, "POST", {b"vary": b"origin"}),
        ((ORIGIN,), True, OTHER_ORIGIN, "POST", {b"vary": b"origin"}),
        ((ORIGIN,), True, ORIGIN + b".evil.example", "POST", {b"vary": b"origin"}),
        ((ORIGIN,), True, ORIGIN.upper(), "POST", {b"vary": b"origin"}),
        ((ORIGIN,), True, b"null", "POST", {b"vary": b"origin"}),
        ((ORIGIN,), True, b"*", "POST", {b"vary": b"origin"}),
        (
            (OTHER_ORIGIN, ORIGIN),
            True,
            ORIGIN,
            "POST",
            {
                b"vary": b"origin",
                b"access-control-allow-origin": ORIGIN,
                b"access-control-expose-headers": EXPOSED,
            },
        ),
        ((ORIGIN,), True, OTHER_ORIGIN, "OPTIONS", {b"vary": b"origin"}),
        (
            (ORIGIN,),
            True,
            ORIGIN,
            "OPTIONS",
            {
                b"vary": b"origin",
                b"access-control-allow-origin": ORIGIN,
                b"access-control-expose-headers": EXPOSED,
                b"access-control-allow-methods": b"POST",
                b"access-control-allow-headers": b"authorization, content-type, x-request-id",
                b"access-control-max-age": b"600",
            },
        ),
    ],
)
async def test_cors_is_for_the_allowed_origins_alone(
    origins: tuple[bytes, ...], cors: bool, origin: bytes | None, method: str, expected: dict[bytes, bytes]
) -> None:
    for does in (json_answer(b"{}"), invalid_client("r"), StoreUnavailable("x")):
        request = Request(method, request_id="r", origin=origin)
        answer = await Behind(origins=origins).answer(does, request, cors=cors)
        seen = {n: v for n, v in answer.headers if n == b"vary" or n.startswith(b"access-control-")}
        assert seen == expected
        assert b"access-control-allow-credentials" not in dict(answer.headers)


@pytest.mark.parametrize("draining", [False, True])
async def test_while_draining_every_answer_ends_its_connection(draining: bool) -> None:
    behind = Behind(draining=draining)
    for does, method in ((json_answer(b"{}"), "POST"), (invalid_client("r"), "POST"), (empty_answer(), "GET")):
        answer = await behind.answer(does, Request(method, request_id="r"))
        assert ((b"connection", b"close") in answer.headers) is draining


async def test_a_shared_answer_is_not_changed_by_the_edge() -> None:
    shared = json_answer(b"{}")
    before = msgspec.structs.asdict(shared)
    behind = Behind(origins=(ORIGIN,), draining=True)
    first = await behind.answer(shared, Request("POST", request_id="one", origin=ORIGIN), cors=True)
    second = await behind.answer(shared, Request("POST", request_id="two"), cors=True)
    assert msgspec.structs.asdict(shared) == before
    assert dict(first.headers)[b"x-request-id"] == b"one"
    assert dict(second.headers)[b"x-request-id"] == b"two"


# ------------------------------------------------------------------------------------------ the table of routes


async def nothing(_request: Request) -> Response:
    return empty_answer()


def test_routes_are_found_by_their_path() -> None:
    one, two = Route("/one", GET, nothing), Route("/two", POST, nothing, "issue", cors=True)
    table: Any = route_table(one, two)
    assert table == {"/one": one, "/two": two}
    assert (one.allow, two.allow) == ("GET, HEAD", "POST")


def test_two_routes_with_one_path_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="same path"):
        route_table(Route("/one", GET, nothing), Route("/one", POST, nothing))


@pytest.mark.parametrize("is_https", [True, False])
async def test_strict_transport_security_is_for_https_issuers_alone(is_https: bool) -> None:
    async def endpoint(_request: Request) -> Response:
        return empty_answer()

    edge = Edge(metrics=Metrics(), audit=silent_audit(), random_bytes=bytes, stopwatch=lambda: 0.0, is_https=is_https)
    answered = edge.answer(Route("/x", POST, endpoint), Request("POST"))
    assert isinstance(answered, Response)
    assert ((b"strict-transport-security", b"max-age=63072000") in answered.headers) is is_https
