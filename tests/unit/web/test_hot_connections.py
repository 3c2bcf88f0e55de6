"""A connection answers in order, reads no further than it must, and ends as HTTP has it, in each mode."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from http.client import HTTPResponse
from io import BytesIO
from types import FunctionType, ModuleType
from typing import Any

import msgspec
import pytest
import uvicorn
from uvicorn.server import ServerState

from app.clock import stopwatch
from app.endpoints.exchange import Request, Response
from app.observability.audit import silent_audit
from app.observability.metrics import Metrics
from app.protocol.form import BODY_LIMIT_BYTES
from app.randomness import random_bytes
from app.web.asgi import HotRoutes, Message, Receive, Send
from app.web.connections import REQUEST_SECONDS, WAITING, Connection
from app.web.edge import Edge
from app.web.hot_connections import HotConnection, HotTable
from app.web.routes import GET, POST, Route, route_table

pytestmark = pytest.mark.anyio

PEER = ("192.0.2.7", 4711)
BOUND_SECONDS = 5.0


class Transport(asyncio.Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__({"peername": PEER, "sockname": ("192.0.2.1", 80)})
        self.written = b""
        self.closed = asyncio.Event()
        self.reads = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed.is_set(), "written after the end"
        self.written += bytes(data)

    def close(self) -> None:
        self.closed.set()

    def abort(self) -> None:
        self.closed.set()

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Answer:
    """One response of those on a connection."""

    def __init__(self, stream: BytesIO, method: str) -> None:
        class Socket:
            def makefile(self, _mode: str) -> Any:
                return stream

        stream.close = lambda: None  # type: ignore[method-assign]  # HTTPResponse closes what it has read
        response = HTTPResponse(Socket(), method=method)  # type: ignore[arg-type]
        response.begin()
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read().decode()


class Client:
    """A client on a connection of the service: what it sends is fed to the connection, and no socket is needed."""

    def __init__(self, carrier: str, keep_alive_seconds: float = 60, request_seconds: float = REQUEST_SECONDS) -> None:
        self.saw: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        edge = Edge(metrics=Metrics(), audit=silent_audit(), random_bytes=random_bytes, stopwatch=stopwatch)
        routes = route_table(Route("/hot", POST, self._endpoint), Route("/doc", GET, self._document))
        application = HotRoutes(edge, routes, self._cold)
        config = uvicorn.Config(application, ws="none", lifespan="off", log_config=None, access_log=False)
        config.load()
        config.timeout_keep_alive = keep_alive_seconds  # type: ignore[assignment]
        self.state = ServerState()
        made: Any = {"config": config, "server_state": self.state, "app_state": {}, "random_bytes": random_bytes}
        made["request_seconds"] = request_seconds
        hot = HotTable(edge, {path.encode(): route for path, route in routes.items()})
        self.connection = HotConnection(**made, hot=hot) if carrier == "protocol" else Connection(**made)
        self.transport = Transport()
        self.connection.connection_made(self.transport)

    async def _endpoint(self, request: Request) -> Response:
        body = request.body.decode()
        self.saw.append(body[:20])
        if body in self.gates:
            await asyncio.ensure_future(self.gates[body].wait())
            self.saw.append(f"{body}, done")
        return Response(200, b"hot " + request.body[:20], ())

    async def _document(self, request: Request) -> Response:
        self.saw.append("document")
        return Response(200, b"document", ())

    async def _cold(self, scope: Message, receive: Receive, send: Send) -> None:
        self.saw.append(scope["path"])
        if scope["path"] != "/unread":
            await receive()
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"cold"})

    def hold(self, body: str) -> asyncio.Event:
        """Let the endpoint wait for this event when it gets this body."""
        return self.gates.setdefault(body, asyncio.Event())

    def send(self, *data: bytes) -> None:
        for each in data:
            self.connection.data_received(each)

    async def received(self, count: int, method: str = "GET") -> list[Answer]:
        """So many answers, and nothing else."""
        await self.until(lambda: self.transport.written.count(b"HTTP/1.1 ") >= count)
        await self.rest()
        stream = BytesIO(self.transport.written)
        answers = [Answer(stream, method) for _ in range(count)]
        assert stream.read() == b""
        return answers

    async def rest(self) -> None:
        """Let everything happen that waits for nothing from outside."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def becomes(self, condition: Callable[[], bool]) -> None:
        """Wait for what takes time."""
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError(f"it did not happen; sent was {self.transport.written[-500:]!r}")


