"""What is measured over HTTP: each row's request, its target, and the check that its answers are right."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import clients
from benchmarks.load import Load, Script, run_wrk
from benchmarks.servers import Server, ServerError

LIVE_TOKENS = 100_000
YARDSTICK = "bare server"
UNPARSED, PARSED = "ceiling: a constant for each read", "ceiling: a constant inside the parser's callback"
UNDISTURBED = 0.9
"""The part of its core that a saturated server has when nothing else runs there."""
TRIES = 3
"""A row is measured so often where the server did not have its core."""
_COLLECTIONS = 60


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    path: str
    script: Script
    check: Callable[[], None]
    """Asks once and raises ServerError for a wrong answer."""
    target: float | None = None
    """The least ratio to the bare server; None where none is set."""
    connections: int = 64
    threads: int = 1
    """Of the load, all on its core."""
    tries: int = TRIES


UNSEEN = {"AUDIT_LOG": "off", "LOG_LEVEL": "error"}
"""Settings of a service that tells nobody anything but its metrics, which cannot be turned off."""


def settings(folder: Path, fast_path: str = "protocol", *, collector: str | None = None) -> dict[str, str]:
    """The settings that the service is measured with: everything on, in memory.

    ``collector``: the URL that one request in a hundred is traced to; None for no traces.
    """
    traced = {} if collector is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": collector, "OTEL_TRACES_SAMPLER_ARG": "0.01"}
    return traced | {
        "CLIENTS_FILE": str(clients.write_clients(folder)),
        "FAST_PATH": fast_path,
        "MEMORY_STORE_MAX_TOKENS": "20000000",  # issuing at full speed must not end at the default of a million
        "EXTERNAL_BASE_URL": "https://auth.example.com",
        "LOG_LEVEL": "info",
    }


def constant(bare: Server, name: str = YARDSTICK) -> Row:
    """The bare server, or another that answers as it does, asked what introspection is asked."""
    form = f"token={'a' * 60}"
    script = Script.same("POST", clients.authorization(clients.OPAQUE), form)

    def check() -> None:
        _require(bare, bare.ask("POST", "/oauth/introspect", form=form), active=True)

    return Row(name, "/oauth/introspect", script, check)


def issue(server: Server, client: str) -> str:
    """A fresh access token. Raises ServerError."""
    form = "grant_type=client_credentials"
    answer = server.ask("POST", "/oauth/token", authorization=clients.authorization(client), form=form)
    return str(_require(server, answer, token_type="Bearer", expires_in=3600)["access_token"])


def collect_tokens(server: Server, tokens: Path, count: int, cores: list[int], *, client: str = clients.OPAQUE) -> None:
    """Issue ``count`` tokens to a client over HTTP into a file, one a line. Raises LoadError or ServerError."""
    got = 0
    for _ in range(_COLLECTIONS):  # wrk waits out its time even if it has nothing left to do, so it gets little of it
        script = Script.collect(clients.authorization(client), tokens, count - got)
        run_wrk(server.url("/oauth/token"), script, seconds=2, connections=64, cores=cores)
        got = len(tokens.read_text().splitlines())
        if got == count:
            return
    raise ServerError(f"{server.name} issued {got} tokens in {2 * _COLLECTIONS} s; {count} are needed")


def rows(server: Server, tokens: Path, signed: Path) -> tuple[Row, ...]:
    """The rows of one running service that has issued ``tokens``, and ``signed``, which are JWTs."""
    return (
        introspection(server, "introspection, opaque, one token", issue(server, clients.OPAQUE), target=1.7),
        _distinct(server, "introspection, opaque, another request id each time", issue(server, clients.OPAQUE)),
        Row(
            f"introspection, opaque, uniform over {LIVE_TOKENS:,} tokens",
            "/oauth/introspect",
            Script.uniform(clients.authorization(clients.OPAQUE), tokens),
            lambda: check_introspection(server, clients.OPAQUE, last_line(tokens)),
            target=1.7,
        ),
        introspection(server, "introspection, JWT ES256, one token", issue(server, clients.JWT), client=clients.JWT),
        Row(
            f"introspection, JWT ES256, uniform over {LIVE_TOKENS:,} tokens",
            "/oauth/introspect",
            Script.uniform(clients.authorization(clients.JWT), signed),
            lambda: check_introspection(server, clients.JWT, last_line(signed)),
        ),
        issuance(server, "client_credentials, opaque", clients.OPAQUE, target=1.2),
        issuance(server, "client_credentials, JWT ES256", clients.JWT, target=0.5),
        Row("JWKS", "/jwks.json", Script.same("GET"), lambda: _check_jwks(server), target=0.80),
        introspection(
            server, "introspection, opaque, 1,000 connections", issue(server, clients.OPAQUE), connections=1000
        ),
    )


def asgi_rows(server: Server) -> tuple[Row, ...]:
    """What is measured of a service with ``FAST_PATH=asgi``."""
    return (
        introspection(server, "FAST_PATH=asgi: introspection, opaque", issue(server, clients.OPAQUE), target=0.65),
        issuance(server, "FAST_PATH=asgi: client_credentials, opaque", clients.OPAQUE, target=0.50),
        issuance(server, "FAST_PATH=asgi: client_credentials, JWT ES256", clients.JWT, target=0.30),
        Row("FAST_PATH=asgi: JWKS", "/jwks.json", Script.same("GET"), lambda: _check_jwks(server), target=0.80),
    )


def unseen_rows(server: Server) -> tuple[Row, ...]:
    """What is measured of a service with :data:`UNSEEN`: what audit, traces and logs cost is the difference."""
    return (
        introspection(server, "no audit, traces, logs: introspection, opaque", issue(server, clients.OPAQUE)),
        issuance(server, "no audit, traces, logs: client_credentials, opaque", clients.OPAQUE),
    )


def run(row: Row, server: Server, *, seconds: float, cores: list[int]) -> Load:
    """One run of a row, made anew where the server did not have its core; of all tries the least disturbed one.

    Raises LoadError, or ServerError if an answer was not right: the row is then worth nothing.
    """
    tries: list[Load] = []
    while len(tries) < row.tries and not any(load.core_share >= UNDISTURBED for load in tries):
        tries.append(_run_once(row, server, seconds=seconds, cores=cores))
    return max(tries, key=lambda load: load.core_share)


def _run_once(row: Row, server: Server, *, seconds: float, cores: list[int]) -> Load:
    row.check()
    before = server.cpu_seconds()
    load = run_wrk(
        server.url(row.path),
        row.script,
        seconds=seconds,
        connections=row.connections,
        cores=cores,
        threads=row.threads,
    )
    load = msgspec.structs.replace(load, cpu_seconds=server.cpu_seconds() - before)
    row.check()
    if load.refused or load.failed or not load.requests:
        raise ServerError(
            f"{server.name}, {row.name}: of {load.requests} answers {load.refused} were refusals, {load.failed} failed"
        )
    return load


def introspection(
    server: Server,
    name: str,
    token: str,
    *,
    client: str = clients.OPAQUE,
    target: float | None = None,
    connections: int = 64,
) -> Row:
    """Introspection of one token over and over."""
    script = Script.same("POST", clients.authorization(client), f"token={token}")
    return Row(
        name,
        "/oauth/introspect",
        script,
        lambda: check_introspection(server, client, token),
        target=target,
        connections=connections,
    )


def _distinct(server: Server, name: str, token: str) -> Row:
    script = Script.distinct(clients.authorization(clients.OPAQUE), f"token={token}")
    return Row(name, "/oauth/introspect", script, lambda: check_introspection(server, clients.OPAQUE, token))


def issuance(server: Server, name: str, client: str, *, target: float | None = None) -> Row:
    """Issuing to a client by client credentials."""
    script = Script.same("POST", clients.authorization(client), "grant_type=client_credentials")

    def check() -> None:
        check_introspection(server, client, issue(server, client))

    return Row(name, "/oauth/token", script, check, target=target)


def check_introspection(server: Server, client: str, token: str) -> None:
    authorization = clients.authorization(client)
    answer = server.ask("POST", "/oauth/introspect", authorization=authorization, form=f"token={token}")
    _require(server, answer, active=True, client_id=client, scope="read write", token_type="Bearer")


def _check_jwks(server: Server) -> None:
    keys = _require(server, server.ask("GET", "/jwks.json"))["keys"]
    if not any(key.get("alg") == "ES256" and "d" not in key for key in keys):
        raise ServerError(f"{server.name}: the JWKS has no public ES256 key")


def _require(server: Server, answer: tuple[int, bytes], **members: object) -> Mapping[str, Any]:
    """The JSON object of a 200 with these members. Raises ServerError, which shows nothing else: it may be a token."""
    status, body = answer
    if status != 200:
        raise ServerError(f"{server.name} answered {status}")
    document: Mapping[str, Any] = json.loads(body)
    for name, wanted in members.items():
        if document.get(name) != wanted:
            raise ServerError(f"{server.name}: {name} is {document.get(name)!r} and not {wanted!r}")
    return document


def last_line(path: Path) -> str:
    """The last token of a file."""
    return path.read_text().splitlines()[-1]
