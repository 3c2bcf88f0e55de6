"""Making connections: TCP or TLS, credentials, database, and the server's greeting.

Rules:
- Everything here runs in background tasks, each step under one deadline.
- A server that must not be used (:mod:`app.storage.redis.greeting`) is refused: it is "not yet", never an answer.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from app.storage.interface import StoreError, StoreUnavailable
from app.storage.redis.errors import StoreRefused
from app.storage.redis.greeting import Greet
from app.storage.redis.link import RedisLink
from app.storage.redis_options import Address, Credentials, CredentialsReader, TlsFiles

Resolver = Callable[[], Awaitable[Address]]
"""Tells where the server to talk to is now. Raises StoreError where nobody knows."""


class Connector:
    """Makes ready connections to servers that share credentials, TLS and database."""

    def __init__(
        self,
        *,
        credentials: CredentialsReader,
        tls: TlsFiles | None,
        database: int,
        connect_seconds: float,
        deadline_seconds: float,
        greet: Greet | None = None,
        credentials_optional: bool = False,
    ) -> None:
        """``connect_seconds`` bounds the whole making of a connection, ``deadline_seconds`` each operation on it.

        ``greet`` is the last step of making one. With ``credentials_optional`` a server that knows no credentials is
        fine.
        """
        self._credentials = credentials
        self._tls = tls
        self._database = database
        self._connect_seconds = connect_seconds
        self._deadline_seconds = deadline_seconds
        self._greet = greet
        self._credentials_optional = credentials_optional

    async def connect(
        self,
        address: Address,
        on_lost: Callable[[RedisLink], None],
        on_message: Callable[[bytes, bytes], None] | None = None,
    ) -> RedisLink:
        """A connection ready for use. Raises StoreError, whatever goes wrong."""
        loop = asyncio.get_running_loop()
        link = RedisLink(loop, self._deadline_seconds, on_lost, on_message)
        try:
            async with asyncio.timeout(self._connect_seconds):
                await self._connect(loop, address, link)
                return link
        except TimeoutError:
            reason: StoreError = StoreUnavailable(f"no connection to Redis within {self._connect_seconds} s")
        except ssl.SSLCertVerificationError as error:
            reason = StoreUnavailable(f"Redis' certificate is not trusted: {error.verify_message}")
        except ssl.SSLError as error:
            reason = StoreUnavailable(f"TLS with Redis failed: {error.reason}")
        except OSError as error:
            reason = StoreUnavailable(f"Redis cannot be reached: {error.strerror or type(error).__name__}")
        except ValueError as error:  # a host name that cannot be one, for the resolver or for TLS
            reason = StoreUnavailable(f"Redis' address cannot be used: {type(error).__name__}")
        except StoreError as error:
            reason = error
        except asyncio.CancelledError:
            link.abort(StoreUnavailable("the store is closed"))
            raise
        link.abort(reason)
        raise reason

    async def _connect(self, loop: asyncio.AbstractEventLoop, address: Address, link: RedisLink) -> None:
        try:
            credentials = self._credentials()
        except (OSError, ValueError):
            raise StoreUnavailable("the credentials for Redis cannot be read") from None
        try:
            context = None if self._tls is None else self._tls.context()
        except OSError:
            raise StoreUnavailable("the certificates for Redis cannot be read") from None
        host, port = address
        await loop.create_connection(
            lambda: link, host, port, ssl=context, server_hostname=None if context is None else host
        )
        await self._authenticate(link, credentials)
        if self._database:
            await link.call("SELECT", self._database)
        if self._greet is not None:
            await self._greet(link)

    async def _authenticate(self, link: RedisLink, credentials: Credentials) -> None:
        if credentials.password is None:
            return
        user = () if credentials.username is None else (credentials.username,)
        try:
            await link.call("AUTH", *user, credentials.password)
        except StoreRefused:
            raise
        except StoreError:
            # A sentinel without a password of its own refuses the master's: whether it does is for the next command.
            if not self._credentials_optional:
                raise
