"""Documents that are the same for everybody: JWKS, metadata, health. Built once, answered as bytes."""

import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from app.endpoints.answers import JSON_NO_STORE, SECURITY_HEADERS
from app.endpoints.exchange import FixedHeaders, Headers, Request, Response

T = TypeVar("T")


class Document:
    """A JSON document with its ETag, and how long others may keep it."""

    __slots__ = ("_body", "_etag", "_headers", "_not_modified")

    def __init__(self, body: bytes, max_age_seconds: int, etag: bytes | None = None) -> None:
        self._body = body
        self._etag = etag or b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()
        caching: Headers = (
            (b"cache-control", b"public, max-age=%d" % max_age_seconds),
            (b"etag", self._etag),
        )
        self._headers = FixedHeaders(((b"content-type", b"application/json"), *caching, *SECURITY_HEADERS))
        self._not_modified = FixedHeaders((*caching, *SECURITY_HEADERS))

    def answer(self, request: Request) -> Response:
        """200 with the document, or 304 if the caller has it already (RFC 9110 section 13.1.2)."""
        known = request.if_none_match
        if known is not None and _matches(known, self._etag):
            return Response(304, b"", self._not_modified)
        return Response(200, self._body, self._headers)


def _matches(if_none_match: bytes, etag: bytes) -> bool:
    if if_none_match.strip() == b"*":
        return True
    return any(candidate.strip().removeprefix(b"W/") == etag for candidate in if_none_match.split(b","))


class DocumentEndpoint(Generic[T]):
    """Answers with a document made from something that seldom changes, and made anew when that is another object."""

    def __init__(self, source: Callable[[], T], build: Callable[[T], Document]) -> None:
        self._source = source
        self._build = build
        self._built: tuple[T, Document] | None = None

    async def handle(self, request: Request) -> Response:
        """The document of the moment."""
        source = self._source()
        built = self._built
        if built is None or built[0] is not source:
            built = self._built = (source, self._build(source))
        return built[1].answer(request)


class Readiness(msgspec.Struct, frozen=True):
    """Whether the process should get traffic, and why not."""

    status: str
    """``ready``, ``starting`` or ``draining``."""
    checks: dict[str, str]
    """``keys``: ok or missing; ``store``: ok, degraded or unreachable."""


class StoreHealth(msgspec.Struct, frozen=True):
    """The store as ``/health`` tells it."""

    kind: str
    degraded: bool


class Health(msgspec.Struct, frozen=True):
    """The answer of ``/health``."""

    status: str
    version: str
    store: StoreHealth


_LIVE = Response(200, b'{"status":"ok"}', JSON_NO_STORE)


class HealthEndpoints:
    """``/health``, ``/health/live`` and ``/health/ready``."""

    def __init__(self, health: Callable[[], Health], readiness: Callable[[], Readiness]) -> None:
        self._health = health
        self._readiness = readiness

    async def live(self, _request: Request) -> Response:
        """The event loop answers; nothing else is asked, so that a restart never hits a process that only waits."""
        return _LIVE

    async def ready(self, _request: Request) -> Response:
        """200 if the process should get traffic, else 503."""
        readiness = self._readiness()
        status = 200 if readiness.status == "ready" else 503
        return Response(status, msgspec.json.encode(readiness), JSON_NO_STORE)

    async def health(self, _request: Request) -> Response:
        """What runs, and on what: for people; always 200 as long as the process answers."""
        return Response(200, msgspec.json.encode(self._health()), JSON_NO_STORE)
