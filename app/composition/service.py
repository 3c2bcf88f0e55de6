"""One process's service: endpoints, listeners and background work, wired to a store and a key ring."""

import asyncio
import logging
import os
from collections.abc import Callable, Container, Coroutine, Sequence
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar

from app import __version__, clock, randomness
from app.admin.application import ADMIN_LIMIT, admin_application
from app.admin.attempts import LimitedAuthorization
from app.admin.authorization import ADMIN_SCOPE, AdminAuthorization
from app.admin.hosts import OperatorHosts
from app.admin.page import View
from app.admin.revocations import BulkRevocation
from app.admin.sampling import Sampler
from app.admin.stats import CacheStats, KeyStats, ProcessStats, RingStats, Stats, StoreStats, resident_bytes
from app.cancellation import end_tasks
from app.composition import huge_pages
from app.composition.allocator import give_back_free_pages
from app.composition.backends import operator_token_reader
from app.config.clients import ClientRegistry
from app.config.process import FastPath, LogRequests, ProcessSettings
from app.config.settings import Settings
from app.config.tokens import TokenSettings
from app.endpoints.addresses import ClientAddresses
from app.endpoints.admission import Admission
from app.endpoints.argon2id import Argon2idVerifier
from app.endpoints.client_authentication import ClientAuthenticator
from app.endpoints.client_keys import ClientKeys
from app.endpoints.documents import Document, DocumentEndpoint, Health, HealthEndpoints, Readiness, StoreHealth
from app.endpoints.introspection import IntrospectionEndpoint
from app.endpoints.known_credentials import ProvedHere, VerifiedSecrets
from app.endpoints.limits import Decides, Limits, OwnLimiter
from app.endpoints.minting import Mint
from app.endpoints.revocation import RevocationEndpoint
from app.endpoints.scrape import ScrapeEndpoint
from app.endpoints.signed_tokens import SignedTokens
from app.endpoints.token import TokenEndpoint
from app.grants import GRANTS
from app.grants.decision import Grant, TokenPolicy
from app.keys.errors import NoRing
from app.keys.jwks import JwksDocument
from app.keys.jwt import Signer
from app.keys.keeper import KeyKeeper
from app.keys.threads import LowPriorityPool, signing_pool
from app.model.clients import Client
from app.observability.audit import Audit
from app.observability.certificates import watch_certificates
from app.observability.head_sampling import HeadSampler
from app.observability.loop import watch_loop
from app.observability.metrics import Metrics
from app.observability.process_limits import process_limits, read_file
from app.observability.request_log import RequestLog
from app.observability.tracing import NOTHING_TRACED, Traces
from app.outgoing.fetching import Fetcher
from app.protocol import metadata
from app.protocol.errors import temporarily_unavailable
from app.protocol.metadata import ServerFacts
from app.ratelimit.failures import Failures
from app.ratelimit.leases import LeasedLimiter, SharedBudget
from app.storage.interface import StoreError, TokenStore
from app.watching import Watcher
from app.web.asgi import App, HotRoutes
from app.web.edge import Edge
from app.web.framework import METHODS, framework, openapi_document
from app.web.hot_connections import HotTable
from app.web.outer import Outer, nothing_here
from app.web.probe import SyntheticProbe
from app.web.routes import GET, POST, Route, route_table, under_issuer_path
from app.web.serving import Draining
from app.web.tls import ListenerTls