def post(body: str = "x", *fields: str, target: str = "/hot", version: str = "1.1", method: str = "POST") -> bytes:
    lines = [f"{method} {target} HTTP/{version}", "host: x", f"content-length: {len(body)}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def chunked(*pieces: str, trailer: str = "") -> bytes:
    head = b"POST /hot HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece.encode()) for piece in pieces)
    return head + chunks + b"0\r\n" + trailer.encode() + b"\r\n"


COLD = post("c", target="/cold")


@pytest.fixture(params=["protocol", "asgi"])
async def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)


def bodies(answers: list[Answer]) -> list[str]:
    return [answer.body for answer in answers]


async def test_a_hot_answer_that_waits_for_nothing_leaves_at_once() -> None:
    client = Client("protocol")
    client.send(post("a"))
    assert client.transport.written.endswith(b"hot a")
    assert client.state.tasks == set()
    assert client.state.total_requests == 1


async def test_hot_and_cold_requests_are_answered_in_order(client: Client) -> None:
    gate = client.hold("b")
    client.send(post("a") + post("b") + COLD + post("d") + post("e", target="/hot?q=1") + post("f"))
    await client.rest()
    assert client.transport.written.count(b"HTTP/1.1 ") == 1  # nothing overtakes what waits
    gate.set()
    assert bodies(await client.received(6)) == ["hot a", "hot b", "cold", "hot d", "hot e", "hot f"]
    assert not client.transport.closed.is_set()


async def test_a_request_that_comes_while_another_waits_has_its_turn_after_it(client: Client) -> None:
    gate = client.hold("slow")
    for request in (post("slow"), post("b"), COLD):
        client.send(request)
        await client.rest()
    assert (client.saw, client.transport.written) == (["slow"], b"")
    gate.set()
    assert bodies(await client.received(3)) == ["hot slow", "hot b", "cold"]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_what_comes_in_pieces_is_one_request(client: Client, size: int) -> None:
    everything = post("first") + chunked("sec", "ond", trailer="x-request-id: trailing\r\n") + COLD + post("last")
    for start in range(0, len(everything), size):
        client.send(everything[start : start + size])
        await asyncio.sleep(0)
    answers = await client.received(4)
    assert bodies(answers) == ["hot first", "hot second", "cold", "hot last"]
    assert answers[1].headers["x-request-id"] != "trailing"


TOKEN = "canary-of-a-token-longer-than-what-is-echoed"
CREDENTIALS = "canary-of-credentials"


def held_by(connection: Connection) -> list[str]:
    """Every text and every bytes that a connection leads to, but by way of the program itself."""
    found: list[str] = []
    seen: set[int] = set()
    waiting: list[Any] = [connection]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType | asyncio.AbstractEventLoop | Client):
            continue
        seen.add(id(one))
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, bytes | bytearray):
            found.append(one.decode("latin-1"))
        elif isinstance(one, msgspec.Struct):  # of some of which the garbage collector knows nothing
            waiting += [getattr(one, name) for name in one.__struct_fields__]
        else:
            waiting += gc.get_referents(one)
    return found


def holds(connection: Connection, canary: str) -> bool:
    return any(canary in text for text in held_by(connection))


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("target", ["/hot", "/cold"])
@pytest.mark.parametrize("waits", [False, True])
async def test_a_connection_keeps_no_body_once_it_is_answered(
    client: Client, times: int, target: str, waits: bool
) -> None:
    body = f"token={TOKEN}"
    gate = client.hold(body)
    if not waits:
        gate.set()
    for count in range(1, times + 1):
        client.send(post(body, f"authorization: Basic {CREDENTIALS}", target=target))
        if waits and target == "/hot" and count == 1:
            await client.rest()
            assert holds(client.connection, TOKEN), "the look must find it where it is"
            gate.set()
        await client.received(count)
        assert not holds(client.connection, TOKEN)


async def test_a_body_that_the_application_never_read_is_not_kept(client: Client) -> None:
    client.send(post(f"token={TOKEN}", target="/unread"))
    await client.received(1)
    assert not holds(client.connection, TOKEN)


