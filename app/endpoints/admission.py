"""The first steps of every endpoint that clients call, the same for all, so that none can forget one.

1. Authenticate the client; nothing about tokens or grants is said before that. A failure counts against the address
   that it came from, and against nobody's limit.
2. Count the request against the client's limit.
   What is refused before, because it cannot be read, counts too: against the limit of the client that its header
   proves, else as a failure of the address that it came from, which delays there what might be guessed, and no more.
3. Use up the client's assertion, where it has one. Last, so that a refusal by the limit leaves it good for another try,
   and a client over its limit cannot fill the store with one-time values. One that was used before is a failure of its
   address; as far as this process knows of it, it does not count against the client.
"""

from collections.abc import Awaitable, Coroutine
from typing import Any

from app.endpoints.client_authentication import ClientAuthenticator
from app.endpoints.exchange import Request
from app.endpoints.limits import Limits
from app.model.clients import Client
from app.protocol.errors import ErrorCode, ProtocolError
from app.protocol.form import Parameters


class Admission:
    """Lets a client's request in, or refuses it."""

    def __init__(self, authenticator: ClientAuthenticator, limits: Limits) -> None:
        self._authenticator = authenticator
        self._limits = limits

    def admit_at_once(
        self, request: Request, parameters: Parameters, now: float
    ) -> "Client | Coroutine[Any, Any, Client]":
        """The client whose request it is where nothing has to be waited for, or found out anew; else what to await.

        ``now`` is Unix seconds. Raises ProtocolError, or StoreUnavailable where it is awaited.
        """
        client = self._authenticator.authenticate_again(request, parameters, now)
        if client is None:
            return self._admit_anew(request, parameters, now)
        waiting = self._limits.admit(request, client)
        return client if waiting is None else _after(waiting, client)

    async def admit(self, request: Request, parameters: Parameters, now: float) -> Client:
        """The client whose request it is; a public one has only named itself.

        ``now`` is Unix seconds. Raises ProtocolError or StoreUnavailable.
        """
        admission = self.admit_at_once(request, parameters, now)
        return admission if isinstance(admission, Client) else await admission

    def count_malformed(self, request: Request, refusal: ProtocolError, now: float) -> ProtocolError:
        """Count a request that was refused before its client was known; what to answer: the refusal, or 429.

        ``now`` is Unix seconds.
        """
        client = self._authenticator.authenticate_by_header(request, now)
        if client is None:
            return self._limits.failed(request, refusal)
        try:
            waiting = self._limits.admit(request, client)
        except ProtocolError as limited:
            return limited
        if waiting is not None:
            waiting.close()  # counted all the same: replicas that share the limit know of its end by the next request
        return refusal

    async def _admit_anew(self, request: Request, parameters: Parameters, now: float) -> Client:
        try:
            client, assertion = await self._authenticator.authenticate(request, parameters, now)
            waiting = self._limits.admit(request, client)
            if waiting is not None:
                await waiting
            if assertion is not None:
                await self._authenticator.use_up(request, assertion)
        except ProtocolError as refusal:
            if refusal.error is not ErrorCode.INVALID_CLIENT:
                raise
            answer = self._limits.failed(request, refusal)
            if answer is refusal:
                raise
            raise answer from refusal
        return client


async def _after(waiting: Awaitable[None], client: Client) -> Client:
    await waiting
    return client