logger = logging.getLogger("app.service")

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
        audit: Audit,
        budget: SharedBudget | None = None,
        grants: Sequence[Grant] = GRANTS,
        traces: Traces = NOTHING_TRACED,
        tls: ListenerTls | None = None,
        probing: tuple[Client, str] | None = None,
    ) -> None:
        """``probing``: the synthetic probe's client and its secret; None for no probe."""
        self.settings = settings
        self.registry = registry
        self.store = store
        self.keeper = keeper
        self.metrics = metrics
        self.audit = audit
        self.draining = Draining()
        self._started_at = clock.monotonic()
        self._keys_were_there = False
        self._grants = grants
        self._traces = traces
        self._tls = tls
        # Made before anything else is: no change of the files falls between their first reading and the first look.
        self._tls_watcher = None if tls is None else Watcher(lambda: tls.files, tls.reload)
        self._signing_pool = signing_pool()
        self._argon2id_pool = LowPriorityPool(1, niceness=19, name="argon2id")
        self._limits = self._make_limits(settings, budget)
        self._tasks: list[asyncio.Task[None]] = []
        self._sampler = Sampler(metrics, store, keeper, monotonic=clock.monotonic, now=clock.unix_now)
        issuer = settings.listeners.external_base_url
        self._admission = self._make_admission(issuer)
        self._signed_tokens = SignedTokens(lambda: keeper.ring, issuer, metrics.unknown_kid.inc)
        self._edge = Edge(
            metrics=metrics,
            audit=audit,
            random_bytes=randomness.random_bytes,
            stopwatch=clock.stopwatch,
            is_https=issuer.startswith("https:"),
            allowed_origins=[origin.encode() for origin in settings.listeners.allowed_origins],
            is_draining=self.draining,
            addresses=ClientAddresses([ip_network(network) for network in settings.listeners.trusted_proxies]),
            traces=traces,
            request_log=request_log(settings.process),
            count_malformed=lambda request, refusal: self._admission.count_malformed(
                request, refusal, clock.unix_now()
            ),
        )
        self.transport_headers = self._edge.transport_headers
        self._health = HealthEndpoints(self._read_health, self._read_readiness)
        self.public_hot: HotTable | None = None
        self.metrics_hot: HotTable | None = None
        self.public_application = self._public_application(issuer)
        self.metrics_application = self._metrics_application()
        self.admin_application: App = self._admin_application(issuer)
        self._probe: SyntheticProbe | None = None
        if probing is not None:
            self._probe = SyntheticProbe(
                self.public_application,
                *probing,
                base_path=urlsplit(issuer).path,
                interval_seconds=settings.process.probe_interval_seconds,
                on_run=metrics.probed,
                stopwatch=clock.stopwatch,
                random_bytes=randomness.random_bytes,
            )

    async def start(self) -> None:
        """Start the background work. The store and the keeper are open already."""
        self.metrics.build(__version__)
        self.metrics.process_may_use(process_limits(read_file, os.cpu_count() or 1))
        self.metrics.tell_clock(clock.unix_now)
        self._in_background(watch_loop(self.metrics, clock.monotonic, clock.cpu_seconds_of_this_thread))
        self._in_background(self._sampler.run())
        self._in_background(self._limits.sweep_regularly())
        self._in_background(give_back_free_pages(read_resident_bytes))
        if huge_pages.is_wanted():
            self._in_background(huge_pages.keep_gathering(read_resident_bytes))
        self._in_background(watch_certificates(certificate_files(self.settings), self.metrics.certificates_end))
        if self._probe is not None:
            self._in_background(self._probe.run())
        if self._tls_watcher is not None:
            self._in_background(self._tls_watcher.run())

    async def stop(self) -> None:
        """Stop everything, the store last."""
        await end_tasks(self._tasks)
        self._signing_pool.close()
        self._argon2id_pool.close()
        await self.keeper.stop()
        await self.store.close()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _make_limits(self, settings: Settings, budget: SharedBudget | None) -> Limits:
        """``budget``: what replicas share; None where each counts for itself."""

        alone: set[str] = set()

        def make_limiter(limit: str) -> Decides:
            if budget is None:
                return OwnLimiter(limit)

            def tell(is_alone: bool) -> None:
                alone.add(limit) if is_alone else alone.discard(limit)
                self.metrics.rate_limit_alone(bool(alone))

            return LeasedLimiter(limit, budget, clock.monotonic, tell)

        limits = settings.limits
        return Limits(
            make_limiter=make_limiter,
            client_per_minute=limits.rate_limit_requests_per_minute,
            introspection_per_minute=limits.rate_limit_introspections_per_minute,
            failures=Failures(limits.rate_limit_failures_per_minute),
            metrics=self.metrics,
            audit=self.audit,
            monotonic=clock.monotonic,
            stopwatch=clock.stopwatch,
        )

    def _make_admission(self, issuer: str) -> Admission:
        authenticator = ClientAuthenticator(
            find_client=self.registry.get,
            store=self.store,
            verify_argon2id=Argon2idVerifier(self._argon2id_pool.executor).verify,
            verified_secrets=VerifiedSecrets(randomness.random_bytes),
            proved_here=ProvedHere(randomness.random_bytes),
            limits=self._limits,
            client_keys=self._client_keys(),
            # RFC 7523 section 3 lets the token endpoint's URL stand for the server beside its issuer.
            assertion_audiences=(issuer, issuer + metadata.TOKEN_PATH),
            monotonic=clock.monotonic,
        )
        return Admission(authenticator, self._limits)

    # ------------------------------------------------------------------ applications

    def _public_application(self, issuer: str) -> App:
        settings, metrics, edge = self.settings, self.metrics, self._edge
        admission = self._admission
        token = TokenEndpoint(
            grants=self._grants,
            admission=admission,
            store=self.store,
            mint=Mint(
                issuer=issuer,
                access_token_algorithm=settings.keys.keys_algorithms[0],
                signer=Signer(lambda: self.keeper.ring, self._signing_pool),
                family_max_seconds=settings.tokens.refresh_family_max_seconds,
                random_bytes=randomness.random_bytes,
                traces=self._traces,
            ),
            policy=TokenPolicy(
                issuer=issuer,
                refresh_reuse_grace_seconds=settings.tokens.refresh_reuse_grace_seconds,
            ),
            metrics=metrics,
            audit=self.audit,
            traces=self._traces,
            now=clock.unix_now,
        )
        introspection = IntrospectionEndpoint(
            admission=admission,
            find_client=self.registry.get,
            store=self.store,
            signed_tokens=self._signed_tokens,
            issuer=issuer,
            traces=self._traces,
            now=clock.unix_now,
        )
        revocation = RevocationEndpoint(
            admission=admission,
            store=self.store,
            signed_tokens=self._signed_tokens,
            audit=self.audit,
            now=clock.unix_now,
        )
        oauth_path, openid_path = metadata.well_known_paths(issuer)
        jwks_max_age = settings.keys.jwks_max_age_seconds
        # Made at the first request: it takes a tenth of a second that the start need not wait for.
        openapi = DocumentEndpoint(lambda: self._framework, describe_framework)
        named = route_table(
            Route(metadata.TOKEN_PATH, POST, token.handle, "issue", cors=True),
            Route(metadata.INTROSPECTION_PATH, POST, introspection.handle, "introspect", cors=True),
            Route(metadata.REVOCATION_PATH, POST, revocation.handle, "revoke", cors=True),
            Route(metadata.JWKS_PATH, GET, jwks_endpoint(self.keeper, jwks_max_age).handle, cors=True),
            Route(oauth_path, GET, self._metadata_endpoint(metadata.server_metadata).handle, cors=True),
            Route(openid_path, GET, self._metadata_endpoint(metadata.openid_metadata).handle, cors=True),
            *self._health_routes(),
            Route("/openapi.json", GET, openapi.handle, cors=True),
        )
        routes = under_issuer_path(named, urlsplit(issuer).path)
        for route in routes.values():
            if route.operation is not None:
                metrics.expect_requests("POST", route.path)
        self._framework = framework(edge, routes, __version__, issuer)
        behind: App = self._framework  # type: ignore[assignment]
        if settings.process.fast_path is FastPath.PROTOCOL:
            self.public_hot = HotTable(edge, {path.encode(): route for path, route in routes.items()})
        if settings.process.fast_path is FastPath.OFF:
            return HotRoutes(edge, routes, self._outer(behind, hot=routes, carries=True), carried=METHODS)
        return HotRoutes(edge, routes, self._outer(behind, hot=routes))

    def _client_keys(self) -> ClientKeys:
        outgoing = self.settings.outgoing
        fetcher = Fetcher(
            allowed=[ip_network(network) for network in outgoing.outgoing_allowed_networks],
            ca_file=outgoing.outgoing_ca_file,
            user_agent=f"auth-service/{__version__}",
        )
        return ClientKeys(fetcher.get, monotonic=clock.monotonic, on_fetched=self.metrics.fetched, traces=self._traces)

    def _outer(self, application: App, *, hot: Container[str] = (), carries: bool = False) -> Outer:
        return Outer(
            application,
            edge=self._edge,
            metrics=self.metrics,
            stopwatch=clock.stopwatch,
            is_draining=self.draining,
            hot=hot,
            carries=carries,
        )

    def _metrics_application(self) -> App:
        scrape = Route("/metrics", GET, ScrapeEndpoint(self.metrics).handle, traced=False)
        routes = route_table(scrape, *self._health_routes())
        if self.settings.process.fast_path is FastPath.PROTOCOL:
            # Each turn of a busy loop counts: a probe waits for two of them, and not for four.
            self.metrics_hot = HotTable(self._edge, {path.encode(): route for path, route in routes.items()})
        return HotRoutes(self._edge, routes, self._outer(nothing_here))

    def _admin_application(self, issuer: str) -> Any:
        authorization = AdminAuthorization(
            read_operator_token=operator_token_reader(self.settings.listeners),
            find_client=self.registry.get,
            any_client_may=lambda: any(ADMIN_SCOPE in client.scopes for client in self.registry.clients),
            store=self.store,
            signed_tokens=self._signed_tokens,
            issuer=issuer,
            now=clock.unix_now,
        )
        revocation = bulk_revocation(self.settings, self.store, self._signed_tokens, self.audit)
        listeners = self.settings.listeners
        application: Any = admin_application(
            authorization=LimitedAuthorization(
                authorization,
                per_minute=self.settings.limits.rate_limit_failures_per_minute,
                monotonic=clock.monotonic,
                on_decision=partial(self.metrics.rate_limited, ADMIN_LIMIT),
            ),
            hosts=OperatorHosts((listeners.admin_addr.host, *listeners.admin_allowed_hosts)),
            read_stats=self._read_stats,
            revocation=revocation,
            audit=self.audit,
            read_view=self._read_view,
        )
        return self._outer(application)

    def _health_routes(self) -> tuple[Route, ...]:
        return (
            Route("/health", GET, self._health.health, traced=False),
            Route("/health/live", GET, self._health.live, traced=False),
            Route("/health/ready", GET, self._health.ready, traced=False),
        )

    def _metadata_endpoint(self, build: Callable[[ServerFacts], bytes]) -> DocumentEndpoint[tuple[Client, ...]]:
        """A metadata document; the clients' scopes are in it, so it is made anew when they were loaded again."""

        def make(clients: tuple[Client, ...]) -> Document:
            facts = ServerFacts(
                issuer=self.settings.listeners.external_base_url,
                grant_types=tuple(grant.grant_type for grant in self._grants),
                # RFC 8414 section 2 lets a server keep scopes to itself: the operators' is nobody else's business.
                scopes=tuple(sorted({scope for client in clients for scope in client.scopes} - {ADMIN_SCOPE})),
                id_token_algorithms=tuple(self.settings.keys.keys_algorithms),
            )
            return Document(build(facts), METADATA_MAX_AGE_SECONDS)

        return DocumentEndpoint(lambda: self.registry.clients, make)

    # ------------------------------------------------------------------ state

    def _read_health(self) -> Health:
        degraded = self.store.degraded
        return Health("degraded" if degraded else "ok", __version__, StoreHealth(self.store.kind, degraded))

    def _read_readiness(self) -> Readiness:
        keys = "ok" if self.keeper.ready else "missing"
        # Later on a ring that cannot sign takes no replica away: what was issued must be verified and introspected.
        self._keys_were_there = self._keys_were_there or keys == "ok"
        store = "unreachable" if not self.store.reached else "degraded" if self.store.degraded else "ok"
        status = "ready" if self._keys_were_there and store != "unreachable" else "starting"
        return Readiness("draining" if self.draining.active else status, {"keys": keys, "store": store})

    async def _read_stats(self) -> Stats:
        now = clock.unix_now()
        return Stats(
            version=__version__,
            uptime_seconds=round(clock.monotonic() - self._started_at, 1),
            store=StoreStats(self.store.kind, self.store.degraded, await self._count_live_tokens()),
            issued=self._sampler.issued.stats(),
            introspected=self._sampler.introspected.stats(),
            cache=CacheStats(self.metrics.store.cache_hit_ratio, *self.metrics.store.cache_state()),
            ring=RingStats(self.keeper.ring.revision, self.keeper.problem),
            keys=tuple(
                KeyStats(key.kid, key.algorithm, key.state.value, round(key.age_seconds, 1))
                for key in self.keeper.status(now)
            ),
            process=ProcessStats(os.getpid(), read_resident_bytes()),
        )

    async def _read_view(self) -> View:
        now = clock.unix_now()
        return View(
            issuer=self.settings.listeners.external_base_url,
            now=now,
            stats=await self._read_stats(),
            latencies=[(name, latency.stats()) for name, latency in self._sampler.latencies.items()],
            keys=self.keeper.status(now),
            rotations=sorted(self.keeper.next_rotations(now).items()),
            clients=self.registry.clients,
            audited=self.audit.enabled,
            events=self.audit.recent,
        )

    async def _count_live_tokens(self) -> int | None:
        try:
            return await self.store.count_live_tokens()
        except StoreError:  # who looks here wants to know why
            return None


