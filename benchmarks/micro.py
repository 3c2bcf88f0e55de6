"""The steps of a request, each measured alone in this process: where the microseconds go.

Beside the steps there are three whole requests, through the same ASGI application that is served, without a server.
"""

import asyncio
import gc
import itertools
import json
import tempfile
from pathlib import Path

import uvloop

from app import clock, randomness
from app.composition.key_ring import key_keeper
from app.composition.service import Service
from app.config.clients import ClientRegistry, ClientsSource
from app.config.load import load_settings
from app.keys.jwt import sign_now, verify
from app.keys.ring import KeyRing
from app.model.clients import Client
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, TokenKind
from app.observability.audit import silent_audit
from app.observability.metrics import Metrics
from app.protocol.access_token import TYP, AccessTokenClaims, encode_claims
from app.protocol.client_auth import generated_secret_ends, read_credentials
from app.protocol.form import FORM_CONTENT_TYPE, parse_body
from app.protocol.introspection import encode_introspection, introspect_access_token
from app.protocol.opaque_token import new_tag, new_token, token_kind, token_ref
from app.protocol.scopes import grant_scope
from app.storage.interface import Issuance
from app.storage.memory import MemoryStore
from app.web.asgi import App, Message
from benchmarks import clients, limit_rows, micro_crypto, rows
from benchmarks.micro_store import concurrent_works, run_now, scope_works, store_works
from benchmarks.repetition import Work

_ISSUER = "https://auth.example.com"
_STORED = 10_000


async def works() -> dict[str, Work]:
    """Every micro benchmark by name. To be called on a loop, which the returned functions do not need."""
    with tempfile.TemporaryDirectory() as folder:
        environ = rows.settings(Path(folder))
        settings = load_settings(environ).settings
        registry = ClientRegistry(ClientsSource(settings, environ).load(clock.unix_now()).clients)
    metrics = Metrics()
    audit = silent_audit()
    keeper = key_keeper(settings, registry, metrics, audit)
    await keeper.start()
    await keeper.stop()  # its ring is all that is needed
    store = MemoryStore(settings.store.memory_store_max_tokens, clock.unix_now)
    service = Service(settings, registry=registry, store=store, keeper=keeper, metrics=metrics, audit=audit)
    caller = registry.get(clients.OPAQUE)
    assert caller is not None  # noqa: S101 - it was just written
    return {
        **_parsing(caller),
        **_tokens(store, caller),
        **_signing(keeper.ring),
        **_accounting(metrics, caller),
        **store_works(),
        **scope_works(),
        **micro_crypto.works(),
        **_requests(service.public_application),
    }


def _parsing(caller: Client) -> dict[str, Work]:
    form = f"token={new_token(TokenKind.ACCESS, 'abcd', randomness.random_bytes)}".encode()
    encoded = b"grant_type=client_credentials&scope=read+write&resource=https%3A%2F%2Fapi.example.com"
    header = clients.authorization(clients.OPAQUE).encode()
    parameters = parse_body(FORM_CONTENT_TYPE, form)
    secret = read_credentials(header, parameters)

    def authenticate() -> None:
        read_credentials(header, parameters)
        generated_secret_ends(secret.secret, caller.live_secrets(0.0))  # type: ignore[union-attr]

    return {
        "form: parse a token": lambda: parse_body(FORM_CONTENT_TYPE, form),
        "form: parse percent-encoded parameters": lambda: parse_body(FORM_CONTENT_TYPE, encoded),
        "client: read the Basic header, compare the digest": authenticate,
        "scopes: two of two allowed": lambda: grant_scope("read write", caller.scopes, None),
    }