@pytest.mark.parametrize("target", ["/hot", "/cold"])
async def test_of_pipelined_requests_no_body_is_kept(client: Client, target: str) -> None:
    gate = client.hold("slow")
    client.send(post("slow") + post(f"token={TOKEN}", target=target) * (WAITING + 4))
    gate.set()
    await client.received(WAITING + 5)
    assert not holds(client.connection, TOKEN)


@pytest.mark.parametrize("carrier", ["protocol", "asgi"])
@pytest.mark.parametrize("target", ["/hot", "/cold"])
async def test_a_connection_that_is_silent_keeps_no_credentials(carrier: str, target: str) -> None:
    client = Client(carrier, request_seconds=0.02)
    for count in (1, 2, 3):
        client.send(post(TOKEN, f"authorization: Basic {CREDENTIALS}", target=target))
        await client.received(count)
    await in_time(client.becomes(lambda: not holds(client.connection, CREDENTIALS)))
    assert not client.transport.closed.is_set()
    assert client.connection.has_asked, "it is not taken for one that never asked"
    client.send(post("d", f"authorization: Basic {CREDENTIALS}", target=target))
    assert (await client.received(4))[-1].status in (200, 404)


async def test_many_requests_at_once_leave_room_for_others() -> None:
    client = Client("protocol")
    client.send(post("a") * 1000)
    assert client.transport.written.count(b"HTTP/1.1 ") <= WAITING
    assert len(await client.received(1000)) == 1000


async def test_who_does_not_read_is_answered_no_further(client: Client) -> None:
    client.connection.pause_writing()
    client.send(post("a") * 1000)
    await client.rest()
    assert len(client.saw) <= WAITING
    assert not client.transport.reads
    client.connection.resume_writing()
    await client.received(1000)
    assert client.transport.reads


