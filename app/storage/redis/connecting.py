"""Making connections: TCP or TLS, credentials, database, and proof that the server is one to talk to.

Rules:
- Everything here runs in background tasks, each step under one deadline.
- A server that is a replica, or still loading, is refused: it is "not yet", never an answer.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from app.storage.interface import StoreError, StoreUnavailable
from app.storage.redis.link import RedisLink
from app.storage.redis.options import Address, Credentials, CredentialsReader, TlsFiles

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
        greet: Callable[[RedisLink], Awaitable[None]],
    ) -> None:
        """``connect_seconds`` bounds the whole making of a connection, ``deadline_seconds`` each operation on it.

        ``greet`` is the last step of making one; it may raise StoreError.
        """
        self._credentials = credentials
        self._tls = tls
        self._database = database
        self._connect_seconds = connect_seconds
        self._deadline_seconds = deadline_seconds
        self._greet = greet

    async def connect(
        self,
        address: Address,
        on_lost: Callable[[RedisLink], None],
        *,
        on_message: Callable[[bytes, bytes], None] | None = None,
        must_be_master: bool = True,
    ) -> RedisLink:
        """A connection ready for use. Raises StoreError, whatever goes wrong."""
        loop = asyncio.get_running_loop()
        link = RedisLink(loop, self._deadline_seconds, on_lost, on_message)
        try:
            async with asyncio.timeout(self._connect_seconds):
                await self._connect(loop, address, link, must_be_master=must_be_master)
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

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, address: Address, link: RedisLink, *, must_be_master: bool
    ) -> None:
        credentials = self._credentials()
        context = None if self._tls is None else self._tls.context()
        host, port = address
        await loop.create_connection(
            lambda: link, host, port, ssl=context, server_hostname=None if context is None else host
        )
        await self._introduce(link, credentials, must_be_master=must_be_master)

    async def _introduce(self, link: RedisLink, credentials: Credentials, *, must_be_master: bool) -> None:
        if credentials.password is not None:
            user = () if credentials.username is None else (credentials.username,)
            await link.call("AUTH", *user, credentials.password)
        if self._database:
            await link.call("SELECT", self._database)
        if must_be_master:
            role = await link.call("ROLE")
            if role[0] != b"master":
                raise StoreUnavailable("Redis is a replica; the service writes and needs the master")
            await self._greet(link)
