"""The endpoints wired as in the service, on a memory store and real keys: requests in, answers out, no server."""

import base64
import functools
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec

from app.clock import stopwatch
from app.endpoints.admission import Admission
from app.endpoints.argon2id import Argon2idVerifier
from app.endpoints.client_authentication import ClientAuthenticator
from app.endpoints.client_keys import ClientKeys
from app.endpoints.exchange import Request, Response
from app.endpoints.introspection import IntrospectionEndpoint
from app.endpoints.known_credentials import ProvedHere, VerifiedSecrets
from app.endpoints.limits import Limits, OwnLimiter
from app.endpoints.minting import Mint
from app.endpoints.revocation import RevocationEndpoint
from app.endpoints.signed_tokens import SignedTokens
from app.endpoints.token import TokenEndpoint
from app.grants import GRANTS
from app.grants.decision import Grant, TokenPolicy
from app.keys.algorithms import generate
from app.keys.document import RingDocument
from app.keys.jwt import Signer, sign_now
from app.keys.loading import build_ring
from app.keys.ring import KeyRing
from app.keys.threads import LowPriorityPool, signing_pool
from app.keys.writer import entry_for
from app.model.clients import AccessTokenFormat, Client, ClientAuthMethod, ClientSecret
from app.observability.audit import silent_audit
from app.observability.metrics import Metrics
from app.outgoing.fetching import Fetched, FetchError
from app.protocol.client_auth import sha256_secret
from app.protocol.form import FORM_CONTENT_TYPE
from app.protocol.metadata import INTROSPECTION_PATH, REVOCATION_PATH, TOKEN_PATH
from app.randomness import random_bytes
from app.ratelimit.failures import Failures
from app.storage.memory import MemoryStore
from app.web.edge import Edge
from app.web.routes import POST, Route, route_table

NOW = 1_800_000_000.75
"""Within a second, as every real instant is."""
ISSUER = "https://issuer.example"
API, OTHER_API = "https://api.example", "https://other.example"
FAMILY_MAX_SECONDS = 30 * 86_400
SIGNING_THREADS = 2
OPAQUE, JWT = AccessTokenFormat.OPAQUE, AccessTokenFormat.JWT


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@functools.cache
def key_ring() -> KeyRing:
    """One key for each of three algorithms, signing since the instant NOW."""
    keys = [entry_for(algorithm, generate(algorithm, 2048), NOW, NOW) for algorithm in ("ES256", "RS256", "EdDSA")]
    return build_ring(RingDocument(keys=tuple(keys)), None)


@functools.cache
def signing_threads() -> LowPriorityPool:
    return signing_pool(SIGNING_THREADS)


def generated(secret: str, not_after: float | None = None) -> ClientSecret:
    """A secret as a client's configuration keeps it."""
    return ClientSecret(sha256=sha256_secret(secret), not_after=not_after)


def signed_by_ring(
    claims: Mapping[str, object], typ: str, ring: KeyRing | None = None, algorithm: str = "ES256"
) -> str:
    """Any claims under any type, signed with this service's own key (or another ring's)."""
    return sign_now((ring or key_ring()).signing_key(algorithm, NOW), typ, msgspec.json.encode(claims))


def confidential(name: str, **members: Any) -> Client:
    """A client whose secret is ``secret of <name>``."""
    return msgspec.structs.replace(
        Client(name, secrets=(generated(f"secret of {name}"),), scopes=("read", "write"), audiences=(API, OTHER_API)),
        **members,
    )


def public(name: str, **members: Any) -> Client:
    return confidential(name, auth_method=ClientAuthMethod.NONE, secrets=(), **members)


def basic(name: str, secret: str | None = None) -> bytes:
    """The Authorization header of a client."""
    pair = f"{quote_plus(name)}:{quote_plus(f'secret of {name}' if secret is None else secret)}"
    return b"Basic " + base64.b64encode(pair.encode())