@pytest.mark.parametrize("together", [True, False])
async def test_who_asks_is_told_to_go_on(client: Client, together: bool) -> None:
    request = post("a", "expect: 100-continue")
    head, body = request[:-1], request[-1:]
    if together:
        client.send(request)
    else:
        client.send(head)
        await client.until(lambda: client.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(body)
    await client.until(lambda: client.transport.written.endswith(b"hot a"))
    assert client.transport.written.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_an_older_client_is_not_told_to_go_on(client: Client) -> None:
    """RFC 9110 section 10.1.1."""
    client.send(post("a", "expect: 100-continue", version="1.0"))
    [answer] = await client.received(1)
    assert answer.body == "hot a"


async def test_who_announces_too_much_is_not_told_to_go_on(client: Client) -> None:
    head = f"POST /hot HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {BODY_LIMIT_BYTES + 1}\r\n\r\n"
    client.send(head.encode())
    [answer] = await client.received(1)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert client.transport.closed.is_set()


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_too_large_is_refused_once_and_nothing_after_it_is_read(client: Client, announced: bool) -> None:
    large = "y" * (BODY_LIMIT_BYTES + 1)
    client.send((post(large) if announced else chunked(*[large[:5000]] * 14)) + post("a"))
    [answer] = await client.received(1)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    client.send(post("b"))
    await client.rest()
    assert (client.saw, client.transport.closed.is_set()) == ([], True)


async def test_the_largest_body_is_taken(client: Client) -> None:
    client.send(post("y" * BODY_LIMIT_BYTES), chunked(*["z" * 1024] * 64))
    assert bodies(await client.received(2)) == ["hot " + "y" * 20, "hot " + "z" * 20]


@pytest.mark.parametrize("second", [post("b"), COLD], ids=["hot", "cold"])
@pytest.mark.parametrize("first", [post("a", "connection: close"), post("a", version="1.0")], ids=["close", "1.0"])
async def test_what_follows_the_last_request_is_not_looked_at(client: Client, first: bytes, second: bytes) -> None:
    """RFC 9112 section 9.6: a server must not process further requests after it."""
    client.send(first + second, second)
    [answer] = await client.received(1)
    assert (answer.body, answer.headers["connection"]) == ("hot a", "close")
    assert (client.saw, client.transport.closed.is_set()) == (["a"], True)


async def test_the_same_head_again_and_again_is_the_same_request_with_another_body(client: Client) -> None:
    gate = client.hold("w")
    for body in "abcwdef":
        client.send(post(body))
    gate.set()
    answers = await client.received(7)
    assert bodies(answers) == [f"hot {body}" for body in "abcwdef"]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 7


@pytest.mark.parametrize(("given", "ids"), [("mine", {"mine"}), ("not sane!", None)])
async def test_the_same_head_has_the_same_request_id_only_if_it_was_given_one(
    client: Client, given: str, ids: set[str] | None
) -> None:
    for _ in range(3):
        client.send(post("a", f"x-request-id: {given}"))
    found = {answer.headers["x-request-id"] for answer in await client.received(3)}
    assert found == ids if ids else len(found) == 3


async def test_each_request_of_the_same_head_has_the_id_that_it_was_given(client: Client) -> None:
    ids = [f"id-{number}" for number in range(8)] + ["id-no/8", "a", "", "not sane", "id-9, ", "id-8"]
    for number in ids:
        client.send(post("a", f"X-Request-Id: {number}", "x-y: 1"))
    given = [answer.headers["x-request-id"] for answer in await client.received(len(ids))]
    assert [found for found in given if len(found) != 32] == [*ids[:10], "id-8"]


async def test_a_value_that_would_end_its_line_is_for_the_parser(client: Client) -> None:
    """Of the length of the one before, and a header and the end of the head in it."""
    one, other = post("a", "x-request-id: 0123456789abcdef0123"), post("a", "x-request-id: a\r\ncontent-length: 0")
    assert len(one) == len(other)
    client.send(one, one, other)
    answers = await client.received(3)
    assert [answer.status for answer in answers] == [200, 200, 400], "two lengths are refused"
    assert client.transport.closed.is_set()


async def test_what_begins_like_the_head_before_may_be_another_request(client: Client) -> None:
    head, body = post("abc")[:-3], b"abc"
    client.send(head + body, head, body, head + body)  # known by now, also after one that came in pieces
    client.send(head[:-4] + b"\r\nx-y: 1\r\n\r\n" + body)  # longer
    client.send(head + b"ab", b"c" + head + body)  # a body and the next request overlap
    client.send(b"\r\n" + head + body)  # RFC 9112 section 2.2: an empty line before a request is ignored
    client.send(chunked("abc"), head + body, post("xyz", target="/cold"), head + body)
    assert bodies(await client.received(11)) == ["hot abc"] * 9 + ["cold", "hot abc"]


@pytest.mark.parametrize(
    ("before", "piece", "answers"),
    [
        (
            b"POST /hot HTTP/1.1\r\nX-Pad: ",
            b"GET /doc HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd",
            "document",
        ),
        (b"POST /hot HTTP/1.1\r\nHost: x\r\nX-Pa", b"d: 1\r\nContent-Length: 4\r\n\r\nabcd", None),
        (
            b"POST /hot HTTP/1.1\r\nHost: x\r\nContent-Length: 39\r\n\r\nab",  # the rest of it, and a request
            b"GET /nothing HTTP/1.1\r\nHost: y\r\nX-A: POST /hot HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd",
            None,
        ),
    ],
)
async def test_a_piece_that_did_not_begin_a_message_is_no_head(
    client: Client, before: bytes, piece: bytes, answers: str | None
) -> None:
    """The same bytes at the beginning of a message are what the parser makes of them."""
    client.send(before, piece)
    await client.rest()
    known = client.transport.written.count(b"HTTP/1.1 ")
    client.send(piece)
    last = (await client.received(known + 1))[-1]
    if answers is None:
        assert last.status == 400
        assert client.transport.closed.is_set()
    else:
        assert (last.status, last.body) == (200, answers)


async def test_a_head_is_not_known_inside_a_body(client: Client) -> None:
    request = post("abc")
    client.send(request, request)
    outer = post(request.decode() * 3)
    split = len(outer) - 3 * len(request)
    client.send(outer[:split], *[request] * 3, request)
    assert [answer.body[:8] for answer in await client.received(4)] == ["hot abc", "hot abc", "hot POST", "hot abc"]
    assert len(client.saw) == 4


async def test_a_known_head_waits_for_its_turn_and_for_its_reader(client: Client) -> None:
    client.send(post("a"), post("b"))
    await client.received(2)
    client.connection.pause_writing()
    for _ in range(5):
        client.send(post("c"))
    await client.rest()
    assert client.transport.written.count(b"HTTP/1.1 ") == 2
    client.connection.resume_writing()
    assert bodies(await client.received(7)) == ["hot a", "hot b", *["hot c"] * 5]
    client.connection.shutdown()
    client.send(post("d"))
    await client.received(7)


async def test_a_client_that_leaves_does_not_end_what_was_begun(client: Client) -> None:
    gate = client.hold("write")
    client.send(post("write") + post("never"))
    await client.rest()
    client.transport.close()
    client.connection.connection_lost(ConnectionResetError())
    gate.set()
    await client.until(lambda: not client.state.tasks)
    assert client.saw == ["write", "write, done"]
    assert (client.transport.written, client.state.connections) == (b"", set())


async def test_a_client_that_leaves_while_its_requests_wait_leaves_nothing_to_collect(client: Client) -> None:
    gate = client.hold("slow")
    client.send(post("slow") + COLD * WAITING)
    await client.rest()
    connection = weakref.ref(client.connection)
    gc.collect()
    gc.disable()
    try:
        client.transport.close()
        client.connection.connection_lost(ConnectionResetError())
        gate.set()
        await client.until(lambda: not client.state.tasks)
        await client.rest()
        del client.connection
        assert connection() is None
    finally:
        gc.enable()


async def test_a_client_that_leaves_amid_its_body_is_forgotten(client: Client) -> None:
    client.send(post("abc")[:-1])
    await client.rest()
    client.transport.close()
    client.connection.connection_lost(None)
    await client.until(lambda: not client.state.tasks)
    assert (client.saw, client.transport.written) == ([], b"")


async def test_at_shutdown_an_answer_that_waits_is_waited_for(client: Client) -> None:
    gate = client.hold("slow")
    client.send(post("slow"))
    await client.rest()
    client.connection.shutdown()
    await client.rest()
    assert len(client.state.tasks) == 1  # uvicorn waits for these
    assert not client.transport.closed.is_set()
    gate.set()
    [answer] = await client.received(1)
    assert (answer.body, answer.headers["connection"]) == ("hot slow", "close")
    assert client.transport.closed.is_set()
    await client.until(lambda: not client.state.tasks)


async def test_at_shutdown_a_body_that_still_comes_is_waited_for(client: Client) -> None:
    client.send(post("abc")[:-1])
    await client.rest()
    client.connection.shutdown()
    assert not client.transport.closed.is_set()
    client.send(b"c")
    [answer] = await client.received(1)
    assert (answer.body, answer.headers["connection"]) == ("hot abc", "close")


async def test_at_shutdown_a_connection_without_a_request_is_closed(client: Client) -> None:
    client.send(post("a"))
    await client.received(1)
    client.connection.shutdown()
    assert client.transport.closed.is_set()


async def test_who_has_asked_and_closed_its_side_is_answered(client: Client) -> None:
    gate = client.hold("slow")
    client.send(post("slow") + post("b"))
    assert client.connection.eof_received()  # the transport stays open
    gate.set()
    assert bodies(await client.received(2)) == ["hot slow", "hot b"]
    assert client.transport.closed.is_set()


async def test_who_closes_its_side_amid_a_request_is_not(client: Client) -> None:
    client.send(post("abc")[:-1])
    assert not client.connection.eof_received()


async def test_who_closes_its_side_and_has_its_answers_is_let_go(client: Client) -> None:
    client.send(post("a"))
    await client.received(1)
    assert not client.connection.eof_received()


async def test_head_has_no_body_and_options_says_what_is_allowed(client: Client) -> None:
    client.send(b"HEAD /doc HTTP/1.1\r\nhost: x\r\n\r\n")
    [head] = await client.received(1, method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "8", "")
    client.transport.written = b""
    client.send(post("", target="/hot", method="OPTIONS"))
    [options] = await client.received(1)
    assert (options.status, options.headers["allow"]) == (204, "POST, OPTIONS")
    assert "content-length" not in options.headers


FRAMED_TWICE = [
    "POST /hot HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /hot HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n0\r\n\r\n",
    "POST /hot HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "POST /hot HTTP/1.1\r\nhost: x\r\ncontent-length: 1, 2\r\n\r\nab",
    "POST /hot HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\na",
    "POST /hot HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\na",
    "POST /hot HTTP/1.1\r\nhost: x\r\ncontent-length: 0x1\r\n\r\na",
    "POST /hot HTTP/1.1\r\nhost: x\r\ncontent-length : 1\r\n\r\na",
    "POST /hot HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "POST /hot HTTP/1.1\r\nhost: x\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "POST /hot HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /hot HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "POST /hot HTTP/1.1\r\nhost: x\r\n transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\na",
    "POST /hot HTTP/1.1\nhost: x\ntransfer-encoding: chunked\n\n1;\n\na\n0\n\n",
    "POST /hot HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n\r\n",
    "POST /hot HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
]


@pytest.mark.parametrize("request_text", FRAMED_TWICE, ids=range(len(FRAMED_TWICE)))
async def test_what_others_could_frame_differently_is_refused_and_nothing_after_it_is_read(
    client: Client, request_text: str
) -> None:
    """Request smuggling (RFC 9112 section 11.2): one bad message, and no byte after it is a request."""
    client.send(post("before") + request_text.encode() + post("smuggled"))
    answers = await client.received(2)
    assert [answer.status for answer in answers] == [200, 400]
    assert client.transport.closed.is_set()
    assert "smuggled" not in client.saw


async def test_a_body_is_no_request(client: Client) -> None:
    inner = post("inner").decode()
    client.send(post(inner) + chunked(inner) + post("after"))
    assert [answer.body[:8] for answer in await client.received(3)] == ["hot POST", "hot POST", "hot afte"]


async def test_garbage_is_refused_after_the_answers_to_what_came_before(client: Client) -> None:
    gate = client.hold("slow")
    client.send(post("slow") + b"\0\1garbage")
    await client.rest()
    assert client.transport.written == b""
    gate.set()
    assert [answer.status for answer in await client.received(2)] == [200, 400]
    assert client.transport.closed.is_set()


@pytest.mark.parametrize("line", [b"POST /hot RTSP/1.1", b"POST  /hot  RTSP/1.0", b"SOURCE /cold ICE/1.1"])
@pytest.mark.parametrize("size", [1, 2, 5, 11, 1000])
async def test_another_protocol_is_refused_however_it_comes(client: Client, line: bytes, size: int) -> None:
    everything = post("before") + line + b"\r\nhost: x\r\ncontent-length: 5\r\n\r\ninner" + post("after")
    for start in range(0, len(everything), size):
        if not client.transport.closed.is_set():
            client.send(everything[start : start + size])
        await asyncio.sleep(0)
    answers = await client.received(2)
    assert [answer.status for answer in answers] == [200, 400]
    assert client.transport.closed.is_set()
    assert client.saw == ["before"]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_the_name_of_another_protocol_may_stand_elsewhere(client: Client, size: int) -> None:
    everything = post(" RTSP/1.0\n ICE/1.0", "user-agent: tool (RTSP/1.0 ICE/1.0)", "x-y: RTSP/1.0, ICE/1.1 too") + COLD
    for start in range(0, len(everything), size):
        client.send(everything[start : start + size])
        await asyncio.sleep(0)
    assert bodies(await client.received(2)) == ["hot  RTSP/1.0\n ICE/1.0", "cold"]


async def in_time(awaitable: Awaitable[Any]) -> None:
    await asyncio.wait_for(awaitable, BOUND_SECONDS)


@pytest.mark.parametrize("carrier", ["protocol", "asgi"])
@pytest.mark.parametrize("request_sent", [post("a"), COLD], ids=["hot", "cold"])
async def test_an_idle_connection_is_closed_in_time(carrier: str, request_sent: bytes) -> None:
    client = Client(carrier, keep_alive_seconds=0.05)
    client.send(request_sent)
    await client.received(1)
    assert not client.transport.closed.is_set()
    await in_time(client.transport.closed.wait())


@pytest.mark.parametrize("carrier", ["protocol", "asgi"])
async def test_a_connection_is_not_idle_while_it_waits_or_is_used(carrier: str) -> None:
    client = Client(carrier, keep_alive_seconds=0.05)
    loop = asyncio.get_running_loop()
    client.send(post("a"))
    gate = client.hold("slow")
    client.send(post("slow"))
    long_after: asyncio.Event = asyncio.Event()
    loop.call_later(0.15, long_after.set)
    await in_time(long_after.wait())
    assert not client.transport.closed.is_set()
    gate.set()
    await client.received(2)
    answered_at = loop.time()
    await in_time(client.transport.closed.wait())
    assert loop.time() - answered_at > 0.04
