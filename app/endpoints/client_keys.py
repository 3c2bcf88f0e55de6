"""The keys that a client's assertions are verified with: registered (``jwks``), or fetched (``jwks_uri``).

Rules (for ``jwks_uri``, RFC 7591 section 2):
- Fetched when they are first needed, and kept for as long as the answer says, within bounds. Half-way through, the next
  request has them fetched again and does not wait for it.
- A signature that none of the kept keys made has them fetched anew: the client may have changed its keys. At most once
  in AGAIN_SECONDS, however many such signatures come, and from however many addresses.
- Who waits for the same document waits for one fetch.
- Where it cannot be fetched the keys of before count for STALE_SECONDS more: then nobody is let in by them.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from app.model.clients import Client, ClientKey
from app.observability.tracing import NOTHING_TRACED, Traces
from app.outgoing.fetching import Fetched, FetchError
from app.protocol.client_jwks import UnusableJwksError, parse_jwks
from app.protocol.errors import invalid_client

logger = logging.getLogger("app.service")

FRESH_SECONDS = 600.0
"""Where the answer does not say."""
SHORTEST_FRESH_SECONDS, LONGEST_FRESH_SECONDS = 60.0, 3600.0
AGAIN_SECONDS = 30.0
"""Between two fetches of one document at least, whatever asks for them; after a failure, AFTER_FAILURE_SECONDS."""
AFTER_FAILURE_SECONDS = 10.0
STALE_SECONDS = 3600.0
MAX_DOCUMENTS = 10_000

Keys = Sequence[ClientKey]
Fetch = Callable[[str, str, str | None], Awaitable[Fetched]]
"""(url, what to accept, the ``traceparent`` to send) → the document. Raises FetchError."""

_ACCEPT = "application/jwk-set+json, application/json"
_NEVER = float("-inf")


class _Document:
    """One published set, by the monotonic clock."""

    def __init__(self) -> None:
        self.keys: Keys = ()
        self.renew_at = _NEVER
        self.fresh_until = _NEVER
        self.usable_until = _NEVER
        self.not_before = _NEVER
        """When it may be fetched again."""
        self.failing = False
        self.fetch: asyncio.Task[None] | None = None


class ClientKeys:
    """Knows every client's keys."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        monotonic: Callable[[], float],
        on_fetched: Callable[[str], None] = lambda _result: None,
        traces: Traces = NOTHING_TRACED,
    ) -> None:
        """``on_fetched`` is told what came of each fetch: ``ok``, or the ``result`` of a FetchError."""
        self._fetch = fetch
        self._monotonic = monotonic
        self._on_fetched = on_fetched
        self._traces = traces
        self._documents: OrderedDict[str, _Document] = OrderedDict()

    async def of(self, client: Client) -> Keys:
        """The client's keys. Raises ProtocolError (``invalid_client``) where they are not to be had."""
        if client.jwks_uri is None:
            return client.jwks
        document = self._document(client.jwks_uri)
        now = self._monotonic()
        if now >= document.fresh_until:
            await self._renewed(client, document)
            now = self._monotonic()
        elif now >= document.renew_at and now >= document.not_before and document.fetch is None:
            self._start(client, document)
        if now >= document.usable_until:
            raise invalid_client("assertion_keys_unavailable")
        return document.keys

    async def newer(self, client: Client, keys: Keys) -> Keys | None:
        """The client's keys where they are others by now than ``keys``, which did not verify; else None."""
        if client.jwks_uri is None:
            return None
        document = self._document(client.jwks_uri)
        await self._renewed(client, document)
        return document.keys if document.keys != keys and self._monotonic() < document.usable_until else None

    def _document(self, uri: str) -> _Document:
        document = self._documents.get(uri)
        if document is None:
            document = self._documents[uri] = _Document()
            if len(self._documents) > MAX_DOCUMENTS:
                self._documents.popitem(last=False)
        return document

    async def _renewed(self, client: Client, document: _Document) -> None:
        """Wait for a fetch: the one under way, or a new one where there may be one."""
        if document.fetch is None:
            if self._monotonic() < document.not_before:
                return
            self._start(client, document)
        assert document.fetch is not None  # noqa: S101 - narrows the type
        # Who gives up waiting does not end it for the others.
        waiting = asyncio.shield(document.fetch)
        host = urlsplit(client.jwks_uri or "").hostname or ""
        attributes = {"http.request.method": "GET", "server.address": host}
        await self._traces.awaited("GET jwks_uri", attributes, _until(waiting), of_others=True)

    def _start(self, client: Client, document: _Document) -> None:
        span = self._traces.current
        traceparent = None if span is None else span.traceparent
        document.fetch = asyncio.get_running_loop().create_task(self._renew(client, document, traceparent))

    async def _renew(self, client: Client, document: _Document, traceparent: str | None) -> None:
        uri = client.jwks_uri or ""
        try:
            fetched = await self._fetch(uri, _ACCEPT, traceparent)
            keys = parse_jwks(fetched.body)
        except FetchError as error:
            self._failed(client, document, error.result, str(error))
        except UnusableJwksError as error:
            self._failed(client, document, "unusable", str(error))
        except Exception:
            self._failed(client, document, "unusable", "see the log")
            logger.exception("fetching a client's keys failed in a way that nobody thought of")
        else:
            self._on_fetched("ok")
            now = self._monotonic()
            given = FRESH_SECONDS if fetched.max_age_seconds is None else float(fetched.max_age_seconds)
            fresh = min(max(given, SHORTEST_FRESH_SECONDS), LONGEST_FRESH_SECONDS)
            document.keys = keys
            document.renew_at, document.fresh_until = now + fresh / 2, now + fresh
            document.usable_until = now + fresh + STALE_SECONDS
            document.not_before = now + AGAIN_SECONDS
            if document.failing:
                document.failing = False
                logger.info("the keys of client %r can be fetched again", client.id)
        finally:
            document.fetch = None

    def _failed(self, client: Client, document: _Document, result: str, why: str) -> None:
        self._on_fetched(result)
        document.not_before = self._monotonic() + AFTER_FAILURE_SECONDS
        if not document.failing:
            document.failing = True
            logger.warning(
                "the keys of client %r cannot be fetched from %s: %s",
                client.id,
                urlsplit(client.jwks_uri or "").hostname,
                why,
            )


async def _until(waiting: "asyncio.Future[None]") -> None:
    await waiting
