"""Authenticating the client of a request, the same steps at every endpoint.

1. The request uses exactly one method (``protocol.client_auth``).
2. Its address is not in the delay that failures at this client bring, nor beyond its bound over all clients, or has
   proved this very secret before. Secrets of the generated form are excepted: nobody guesses 256 random bits. What
   comes in a delay is not even compared.
3. The client exists, and the method is the one it is registered with.
4. What it presents is right: a secret by digest, an assertion by signature; and an assertion is used once only.

Every failure gets the same answer. Client ids are no secret; among clients with generated secrets an unknown client, a
wrong secret and a wrong method do the same work too. Clients with chosen secrets (argon2id) and with keys can be told
by the time that checking them takes; pretended work of that size would be a gift to whoever floods the service.
"""

import hashlib
from collections.abc import Awaitable, Callable

from app.endpoints.client_keys import ClientKeys, Keys
from app.endpoints.exchange import Proof, Request
from app.endpoints.known_credentials import KnownCredentials, ProvedHere, UsedAssertions, VerifiedSecrets
from app.endpoints.limits import Limits
from app.endpoints.waiting_room import NoPlace
from app.model.clients import Client, ClientAuthMethod, ClientSecret
from app.protocol.client_assertion import SIGNED_BY_NONE, VerifiedAssertion, peek_subject, verify_assertion
from app.protocol.client_auth import (
    AssertionCredentials,
    PublicCredentials,
    SecretCredentials,
    generated_secret_ends,
    looks_generated,
    read_basic,
    read_credentials,
)
from app.protocol.errors import ProtocolError, invalid_client
from app.protocol.form import NO_PARAMETERS, Parameters
from app.storage.interface import TokenStore

_ASSERTION = ""
"""Stands for a secret where a key has been proved; no secret is empty."""

FindClient = Callable[[str], Client | None]
VerifyArgon2id = Callable[[str, str, str | None, bool, int], Awaitable[bool]]
"""(hash, secret, address, whether it proved that secret before, its failures in a row) → whether secret and hash match;
slow by design, so it does its work off the event loop.

Raises NoPlace where too many wait for that already.
"""


