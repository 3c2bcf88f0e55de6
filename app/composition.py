"""The only place where objects are wired: Settings → stores, keys, endpoints, listeners."""

import asyncio
import logging
import os
from collections.abc import Callable, Container, Coroutine, Sequence
from pathlib import Path
from typing import Any

from app import __version__, clock, randomness
from app.admin.application import admin_application
from app.admin.authorization import ADMIN_SCOPE, AdminAuthorization
from app.admin.stats import CacheStats, KeyStats, ProcessStats, RecentRate, Stats, StoreStats, resident_bytes
from app.config.clients import ClientRegistry
from app.config.keys import KeysRotation
from app.config.problems import ConfigurationError, Problem
from app.config.process import FastPath
from app.config.settings import Settings
from app.endpoints.argon2id import Argon2idVerifier
from app.endpoints.client_authentication import ClientAuthenticator, VerifiedSecrets
from app.endpoints.documents import Document, Health, HealthEndpoints, Readiness, StoreHealth
from app.endpoints.exchange import Request, Response
from app.endpoints.introspection import IntrospectionEndpoint
from app.endpoints.limits import ClientLimits
from app.endpoints.minting import Mint
from app.endpoints.revocation import RevocationEndpoint
from app.endpoints.scrape import ScrapeEndpoint
from app.endpoints.signed_tokens import SignedTokens
from app.endpoints.token import TokenEndpoint
from app.grants import GRANTS
from app.grants.decision import Grant, TokenPolicy
from app.keys.jwt import Signer
from app.keys.keeper import KeyKeeper
from app.keys.memory import MemorySource
from app.keys.policy import RotationPolicy
from app.keys.threads import LowPriorityPool, signing_pool
from app.observability.loop import watch_loop
from app.observability.metrics import Metrics
from app.protocol import metadata
from app.ratelimit.limiter import RateLimiter
from app.storage.interface import StoreError, TokenStore
from app.storage.memory import MemoryStore
from app.web.asgi import App, HotRoutes
from app.web.edge import Edge
from app.web.framework import framework, openapi_document
from app.web.outer import Outer
from app.web.routes import GET, POST, Route, route_table
from app.web.serving import Draining

logger = logging.getLogger("app.service")

SAMPLE_SECONDS = 5.0
"""How often gauges and recent rates are brought up to date."""
METADATA_MAX_AGE_SECONDS = 300