def request_log(process: ProcessSettings) -> RequestLog | None:
    """The lines of answered requests; None where the log would not take them."""
    if process.log_requests is LogRequests.OFF or process.log_requests_ratio == 0:
        return None
    level = logging.DEBUG if process.log_requests is LogRequests.DEBUG else logging.INFO
    if not logging.getLogger("app.requests").isEnabledFor(level):
        return None
    ratio = process.log_requests_ratio
    sampler = HeadSampler(ratio, parent_counts=False, random_bytes=randomness.random_bytes, monotonic=clock.monotonic)
    return RequestLog(level, sampler)


def bulk_revocation(settings: Settings, store: TokenStore, signed_tokens: SignedTokens, audit: Audit) -> BulkRevocation:
    """What operators end many tokens with."""
    tokens, redis = settings.tokens, settings.store
    cached = redis.redis_url is not None and redis.cache_max_entries > 0
    return BulkRevocation(
        store,
        signed_tokens,
        # Families that were founded before the setting was made smaller live on; so does the default's month.
        longest_life_seconds=max(tokens.refresh_family_max_seconds, TokenSettings().refresh_family_max_seconds),
        skew_seconds=settings.keys.key_clock_skew_seconds,
        staleness_seconds=redis.cache_max_staleness_seconds if cached else 0.0,
        now=clock.unix_now,
        monotonic=clock.monotonic,
        audit_is_crowded=lambda: audit.crowded,
    )


