"""The service and its peers in turns: the same requests, one core, the load on another."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from benchmarks import clients, rows
from benchmarks.http_rounds import Schedule
from benchmarks.load import Load, Script
from benchmarks.machine import split_cores
from benchmarks.peers.programs import CLIENT, INTROSPECTION, ISSUANCE, Peer, kinds
from benchmarks.rounds import Arm, interleave, progress
from benchmarks.rows import Row
from benchmarks.servers import Server, ServerError, bare_server, service
from benchmarks.statistics import Spread, round_ratios, spread
from benchmarks.summary import RowResult, summarise

FORM = "grant_type=client_credentials&scope=read+write"
SERVICE = "auth-service"
IN_MEMORY = "a map in memory"
TARGETS = {INTROSPECTION: 6.0, ISSUANCE: 4.0}
"""How many times oidc-provider's rate the service's is to be."""
TARGET_PEER = "oidc-provider"


class PeerRow(msgspec.Struct, frozen=True):
    """One endpoint of one server."""

    server: str
    endpoint: str
    durability: str
    row: RowResult
    times: Spread
    """How many times this rate the service's is, round by round."""
    times_on_cpu: Spread
    """The same by the servers' CPU time: the figure to believe where the machine was not quiet."""
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the service is as many times as fast as it is to be; None where nothing is asked."""
        return None if self.target is None else min(self.times.median, self.times_on_cpu.median) >= self.target


def measure(schedule: Schedule, folder: Path, only: Sequence[str] = ()) -> tuple[PeerRow, ...]:
    """Every installed peer beside the service. Raises ServerError or LoadError."""
    server_cores, load_cores = split_cores()
    with contextlib.ExitStack() as running:
        bare = running.enter_context(bare_server(server_cores))
        ours = running.enter_context(service(server_cores, rows.settings(folder)))
        measured: list[tuple[Row, Server]] = [(rows.constant(bare), bare)]
        about: list[tuple[str, str, str]] = []
        as_peer = Peer(ours, ours, "/oauth/token", "/oauth/introspect")
        for endpoint, start in ENDPOINTS.items():
            measured.append(start(SERVICE, as_peer))
            about.append((SERVICE, endpoint, IN_MEMORY))
        for kind in kinds():
            if not kind.program.exists():
                progress(f"{kind.name} is not installed and left out; `make peers` installs it")
                continue
            for endpoint in kind.endpoints:
                if not only or any(part in f"{kind.name}: {endpoint}" for part in only):
                    # A process for each: the map of oidc-provider forgets all but the thousand newest tokens.
                    peer = running.enter_context(kind.start(folder, server_cores))
                    row, server = ENDPOINTS[endpoint](kind.name, peer)
                    measured.append((msgspec.structs.replace(row, connections=kind.connections), server))
                    about.append((kind.name, endpoint, kind.durability))
        arms = [Arm(row.name, partial(_run, row, server, load_cores)) for row, server in measured]
        loads = interleave(
            arms, rounds=schedule.rounds, seconds=schedule.seconds, warm_up_seconds=schedule.warm_up_seconds
        )
    return peer_rows(loads, about)


def peer_rows(loads: Mapping[str, Sequence[Load]], about: Sequence[tuple[str, str, str]]) -> tuple[PeerRow, ...]:
    """What the loads come to; ``about`` has server, endpoint and durability of each."""
    by_name = {row.name: row for row in summarise(loads, rows.YARDSTICK, {})}
    found = []
    for server, endpoint, durability in about:
        row, best = by_name[f"{server}: {endpoint}"], by_name[f"{SERVICE}: {endpoint}"]
        times, on_cpu = (_times(best, row, rate) for rate in (_rate, _rate_on_cpu))
        target = TARGETS[endpoint] if server.startswith(TARGET_PEER) else None
        found.append(PeerRow(server, endpoint, durability, row, times, on_cpu, target))
    return tuple(found)


def _times(service_row: RowResult, peer: RowResult, rate: Callable[[Load], float]) -> Spread:
    return spread(round_ratios([rate(load) for load in service_row.loads], [rate(load) for load in peer.loads]))


def _rate(load: Load) -> float:
    return load.rate


def _rate_on_cpu(load: Load) -> float:
    return load.rate_on_cpu


def _run(row: Row, server: Server, cores: list[int], seconds: float) -> Load:
    return rows.run(row, server, seconds=seconds, cores=cores)


def _introspection(name: str, peer: Peer) -> tuple[Row, Server]:
    token = _issue(peer)
    script = Script.same("POST", clients.authorization(CLIENT), f"token={token}")
    check = partial(_check, peer, token)
    return Row(f"{name}: {INTROSPECTION}", peer.introspection_path, script, check), peer.introspection


def _issuance(name: str, peer: Peer) -> tuple[Row, Server]:
    script = Script.same("POST", clients.authorization(CLIENT), FORM)
    return Row(f"{name}: {ISSUANCE}", peer.token_path, script, lambda: _check(peer, _issue(peer))), peer.token


ENDPOINTS: dict[str, Callable[[str, Peer], tuple[Row, Server]]] = {INTROSPECTION: _introspection, ISSUANCE: _issuance}


def _issue(peer: Peer) -> str:
    document = _ask(peer.token, peer.token_path, FORM)
    if str(document["token_type"]).lower() != "bearer" or document["scope"] != "read write":
        raise ServerError(f"{peer.token.name} issued something else")
    return str(document["access_token"])


def _check(peer: Peer, token: str) -> None:
    document = _ask(peer.introspection, peer.introspection_path, f"token={token}")
    for name, wanted in (("active", True), ("client_id", CLIENT), ("scope", "read write")):
        if document.get(name) != wanted:
            raise ServerError(f"{peer.introspection.name}: {name} is {document.get(name)!r} and not {wanted!r}")


def _ask(server: Server, path: str, form: str) -> Mapping[str, object]:
    status, body = server.ask("POST", path, authorization=clients.authorization(CLIENT), form=form)
    if status != 200:
        raise ServerError(f"{server.name} answered {status}")
    document: Mapping[str, object] = json.loads(body)
    return document
