"""Authenticating the client of a request, the same steps at every endpoint.

1. The request uses exactly one method (``protocol.client_auth``).
2. The client exists, and the method is the one it is registered with.
3. What it presents is right: a secret by digest, an assertion by signature; and an assertion is used once only.

Every failure gets the same answer. Client ids are no secret; among clients with generated secrets an unknown client, a
wrong secret and a wrong method do the same work too. Clients with chosen secrets (argon2id) and with keys can be told
by the time that checking them takes; pretended work of that size would be a gift to whoever floods the service.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from app.endpoints.client_keys import ClientKeys, Keys
from app.endpoints.exchange import Proof, Request
from app.endpoints.limits import Limits
from app.endpoints.waiting_room import NoPlace
from app.model.clients import Client, ClientAuthMethod, ClientSecret
from app.protocol.client_assertion import SIGNED_BY_NONE, VerifiedAssertion, peek_subject, verify_assertion
from app.protocol.client_auth import (
    AssertionCredentials,
    PublicCredentials,
    SecretCredentials,
    generated_secret_ends,
    read_credentials,
)
from app.protocol.errors import ProtocolError, invalid_client
from app.protocol.form import Parameters
from app.randomness import RandomBytes
from app.storage.interface import TokenStore

FindClient = Callable[[str], Client | None]
VerifyArgon2id = Callable[[str, str, str | None], Awaitable[bool]]
"""(hash, secret, address) → whether they match; slow by design, so it does its work off the event loop.

Raises NoPlace where too many wait for that already.
"""


class VerifiedSecrets:
    """Remembers for a while which (client, secret) pairs were verified by argon2id, under a per-process keyed hash.

    So a client with a chosen secret pays the slow hash when it comes after a while, and not on every request. Each use
    begins the while anew: who guesses at a client that is at work cannot make it wait, not even from its own address.
    Neither the secret nor anything that could be tried against it elsewhere is kept.
    """

    def __init__(self, random_bytes: RandomBytes, max_entries: int = 10_000, seconds: float = 300.0) -> None:
        self._key = random_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._max_entries = max_entries
        self._seconds = seconds

    def _name(self, phc: str, secret: str) -> bytes:
        # The stored hash stands for the client and for the secret's version: a changed secret is a new name.
        return hmac.digest(self._key, hashlib.sha256(phc.encode()).digest() + secret.encode(), "sha256")

    def knows(self, phc: str, secret: str, now: float) -> bool:
        """Whether the pair was verified, or known, less than ``seconds`` ago; ``now`` is monotonic."""
        name = self._name(phc, secret)
        if self._until.get(name, 0.0) <= now:
            return False
        self._until[name] = now + self._seconds
        self._until.move_to_end(name)
        return True

    def remember(self, phc: str, secret: str, now: float) -> None:
        """Remember a verified pair."""
        name = self._name(phc, secret)
        self._until[name] = now + self._seconds
        self._until.move_to_end(name)
        if len(self._until) > self._max_entries:
            self._until.popitem(last=False)


class KnownCredentials:
    """Remembers which Authorization headers proved a generated secret, by their SHA-256.

    A client that was just authenticated sends the same header again with each request; to compare one digest of it is
    a third of the work, and where the connection knows the header, the proof comes with the request. What is remembered
    ends with the secret that it proved, and counts only as long as the client that it names is the very object that was
    loaded then: a reload makes it void. The header itself is not kept.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        self._known: dict[bytes, Proof] = {}
        self._max_entries = max_entries

    def find(self, authorization: bytes) -> Proof | None:
        """What the header proved before; whether that still counts is for the caller to see."""
        return self._known.get(hashlib.sha256(authorization).digest())

    def remember(self, authorization: bytes, client: Client, until: float) -> Proof:
        """Remember a header that proved a secret of the client's that lives until then (Unix seconds)."""
        name = hashlib.sha256(authorization).digest()
        if len(self._known) >= self._max_entries and name not in self._known:
            self._known.clear()  # of clients in use no entry is missed for long
        proof = self._known[name] = Proof(client, until)
        return proof