def _tokens(store: MemoryStore, caller: Client) -> dict[str, Work]:
    def make() -> str:
        return new_token(TokenKind.ACCESS, new_tag(randomness.random_bytes), randomness.random_bytes)

    now = int(clock.unix_now())
    record = AccessTokenRecord(
        RECORD_VERSION, caller.id, caller.id, "read write", ("https://api.example.com",), now, now + 3600
    )
    refs = [token_ref(make()) for _ in range(_STORED)]
    for ref in refs:
        run_now(store.save(Issuance(access=(ref, record))))
    turn = itertools.cycle(refs).__next__
    token = make()
    return {
        "token: make": make,
        "token: kind and checksum": lambda: token_kind(token),
        "token: digest": lambda: token_ref(token),
        "store: save an access token": lambda: run_now(store.save(Issuance(access=(token_ref(make()), record)))),
        f"store: find one of {_STORED:,}": lambda: run_now(store.find_access_token(turn())),
        "introspection: decide and encode": lambda: encode_introspection(
            introspect_access_token(record, caller, _ISSUER, now)
        ),
    }


def _signing(ring: KeyRing) -> dict[str, Work]:
    now = int(clock.unix_now())
    claims = AccessTokenClaims(
        iss=_ISSUER,
        sub="c",
        aud="https://api.example.com",
        client_id="c",
        jti="abcd" + "x" * 22,
        iat=now,
        exp=now + 3600,
    )
    token = sign_now(ring.signing_key("ES256", now), TYP, encode_claims(claims))
    return {
        "JWT: sign ES256": lambda: sign_now(ring.signing_key("ES256", now), TYP, encode_claims(claims)),
        "JWT: verify ES256": lambda: verify(token, ring, typ=TYP, issuer=_ISSUER, now=now),
    }


def _accounting(metrics: Metrics, caller: Client) -> dict[str, Work]:
    def record() -> None:
        metrics.finished(("POST", "/oauth/introspect", 200, "introspect", "active"), 0.00004)
        metrics.rate_limited("client", False)

    return {
        **limit_rows.steps(metrics, caller),
        "metrics: two histograms and a counter": record,
    }


def _requests(application: App) -> dict[str, Work]:
    opaque = json.loads(_answer(application, "POST", "/oauth/token", clients.OPAQUE, b"grant_type=client_credentials"))
    token: str = opaque["access_token"]
    introspection = ("POST", "/oauth/introspect", clients.OPAQUE, f"token={token}".encode())
    if json.loads(_answer(application, *introspection)).get("active") is not True:
        raise RuntimeError("the token that is introspected is not active")
    issuance = ("POST", "/oauth/token", clients.OPAQUE, b"grant_type=client_credentials")
    signed = ("POST", "/oauth/token", clients.JWT, b"grant_type=client_credentials")
    loop = uvloop.new_event_loop()  # a signature is asked for on one
    return {
        **concurrent_works(lambda: _respond(application, *introspection), "introspection"),
        **concurrent_works(lambda: _respond(application, *issuance), "client_credentials"),
        **concurrent_works(lambda: _respond(application, *signed), "client_credentials, JWT"),
        "whole request over ASGI: introspection": lambda: _answer(application, *introspection),
        "whole request over ASGI: client_credentials, opaque": lambda: _answer(application, *issuance),
        "whole request over ASGI: client_credentials, JWT": lambda: loop.run_until_complete(
            _respond(application, *signed)
        ),
    }


def _answer(application: App, method: str, path: str, client: str, body: bytes) -> bytes:
    """The body of the answer to one request, without a loop. Raises RuntimeError unless it is a 200."""
    return run_now(_respond(application, method, path, client, body))


async def _respond(application: App, method: str, path: str, client: str, body: bytes) -> bytes:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Message = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "client": ("127.0.0.1", 50000),
        "headers": [
            (b"host", b"127.0.0.1:8080"),
            (b"authorization", clients.authorization(client).encode()),
            (b"content-type", FORM_CONTENT_TYPE),
            (b"content-length", b"%d" % len(body)),
        ],
    }
    await application(scope, receive, send)
    if sent[0]["status"] != 200:
        raise RuntimeError(f"{path} answered {sent[0]['status']}")
    answer: bytes = sent[1]["body"]
    return answer


def prepare() -> dict[str, Work]:
    """Every micro benchmark by name, ready to run."""
    made = asyncio.run(works())
    gc.collect()
    gc.freeze()  # as the service does once it has started
    return made