def jwks_endpoint(keeper: KeyKeeper, max_age_seconds: int) -> DocumentEndpoint[JwksDocument]:
    """The JWKS: the same bytes until a key's time in it begins or ends; 503 before the first ring."""

    def current() -> JwksDocument:
        try:
            return keeper.jwks(clock.unix_now())
        except NoRing:
            raise temporarily_unavailable("no_keys", retry_after_seconds=2) from None

    return DocumentEndpoint(current, lambda made: Document(made.body, max_age_seconds, made.etag))


def certificate_files(settings: Settings) -> dict[str, Path]:
    """The configured certificates by their use, as ``tls_certificate_expiry_timestamp_seconds`` names it."""
    files = {
        "listener": settings.listeners.tls_cert_file,
        "store_ca": settings.store.redis_ca_file,
        "store_client": settings.store.redis_cert_file,
    }
    return {use: path for use, path in files.items() if path is not None}


def describe_framework(application: Litestar) -> Document:
    """The OpenAPI document."""
    return Document(openapi_document(application), METADATA_MAX_AGE_SECONDS)


def read_resident_bytes() -> int:
    """The resident size of this process (proc(5)); 0 where there is no ``/proc``."""
    try:
        return resident_bytes(Path("/proc/self/statm").read_text(), os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        return 0