class Answer(msgspec.Struct, frozen=True):
    """A response, ready to be looked at."""

    status: int
    body: bytes
    headers: dict[bytes, bytes]

    @property
    def json(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.json["error"]


class Wired:
    """The three endpoints behind the edge."""

    def __init__(
        self,
        *clients: Client,
        store: MemoryStore | None = None,
        clock: Clock | None = None,
        ring: KeyRing | None = None,
        grants: Sequence[Grant] = GRANTS,
        grace_seconds: int = 0,
        algorithm: str = "ES256",
        per_minute: int = 0,
        failures_per_minute: int = 0,
    ) -> None:
        self.clock = clock or Clock()
        self.clients = {client.id: client for client in clients}
        self.store = store or MemoryStore(10_000, self.clock, alone=True)
        self.metrics = Metrics()
        self.audit = silent_audit()
        self.ring = ring or key_ring()
        self.hashed: list[str] = []
        """The argon2id strings that were verified, in order."""
        self.standings: list[tuple[bool, int]] = []
        """With each: whether its address had proved the secret before, and how often it had failed."""
        self.argon2id = Argon2idVerifier(signing_threads().executor)
        self.published: dict[str, bytes] = {}
        self.fetched: list[tuple[str, str, str | None]] = []
        self.limits = Limits(
            make_limiter=OwnLimiter,
            client_per_minute=per_minute,
            failures=Failures(failures_per_minute),
            metrics=self.metrics,
            audit=self.audit,
            monotonic=self.clock,
            stopwatch=stopwatch,
        )
        self.authenticator = ClientAuthenticator(
            find_client=self.clients.get,
            store=self.store,
            verify_argon2id=self._verify_argon2id,
            verified_secrets=VerifiedSecrets(random_bytes),
            proved_here=ProvedHere(random_bytes),
            assertion_audiences=(ISSUER, ISSUER + TOKEN_PATH),
            monotonic=self.clock,
            limits=self.limits,
            client_keys=ClientKeys(self.fetch, monotonic=self.clock, on_fetched=self.metrics.fetched),
        )
        signed_tokens = SignedTokens(lambda: self.ring, ISSUER, self.metrics.unknown_kid.inc)
        admission = Admission(self.authenticator, self.limits)
        shared: dict[str, Any] = {
            "admission": admission,
            "store": self.store,
            "now": self.clock,
        }
        self.token = TokenEndpoint(
            grants=grants,
            mint=Mint(
                issuer=ISSUER,
                access_token_algorithm=algorithm,
                signer=Signer(lambda: self.ring, signing_threads()),
                family_max_seconds=FAMILY_MAX_SECONDS,
                random_bytes=random_bytes,
            ),
            policy=TokenPolicy(ISSUER, grace_seconds),
            metrics=self.metrics,
            audit=self.audit,
            **shared,
        )
        self.introspection = IntrospectionEndpoint(
            find_client=self.clients.get, signed_tokens=signed_tokens, issuer=ISSUER, **shared
        )
        self.revocation = RevocationEndpoint(signed_tokens=signed_tokens, audit=self.audit, **shared)
        self.edge = Edge(
            metrics=self.metrics,
            audit=self.audit,
            random_bytes=random_bytes,
            stopwatch=stopwatch,
            count_malformed=lambda request, refusal: admission.count_malformed(request, refusal, self.clock()),
        )
        self.routes = route_table(
            Route(TOKEN_PATH, POST, self.token.handle, "issue"),
            Route(INTROSPECTION_PATH, POST, self.introspection.handle, "introspect"),
            Route(REVOCATION_PATH, POST, self.revocation.handle, "revoke"),
        )

    async def _verify_argon2id(self, phc: str, secret: str, address: str | None, known: bool, failures: int) -> bool:
        self.hashed.append(phc)
        self.standings.append((known, failures))
        return await self.argon2id.verify(phc, secret, address, known, failures)

    async def fetch(self, url: str, accept: str, traceparent: str | None) -> Fetched:
        """What is published under a URL: what the test has put there."""
        self.fetched.append((url, accept, traceparent))
        if url not in self.published:
            raise FetchError("refused", "the answer has the status 404")
        return Fetched(self.published[url], None)

    async def send(self, path: str, request: Request) -> Answer:
        """What the edge answers, at once or later."""
        answered = self.edge.answer(self.routes[path], request)
        response = answered if isinstance(answered, Response) else await answered
        return Answer(response.status, response.body, dict(response.headers))

    async def post(
        self, path: str, form: Mapping[str, object], client: str | None = "billing", **members: Any
    ) -> Answer:
        """Send a form as ``client``, by Basic; ``members`` are members of the request."""
        request = Request(
            "POST", urlencode(form, doseq=True).encode(), content_type=FORM_CONTENT_TYPE, request_id="r", **members
        )
        if client is not None and request.authorization is None:
            request.authorization = basic(client)
        return await self.send(path, request)

    async def issue(self, client: str = "billing", **parameters: object) -> dict[str, Any]:
        """The members of a successful token response for client credentials."""
        answer = await self.post(TOKEN_PATH, {"grant_type": "client_credentials", **parameters}, client)
        assert answer.status == 200, answer.body
        return answer.json

    async def refresh(self, refresh_token: str, client: str = "billing", **parameters: object) -> Answer:
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **parameters}
        return await self.post(TOKEN_PATH, form, client)

    async def introspect(self, token: str, client: str = "billing", **parameters: object) -> Answer:
        return await self.post(INTROSPECTION_PATH, {"token": token, **parameters}, client)

    async def revoke(self, token: str, client: str = "billing", **parameters: object) -> Answer:
        return await self.post(REVOCATION_PATH, {"token": token, **parameters}, client)

    async def is_active(self, token: str, client: str = "billing") -> bool:
        active = (await self.introspect(token, client)).json["active"]
        assert isinstance(active, bool)
        return active

    def sample(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 where it has no such series."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def wrote_nothing(self) -> bool:
        return set(self.store.held().values()) == {0}