class ClientAuthenticator:
    """Finds out which client a request comes from, or refuses it."""

    def __init__(
        self,
        *,
        find_client: FindClient,
        store: TokenStore,
        verify_argon2id: VerifyArgon2id,
        verified_secrets: VerifiedSecrets,
        limits: Limits,
        client_keys: ClientKeys,
        assertion_audiences: tuple[str, ...],
        monotonic: Callable[[], float],
    ) -> None:
        self._find_client = find_client
        self._store = store
        self._verify_argon2id = verify_argon2id
        self._verified = verified_secrets
        self._limits = limits
        self._client_keys = client_keys
        self._audiences = assertion_audiences
        self._monotonic = monotonic
        self._known = KnownCredentials()

    def authenticate_again(self, request: Request, parameters: Parameters, now: float) -> Client | None:
        """The client of a request whose header has proved its secret before; None where it must be authenticated.

        ``now`` is Unix seconds.
        """
        if request.authorization is None or parameters.names_a_client:
            return None
        proof = request.proof
        if proof is None or not self._holds(proof, now):
            # Whoever carries one that is void since a reload finds what another request has proved since.
            proof = request.proof = self._known.find(request.authorization)
            if proof is None or not self._holds(proof, now):
                return None
        request.client_id = proof.client.id
        return proof.client

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

    async def use_up(self, assertion: VerifiedAssertion) -> None:
        """Take a verified assertion as used. Raises ProtocolError (``invalid_client``) if it is, or StoreError."""
        # Length-prefixed, so that no other pair of id and jti has the same name.
        name = f"{len(assertion.client_id)}:{assertion.client_id}{assertion.jti}"
        digest = hashlib.sha256(name.encode()).digest()
        if not await self._store.remember_once(digest, assertion.expires_at, assertion.client_id):
            raise invalid_client("assertion_replayed")

    async def _by_secret(self, request: Request, credentials: SecretCredentials, now: float) -> Client:
        client = self._find_client(credentials.client_id)
        secrets = client.live_secrets(now) if client is not None else ()
        proved = generated_secret_ends(credentials.secret, secrets)
        # Asked of a client that is none, too: nobody shall tell by the time which clients exist.
        matches = proved is not None or await self._matches_chosen_secret(request, client, credentials.secret, secrets)
        if client is None:
            raise invalid_client("unknown_client")
        request.client_id = client.id
        if not matches:
            raise invalid_client("wrong_secret")
        _require_method(client, credentials.method)
        if proved is not None and credentials.method is ClientAuthMethod.CLIENT_SECRET_BASIC:
            assert request.authorization is not None  # noqa: S101 - it is where the credentials came from
            request.proof = self._known.remember(request.authorization, client, proved)
        return client

    async def _matches_chosen_secret(
        self, request: Request, client: Client | None, secret: str, secrets: tuple[ClientSecret, ...]
    ) -> bool:
        chosen = [candidate.argon2id for candidate in secrets if candidate.argon2id is not None]
        if any(self._verified.knows(phc, secret, self._monotonic()) for phc in chosen):
            return True  # whatever others do: who was right a moment ago waits behind nobody's guesses
        for phc in chosen:
            assert client is not None  # noqa: S101 - narrows the type: who has secrets is one
            self._limits.before_slow_check(request, client)
            try:
                matches = await self._verify_argon2id(phc, secret, request.peer)
            except NoPlace:
                raise self._limits.no_place(request, client) from None
            self._limits.after_slow_check(request, client, matches)
            if matches:
                self._verified.remember(phc, secret, self._monotonic())
                return True
        return False

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
        _require_method(client, credentials.method)
        keys = await self._client_keys.of(client)
        try:
            return client, self._verified_assertion(credentials.assertion, client, keys, now)
        except ProtocolError as refusal:
            if refusal.reason != SIGNED_BY_NONE:
                raise
            newer = await self._client_keys.newer(client, keys)
            if newer is None:
                raise
        return client, self._verified_assertion(credentials.assertion, client, newer, now)

    def _verified_assertion(self, assertion: str, client: Client, keys: Keys, now: float) -> VerifiedAssertion:
        return verify_assertion(assertion, client_id=client.id, jwks=keys, audiences=self._audiences, now=now)

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


def _require_method(client: Client, method: ClientAuthMethod) -> None:
    """RFC 7591 section 2: the registered method is the only one, or a stronger one could be avoided."""
    if client.auth_method is not method:
        raise invalid_client("wrong_method")
