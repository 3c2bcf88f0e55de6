"""The network as outgoing requests see it: names are resolved here, and addresses judged before they are connected to.

Rules:
- The address that was judged is the one that is connected to: a name that resolves to something else a moment later
  (DNS rebinding) changes nothing.
- A name with one forbidden address is forbidden: which of several is taken is nobody's to choose.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

import httpcore

from app.outgoing.addresses import Address, Network, why_forbidden
from app.outgoing.names import LookUpFailed, Resolve, SystemNames


class ForbiddenAddressError(Exception):
    """The host has an address that may not be reached; the message says of which kind, not which."""


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects where ``allowed`` and the public internet are."""

    def __init__(
        self,
        allowed: Sequence[Network],
        resolve: Resolve | None = None,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        """``resolve`` is the system's unless given; ``network`` makes the connections, to addresses alone."""
        self._allowed = allowed
        self._resolve = resolve or SystemNames()
        self._network = network or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first of the host's addresses that takes one.

        Raises ForbiddenAddressError; httpcore.ConnectError, httpcore.ConnectTimeout.
        """
        try:
            addresses = await self._resolve(host.strip("[]"), port)
        except LookUpFailed as failed:
            raise httpcore.ConnectError(str(failed)) from failed
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the host has no address") from error
        for text in addresses:
            kind = why_forbidden(_parse(text), self._allowed)
            if kind is not None:
                raise ForbiddenAddressError(f"the host has a {kind} address")
        failure: Exception = httpcore.ConnectError("the host has no address")
        for text in addresses:
            try:
                return await self._network.connect_tcp(text, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never. Raises ForbiddenAddressError."""
        raise ForbiddenAddressError(f"a socket of this machine is no host: {path!r}, {timeout}, {socket_options}")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


def _parse(text: str) -> Address:
    return ip_address(text)