class Service:
    """One process's service: its parts, wired. Call :meth:`start` before serving and :meth:`stop` after."""

    def __init__(
        self,
        settings: Settings,
        *,
        registry: ClientRegistry,
        store: TokenStore,
        keeper: KeyKeeper,
        metrics: Metrics,
        grants: Sequence[Grant] = GRANTS,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.store = store
        self.keeper = keeper
        self.metrics = metrics
        self.draining = Draining()
        self._started_at = clock.monotonic()
        self._grants = grants
        self._signing_pool = signing_pool()
        self._argon2id_pool = LowPriorityPool(1, niceness=10, name="argon2id")
        self._tasks: list[asyncio.Task[None]] = []
        self._issued = RecentRate(lambda: metrics.issued, clock.monotonic)
        self._introspected = RecentRate(lambda: metrics.introspections, clock.monotonic)
        issuer = settings.listeners.external_base_url
        self._signed_tokens = SignedTokens(lambda: keeper.ring, issuer, metrics.unknown_kid.inc)
        self._edge = Edge(
            metrics=metrics,
            random_bytes=randomness.random_bytes,
            stopwatch=clock.stopwatch,
            allowed_origins=[origin.encode() for origin in settings.listeners.allowed_origins],
            is_draining=self.draining,
        )
        self._health = HealthEndpoints(self._read_health, self._read_readiness)
        self.public_application = self._public_application(issuer)
        self.metrics_application = self._metrics_application()
        self.admin_application: App = self._admin_application(issuer)

    async def start(self) -> None:
        """Start the background work. The store and the keeper are open already."""
        self.metrics.build(__version__)
        self._in_background(watch_loop(self.metrics, clock.monotonic, clock.cpu_seconds_of_this_thread))
        self._in_background(self._sample())

    async def stop(self) -> None:
        """Stop everything, the store last."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._signing_pool.close()
        self._argon2id_pool.close()
        await self.keeper.stop()
        await self.store.close()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    # ------------------------------------------------------------------ applications

    def _public_application(self, issuer: str) -> App:
        settings, metrics, edge = self.settings, self.metrics, self._edge
        authenticator = ClientAuthenticator(
            find_client=self.registry.get,
            store=self.store,
            verify_argon2id=Argon2idVerifier(self._argon2id_pool.executor).verify,
            verified_secrets=VerifiedSecrets(randomness.random_bytes),
            # RFC 7523 section 3 lets the token endpoint's URL stand for the server beside its issuer.
            assertion_audiences=(issuer, issuer + metadata.TOKEN_PATH),
            monotonic=clock.monotonic,
        )
        limits = ClientLimits(RateLimiter(), settings.limits.rate_limit_requests_per_minute, metrics, clock.monotonic)
        token = TokenEndpoint(
            grants=self._grants,
            authenticator=authenticator,
            limits=limits,
            store=self.store,
            mint=Mint(
                issuer=issuer,
                access_token_algorithm=settings.keys.keys_algorithms[0],
                signer=Signer(lambda: self.keeper.ring, self._signing_pool),
                family_max_seconds=settings.tokens.refresh_family_max_seconds,
                random_bytes=randomness.random_bytes,
            ),
            policy=TokenPolicy(
                issuer=issuer,
                refresh_family_max_seconds=settings.tokens.refresh_family_max_seconds,
                refresh_reuse_grace_seconds=settings.tokens.refresh_reuse_grace_seconds,
            ),
            metrics=metrics,
            now=clock.unix_now,
        )
        introspection = IntrospectionEndpoint(
            authenticator=authenticator,
            limits=limits,
            store=self.store,
            signed_tokens=self._signed_tokens,
            issuer=issuer,
            now=clock.unix_now,
        )
        revocation = RevocationEndpoint(
            authenticator=authenticator,
            limits=limits,
            store=self.store,
            signed_tokens=self._signed_tokens,
            now=clock.unix_now,
        )
        oauth_path, openid_path = metadata.well_known_paths(issuer)
        routes = route_table(
            Route(metadata.TOKEN_PATH, POST, token.handle, "issue", cors=True),
            Route(metadata.INTROSPECTION_PATH, POST, introspection.handle, "introspect", cors=True),
            Route(metadata.REVOCATION_PATH, POST, revocation.handle, "revoke", cors=True),
            Route(metadata.JWKS_PATH, GET, self._jwks_endpoint()),
            Route(oauth_path, GET, self._metadata_endpoint(issuer, openid=False)),
            Route(openid_path, GET, self._metadata_endpoint(issuer, openid=True)),
            *self._health_routes(),
            Route("/openapi.json", GET, self._openapi),
        )
        for route in routes.values():
            if route.operation is not None:
                metrics.expect_request("POST", route.path, 200)
        self._framework = framework(edge, routes, __version__, issuer)
        behind: App = self._framework  # type: ignore[assignment]
        if settings.process.fast_path is FastPath.OFF:
            return HotRoutes(edge, {}, self._outer(behind, routes))
        return HotRoutes(edge, routes, self._outer(behind))

    def _outer(self, behind: App, carried: Container[str] = ()) -> Outer:
        return Outer(
            behind,
            edge=self._edge,
            metrics=self.metrics,
            stopwatch=clock.stopwatch,
            is_draining=self.draining,
            carried=carried,
        )

    def _metrics_application(self) -> App:
        routes = route_table(Route("/metrics", GET, ScrapeEndpoint(self.metrics).handle), *self._health_routes())
        return HotRoutes(self._edge, routes, nothing_here)

    def _admin_application(self, issuer: str) -> Any:
        authorization = AdminAuthorization(
            read_operator_token=operator_token_reader(self.settings.listeners.admin_token_file),
            any_client_may=lambda: any(ADMIN_SCOPE in client.scopes for client in self.registry.clients),
            store=self.store,
            signed_tokens=self._signed_tokens,
            issuer=issuer,
            now=clock.unix_now,
        )
        return admin_application(authorization, self._read_stats)

    def _health_routes(self) -> tuple[Route, ...]:
        return (
            Route("/health", GET, self._health.health),
            Route("/health/live", GET, self._health.live),
            Route("/health/ready", GET, self._health.ready),
        )

    # ------------------------------------------------------------------ documents

    def _jwks_endpoint(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        max_age = self.settings.keys.jwks_max_age_seconds
        built: list[tuple[bytes, Document]] = []

        async def answer(request: Request) -> Response:
            body, etag = self.keeper.jwks(clock.unix_now())
            if not built or built[0][0] is not body:
                built[:] = [(body, Document(body, max_age, etag))]
            return built[0][1].answer(request)

        return answer

    def _metadata_endpoint(self, issuer: str, *, openid: bool) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        grants = tuple(grant.grant_type for grant in self._grants)
        built: list[tuple[object, Document]] = []

        async def answer(request: Request) -> Response:
            clients = self.registry.clients  # one tuple until the next reload
            if not built or built[0][0] is not clients:
                scopes = sorted({scope for client in clients for scope in client.scopes})
                if openid:
                    body = metadata.openid_metadata(issuer, grants, scopes, self.settings.keys.keys_algorithms)
                else:
                    body = metadata.server_metadata(issuer, grants, scopes)
                built[:] = [(clients, Document(body, METADATA_MAX_AGE_SECONDS))]
            return built[0][1].answer(request)

        return answer

    async def _openapi(self, request: Request) -> Response:
        """Built at the first request: it costs a tenth of a second that the start need not wait for."""
        if not hasattr(self, "_openapi_document"):
            self._openapi_document = Document(openapi_document(self._framework), METADATA_MAX_AGE_SECONDS)
        return self._openapi_document.answer(request)

    # ------------------------------------------------------------------ state

    def _read_health(self) -> Health:
        degraded = self.store.degraded
        return Health("degraded" if degraded else "ok", __version__, StoreHealth(self.store.kind, degraded))

    def _read_readiness(self) -> Readiness:
        keys = "ok" if self.keeper.ready else "missing"
        store = "unreachable" if not self.store.reached else "degraded" if self.store.degraded else "ok"
        status = "ready" if keys == "ok" and store != "unreachable" else "starting"
        return Readiness("draining" if self.draining.active else status, {"keys": keys, "store": store})

    async def _read_stats(self) -> Stats:
        now = clock.unix_now()
        return Stats(
            version=__version__,
            uptime_seconds=round(clock.monotonic() - self._started_at, 1),
            store=StoreStats(self.store.kind, self.store.degraded, await self.store.count_live_tokens()),
            issued=self._issued.stats(),
            introspected=self._introspected.stats(),
            cache=CacheStats(hit_ratio=None),
            keys=tuple(
                KeyStats(key.kid, key.algorithm, key.state.value, round(key.age_seconds, 1))
                for key in self.keeper.status(now)
            ),
            process=ProcessStats(os.getpid(), read_resident_bytes()),
        )

    async def _sample(self) -> None:
        while True:
            self._issued.sample()
            self._introspected.sample()
            self.metrics.store_degraded.set(self.store.degraded)
            self._count_keys()
            try:
                self.metrics.active_tokens.set(await self.store.count_live_tokens())
            except StoreError:
                logger.debug("the live tokens could not be counted")
            await asyncio.sleep(SAMPLE_SECONDS)

    def _count_keys(self) -> None:
        counts: dict[tuple[str, str], list[float]] = {}
        for key in self.keeper.status(clock.unix_now()):
            counts.setdefault((key.algorithm, key.state.value), []).append(key.age_seconds)
        self.metrics.keys_counted(counts)


def key_keeper(settings: Settings, registry: ClientRegistry, metrics: Metrics) -> KeyKeeper:
    """The keeper of the configured key ring. Raises ConfigurationError for lives that do not fit together."""
    keys = settings.keys
    policy = RotationPolicy(
        algorithms=tuple(algorithm.value for algorithm in keys.keys_algorithms),
        max_age_seconds=keys.jwks_max_age_seconds,
        propagation_seconds=keys.keys_propagation_seconds,
        skew_seconds=keys.key_clock_skew_seconds,
        period_seconds=keys.jwks_rotation_seconds,
        retain_seconds=keys.jwks_retain_seconds,
    )
    lives = [client.access_token_seconds for client in registry.clients]
    problems = policy.problems(max(lives, default=0))
    if problems:
        raise ConfigurationError(Problem("signing keys", sentence) for sentence in problems)
    return KeyKeeper(
        MemorySource(),
        policy,
        kek=None,
        rotates=keys.keys_rotation is KeysRotation.AUTO,
        clock=clock.unix_now,
        random_bytes=randomness.random_bytes,
        on_problem=lambda _kind: metrics.reload_failed("keys"),
    )


async def open_store(settings: Settings, metrics: Metrics) -> TokenStore:
    """The configured store, open."""
    store = MemoryStore(settings.store.memory_store_max_tokens, clock.unix_now)
    await store.open()
    return store


async def nothing_here(_scope: Any, _receive: Any, send: Any) -> None:
    """404 for what a listener without a framework does not know."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"21")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"error":"not_found"}'})


def operator_token_reader(path: Path | None) -> Callable[[], str | None]:
    """Reads the operators' token at each use, so that a changed file counts at once; None if there is no file."""

    def read() -> str | None:
        if path is None:
            return None
        try:
            return path.read_text().strip() or None
        except OSError as error:
            logger.exception("ADMIN_TOKEN_FILE cannot be read: %s", error.strerror)
            return None

    return read


def read_resident_bytes() -> int:
    """The resident size of this process (proc(5)); 0 where there is no ``/proc``."""
    try:
        return resident_bytes(Path("/proc/self/statm").read_text(), os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        return 0
