"""The one client for documents of others: ``https`` alone, guarded, small and soon.

Rules:
- Redirects are not followed, proxies of the environment are not used: each would undo the guard.
- Time, size and number are bounded, whoever answers and however slowly. A compressed answer is refused unread.
- Nothing is sent but the request: no cookie, no credential.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpcore
import msgspec

from app.outgoing.addresses import Network
from app.outgoing.guard import ForbiddenAddressError, GuardedNetwork
from app.outgoing.names import Resolve

FETCH_SECONDS = 5.0
"""For name, connection, TLS, request and answer together."""
MAX_BODY_BYTES = 128 * 1024
MAX_AT_ONCE = 8
LONGEST_URL = 2048
OK = 200


class FetchError(Exception):
    """Nothing was fetched. The message is for the log, ``result`` for metrics.

    ``forbidden`` by the guard; ``unreachable`` by network, name, TLS or time; ``refused`` by status; ``unusable`` for
    what was sent.
    """

    def __init__(self, result: str, message: str) -> None:
        super().__init__(message)
        self.result = result


class Fetched(msgspec.Struct, frozen=True):
    """An answer with status 200."""

    body: bytes
    max_age_seconds: int | None
    """How long the answer itself says it may be kept (RFC 9111 section 5.2.2.1); 0 for not at all."""


class Fetcher:
    """Fetches documents. One a process."""

    def __init__(
        self,
        *,
        allowed: Sequence[Network] = (),
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
        user_agent: str = "auth-service",
        seconds: float = FETCH_SECONDS,
    ) -> None:
        """``allowed`` networks may be reached though they are not public; ``ca_file``'s authorities are trusted beside
        the system's. Names are looked up by ``resolve``, or by the system.

        Raises OSError, ssl.SSLError if the file cannot be used.
        """
        self._context = ssl.create_default_context()
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca_file is not None:
            self._context.load_verify_locations(ca_file)
        self._network = GuardedNetwork(allowed, resolve)
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)
        self._user_agent = user_agent
        self._seconds = seconds

    async def get(self, url: str, accept: str, traceparent: str | None = None) -> Fetched:
        """The document at ``url``, which :func:`why_no_target` has nothing against.

        ``traceparent`` is sent along, where the request is made for one that is traced (W3C Trace Context section 3.2).
        Raises FetchError.
        """
        headers = {"host": urlsplit(url).netloc, "accept": accept, "accept-encoding": "identity"}
        headers |= {"user-agent": self._user_agent, "connection": "close"}
        if traceparent is not None:
            headers["traceparent"] = traceparent
        try:
            async with asyncio.timeout(self._seconds), self._at_once:
                return await self._get(url, headers)
        except TimeoutError:
            raise FetchError("unreachable", f"no whole answer within {self._seconds:g} s") from None
        except ForbiddenAddressError as error:
            raise FetchError(
                "forbidden", f"{error}: OUTGOING_ALLOWED_NETWORKS names those that may be reached"
            ) from None
        except httpcore.ProtocolError:
            raise FetchError("unusable", "the answer is not HTTP") from None
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError, ssl.SSLError) as error:
            raise FetchError("unreachable", _reason(error)) from None

    async def _get(self, url: str, headers: Mapping[str, str]) -> Fetched:
        # A pool for each: nothing of one answer can reach the next, and fetches are minutes apart.
        async with (
            httpcore.AsyncConnectionPool(self._context, network_backend=self._network, retries=0) as pool,
            pool.stream("GET", url, headers=[*headers.items()]) as answer,
        ):
            if answer.status != OK:
                # No redirect is followed either: it would be a target that nobody has registered.
                raise FetchError("refused", f"the answer has the status {answer.status}")
            fields = {name.lower(): value for name, value in answer.headers}
            if fields.get(b"content-encoding", b"identity").lower() != b"identity":
                raise FetchError("unusable", "the answer is compressed")
            body = b""
            async for part in answer.aiter_stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise FetchError("unusable", f"the answer is longer than {MAX_BODY_BYTES} bytes")
            return Fetched(body, max_age(fields.get(b"cache-control", b"")))


def why_no_target(url: str) -> str | None:
    """What is wrong with a URL that documents are to be fetched from; None if nothing is. It names no part of it."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or len(url) > LONGEST_URL:
        return f"is no URL of at most {LONGEST_URL} characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme != "https" or not parts.hostname:
        return "is no absolute https URL"
    if "@" in parts.netloc:
        return "contains a user name"
    if "#" in url:
        return "has a fragment"
    return "has the port 0" if port == 0 else None


def max_age(cache_control: bytes) -> int | None:
    """Seconds, from a Cache-Control field; None where it does not say."""
    for directive in cache_control.decode("latin-1").lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name in ("no-store", "no-cache"):
            return 0
        digits = value.strip().strip('"')
        if name == "max-age" and digits.isascii() and digits.isdigit() and len(digits) < 10:
            return int(digits)
    return None


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return "the host cannot be reached, or ended the connection" if not str(error) else f"the network says: {error}"
