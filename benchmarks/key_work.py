"""What keys cost: generation beside introspection, RSA signatures on threads, ES256 issuance by its parts.

Ratios and differences within one run, in interleaved rounds: other work on the machine hits both sides alike.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from app import clock
from app.keys.algorithms import generate
from app.keys.document import RingDocument
from app.keys.jwt import Signer
from app.keys.loading import build_ring
from app.keys.ring import KeyRing
from app.keys.threads import GENERATION_NICENESS, LowPriorityPool, signing_pool
from app.keys.writer import entry_for
from benchmarks import clients, rows
from benchmarks.load import Script, run_wrk
from benchmarks.micro import prepare
from benchmarks.servers import Server, service

RSA_BITS = 4096
CONNECTIONS = 2
"""So few that neither core is full: a saturated server waits for itself, not for keys."""
_INCESSANT = {
    "KEYS_ALGORITHMS": "ES256,RS256,RS384,RS512,PS256",
    "KEYS_RSA_BITS": str(RSA_BITS),
    "JWKS_MAX_AGE_SECONDS": "1",
    "KEYS_PROPAGATION_SECONDS": "0",
    "KEY_CLOCK_SKEW_SECONDS": "0",
    "JWKS_ROTATION_SECONDS": "2",
}
"""Four RSA keys every two seconds, which is more than two threads can make: they never rest."""


class Compared(msgspec.Struct, frozen=True):
    """One quantity with and without something, a figure a round."""

    without: tuple[float, ...]
    with_it: tuple[float, ...]

    @property
    def differences(self) -> tuple[float, ...]:
        return tuple(b - a for a, b in zip(self.without, self.with_it, strict=True))


class Generation(msgspec.Struct, frozen=True):
    """Introspection while new keys are made."""

    p50_ms: Compared
    p99_ms: Compared
    generating: tuple[float, ...]
    """Cores that the generating threads had while introspection was measured beside them."""


def generation(rounds: int, seconds: int) -> Generation:
    """Introspection by a quiet service and by one that makes RSA keys all the time, in turns.

    Server and load share all cores. Raises LoadError or ServerError.
    """
    p50: tuple[list[float], list[float]] = ([], [])
    p99: tuple[list[float], list[float]] = ([], [])
    generating = []
    for _ in range(rounds):
        for side, extra in enumerate(({}, _INCESSANT)):
            with _running_service(extra) as server:
                script = Script.same("POST", clients.authorization(clients.OPAQUE), f"token={_token(server)}")
                before = _generating_seconds(server)
                load = run_wrk(
                    server.url("/oauth/introspect"), script, seconds=seconds, connections=CONNECTIONS, cores=_cores()
                )
                used = _generating_seconds(server) - before
            if side:
                generating.append(used / load.seconds)
            p50[side].append(load.p50_ms)
            p99[side].append(load.p99_ms)
    return Generation(Compared(tuple(p50[0]), tuple(p50[1])), Compared(tuple(p99[0]), tuple(p99[1])), tuple(generating))


def rsa_signing(rounds: int, signatures: int = 400) -> dict[int, tuple[float, ...]]:
    """RS256 (2048 bits) signatures a second by the number of threads, a figure a round."""
    ring = asyncio.run(_ring_of_rs256())
    rates: dict[int, list[float]] = {threads: [] for threads in range(1, len(_cores()) + 1)}
    for _ in range(rounds):
        for threads, figures in rates.items():
            pool = signing_pool(threads)
            try:
                figures.append(signatures / asyncio.run(_sign_many(ring, pool, signatures)))
            finally:
                pool.close()
    return {threads: tuple(figures) for threads, figures in rates.items()}


def es256_issuance(rounds: int) -> dict[str, float]:
    """CPU microseconds of an opaque issuance, a bare signature and an ES256 issuance, and their ratio: medians."""
    steps = prepare()
    key, how, message = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256()), b"x" * 300
    works: dict[str, Callable[[], object]] = {
        "opaque": steps["whole request over ASGI: client_credentials, opaque"],
        "bare signature": lambda: key.sign(message, how),
        "JWT": steps["whole request over ASGI: client_credentials, JWT"],
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(_cpu_microseconds(work))
    result = {name: median(figures) for name, figures in taken.items()}
    sides = zip(taken["JWT"], taken["opaque"], taken["bare signature"], strict=True)
    return {**result, "ratio": median(jwt / (opaque + bare) for jwt, opaque, bare in sides)}


@contextmanager
def _running_service(extra: dict[str, str]) -> Iterator[Server]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {
            **rows.settings(folder),
            "FAST_PATH": "protocol",
            "KEYS_SOURCE": f"file://{folder}/keyring.json",
            **extra,
        }
        yield stack.enter_context(service(_cores(), settings))


def _token(server: Server) -> str:
    return rows.issue(server, clients.OPAQUE)


def _generating_seconds(server: Server) -> float:
    """CPU time of the threads with the priority of key generation (proc(5): stat, field 19; schedstat, field 1)."""
    seconds = 0.0
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        if (task / "stat").read_text().rpartition(")")[2].split()[16] == str(GENERATION_NICENESS):
            seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
    return seconds


async def _sign_many(ring: KeyRing, pool: LowPriorityPool, count: int) -> float:
    signer, now = Signer(lambda: ring, pool), clock.unix_now()
    payload = json.dumps({"sub": "x" * 300}).encode()

    async def sign() -> None:
        await signer.sign("RS256", "JWT", payload, now)

    await sign()
    began = time.perf_counter()
    await asyncio.gather(*(sign() for _ in range(count)))
    return time.perf_counter() - began


async def _ring_of_rs256() -> KeyRing:
    now = clock.unix_now()
    entry = entry_for("RS256", generate("RS256", 2048), now, now)
    return build_ring(RingDocument(keys=(entry,)), None)


def _cpu_microseconds(work: Callable[[], object], calls: int = 100) -> float:
    began = time.thread_time()
    for _ in range(calls):
        work()
    return (time.thread_time() - began) / calls * 1e6


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))