class ClientAuthenticator:
    """Finds out which client a request comes from, or refuses it."""

    def __init__(
        self,
        *,
        find_client: FindClient,
        store: TokenStore,
        verify_argon2id: VerifyArgon2id,
        verified_secrets: VerifiedSecrets,
        proved_here: ProvedHere,
        limits: Limits,
        client_keys: ClientKeys,
        assertion_audiences: tuple[str, ...],
        monotonic: Callable[[], float],
    ) -> None:
        self._find_client = find_client
        self._store = store
        self._verify_argon2id = verify_argon2id
        self._verified = verified_secrets
        self._proved_here = proved_here
        self._limits = limits
        self._client_keys = client_keys
        self._audiences = assertion_audiences
        self._monotonic = monotonic
        self._known = KnownCredentials()
        self._used = UsedAssertions()

    def authenticate_again(self, request: Request, parameters: Parameters, now: float) -> Client | None:
        """The client of a request whose header has proved its secret before; None where it must be authenticated.

        ``now`` is Unix seconds.
        """
        if request.authorization is None or parameters.names_a_client:
            return None
        proof = request.proof
        if proof is None or not self._holds(proof, now):
            # Whoever carries one that is void since a reload finds what another request has proved since.
            proof = self._known.find(request.authorization, request.peer)
            if proof is None or not self._holds(proof, now):
                return None
            if not proof.everywhere and not self._limits.may_try_in_delay(request, proof.client.id):
                return None  # one of too many guesses that come from where it was proved
            request.proof = proof
        request.client_id = proof.client.id
        return proof.client

    def authenticate_by_header(self, request: Request, now: float) -> Client | None:
        """The client that a request's header proves by itself and at once; None where it proves none.

        For requests that are refused whoever sent them. Nothing that might be guessed is compared here: an answer that
        differs would tell a guesser more than the delay allows, at the real client's own address too. So only secrets
        of the generated form prove anything. ``now`` is Unix seconds.
        """
        if request.authorization is None:
            return None
        try:
            given = read_basic(request.authorization)
        except ProtocolError:
            return None
        if not looks_generated(given.secret):
            return None
        client = self.authenticate_again(request, NO_PARAMETERS, now)
        if client is not None:
            return client
        client = self._find_client(given.client_id)
        secrets = client.live_secrets(now) if client is not None else ()
        proved = generated_secret_ends(given.secret, secrets)
        if (
            client is None
            or client.auth_method is not given.method
            or not (proved is not None or self._is_remembered(given.secret, secrets))
        ):
            request.named = given.client_id
            return None
        request.client_id = client.id
        if proved is not None:
            request.proof = self._known.remember(
                request.authorization, client, proved, peer=request.peer, everywhere=True
            )
        return client

    def _holds(self, proof: Proof, now: float) -> bool:
        return now < proof.until and self._find_client(proof.client.id) is proof.client

    async def authenticate(
        self, request: Request, parameters: Parameters, now: float
    ) -> tuple[Client, VerifiedAssertion | None]:
        """The authenticated client, and the assertion that :meth:`use_up` must still accept; None for other methods.

        ``now`` is Unix seconds. A client that exists is noted in the request, authenticated or not. Raises
        ProtocolError (``invalid_client``, ``invalid_request``).
        """
        credentials = read_credentials(request.authorization, parameters)
        request.named = credentials.client_id or ""
        if isinstance(credentials, SecretCredentials):
            return await self._by_secret(request, credentials, now), None
        if isinstance(credentials, AssertionCredentials):
            return await self._by_assertion(request, credentials, now)
        return self._by_id(request, credentials), None

    async def use_up(self, request: Request, assertion: VerifiedAssertion) -> None:
        """Take a verified assertion as used. Raises ProtocolError (``invalid_client``) if it is, or StoreError."""
        digest = _one_time_name(assertion)
        is_first = await self._store.remember_once(digest, assertion.expires_at, assertion.client_id)
        self._used.note(digest)
        if not is_first:
            raise invalid_client("assertion_replayed")
        # Not before: whoever has found a used one has proved nothing.
        self._proved_here.note(request.peer, assertion.client_id, _ASSERTION, self._monotonic())

    async def _by_secret(self, request: Request, credentials: SecretCredentials, now: float) -> Client:
        secret, is_generated = credentials.secret, looks_generated(credentials.secret)
        client = self._find_client(credentials.client_id)
        if client is not None:
            request.client_id = client.id
        if not is_generated:
            self._refuse_in_delay(request, secret)
        secrets = client.live_secrets(now) if client is not None else ()
        proved = generated_secret_ends(secret, secrets)
        # Asked of a client that is none, too: nobody shall tell by the time which clients exist.
        matches = proved is not None or await self._matches_chosen_secret(request, client, secret, secrets)
        if client is None:
            raise invalid_client("unknown_client")
        if not matches:
            raise invalid_client("wrong_secret")
        _require_method(client, credentials.method)
        if not is_generated or proved is None:
            self._proved_here.note(request.peer, client.id, secret, self._monotonic())
        if proved is not None and credentials.method is ClientAuthMethod.CLIENT_SECRET_BASIC:
            assert request.authorization is not None  # noqa: S101 - it is where the credentials came from
            request.proof = self._known.remember(
                request.authorization, client, proved, peer=request.peer, everywhere=is_generated
            )
        return client

    def _refuse_in_delay(self, request: Request, secret: str) -> None:
        """Raises ProtocolError (429) where the address may not try, unless it has proved this very secret before.

        Of secrets that were wrong so many are looked at for that, and none beyond: one is told from the others by it.
        """
        wait = self._limits.delay_of(request)
        if wait > 0 and not self._passes_in_delay(request, secret):
            raise self._limits.in_delay(request, wait)

    def _passes_in_delay(self, request: Request, secret: str) -> bool:
        if not self._limits.may_try_in_delay(request, request.named):
            return False
        if self._proved_here.knows(request.peer, request.named, secret, self._monotonic()):
            return True
        self._limits.tried_in_delay(request)
        return False

    def _refuse_unknown_signer(self, request: Request) -> None:
        """The same for assertions: the bound of the address over all clients counts for none, nor a number of tries."""
        wait = self._limits.delay_of(request, guessable=False)
        if wait > 0 and not self._proved_here.knows(request.peer, request.named, _ASSERTION, self._monotonic()):
            raise self._limits.in_delay(request, wait)

    async def _matches_chosen_secret(
        self, request: Request, client: Client | None, secret: str, secrets: tuple[ClientSecret, ...]
    ) -> bool:
        if self._is_remembered(secret, secrets):
            return True  # whatever others do: who was right a moment ago waits behind nobody's guesses
        for phc in _chosen(secrets):
            assert client is not None  # noqa: S101 - narrows the type: who has secrets is one
            self._refuse_in_delay(request, secret)  # which may have begun while the hash before was made
            try:
                known = self._proved_here.knows(request.peer, client.id, secret, self._monotonic())
                failures = self._limits.failures_in_a_row(request)
                matches = await self._verify_argon2id(phc, secret, request.peer, known, failures)
            except NoPlace:
                raise self._limits.no_place(request, client) from None
            if not known:  # others that were sent with it have failed meanwhile: together they are one guess
                self._refuse_in_delay(request, secret)
            self._limits.after_slow_check(request, client, matches)
            if matches:
                self._verified.remember(phc, secret, self._monotonic())
                return True
        return False

    def _is_remembered(self, secret: str, secrets: tuple[ClientSecret, ...]) -> bool:
        """Whether it was found to be one of those that are argon2id, a while ago at most."""
        return any(self._verified.knows(phc, secret, self._monotonic()) for phc in _chosen(secrets))

    async def _by_assertion(
        self, request: Request, credentials: AssertionCredentials, now: float
    ) -> tuple[Client, VerifiedAssertion]:
        subject = peek_subject(credentials.assertion)
        request.named = subject or ""
        if subject is None or (credentials.client_id is not None and credentials.client_id != subject):
            raise invalid_client("assertion_subject")
        client = self._find_client(subject)
        if client is None:
            raise invalid_client("unknown_client")
        request.client_id = client.id
        self._refuse_unknown_signer(request)
        _require_method(client, credentials.method)
        verified = await self._verified_assertion(credentials.assertion, client, now)
        if self._used.knows(_one_time_name(verified)):
            raise invalid_client("assertion_replayed")  # before it counts against the client, who did not send it
        return client, verified

    async def _verified_assertion(self, assertion: str, client: Client, now: float) -> VerifiedAssertion:
        keys = await self._client_keys.of(client)
        try:
            return self._verify(assertion, client, keys, now)
        except ProtocolError as refusal:
            if refusal.reason != SIGNED_BY_NONE:
                raise
            newer = await self._client_keys.newer(client, keys)
            if newer is None:
                raise
        return self._verify(assertion, client, newer, now)

    def _verify(self, assertion: str, client: Client, keys: Keys, now: float) -> VerifiedAssertion:
        return verify_assertion(assertion, client_id=client.id, keys=keys, audiences=self._audiences, now=now)

    def _by_id(self, request: Request, credentials: PublicCredentials) -> Client:
        client = self._find_client(credentials.client_id)
        if client is None:
            raise invalid_client("unknown_client")
        request.client_id = client.id
        _require_method(client, credentials.method)
        return client


def require_confidential(client: Client) -> None:
    """Refuse public clients (RFC 7662 section 2.1: introspection requires authorization). Raises ProtocolError."""
    if client.auth_method is ClientAuthMethod.NONE:
        raise invalid_client("public_client")


def _one_time_name(assertion: VerifiedAssertion) -> bytes:
    # Length-prefixed, so that no other pair of id and jti has the same name.
    return hashlib.sha256(f"{len(assertion.client_id)}:{assertion.client_id}{assertion.jti}".encode()).digest()


def _chosen(secrets: tuple[ClientSecret, ...]) -> list[str]:
    return [candidate.argon2id for candidate in secrets if candidate.argon2id is not None]


def _require_method(client: Client, method: ClientAuthMethod) -> None:
    """RFC 7591 section 2: the registered method is the only one, or a stronger one could be avoided."""
    if client.auth_method is not method:
        raise invalid_client("wrong_method")
