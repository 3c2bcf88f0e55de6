"""What the process and its tokens weigh."""

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from app import clock, randomness
from app.model.tokens import RECORD_VERSION, AccessTokenRecord, TokenKind
from app.protocol.opaque_token import new_tag, new_token, token_ref
from app.storage.interface import Issuance
from app.storage.memory import MemoryStore
from benchmarks import clients, rows
from benchmarks.micro_store import run_now
from benchmarks.servers import Server, service

IDLE_TARGET_MB = 90.0
TOKENS_TARGET_MB = 60.0
_SETTLE_SECONDS = 2.0
"""After which a started process has made its keys and nothing is going on."""


class Memory(msgspec.Struct, frozen=True):
    """Resident sizes in MB of 10^6 bytes."""

    idle_mb: float
    """The process, started and asked once."""
    growth_mb: float
    """By :data:`benchmarks.rows.LIVE_TOKENS` tokens issued over HTTP, with whatever else the load leaves behind."""
    store_mb: float
    """By the same number put into the store of a process that does nothing else."""


def measure_memory(folder: Path, server_cores: list[int], load_cores: list[int]) -> Memory:
    """Measure in fresh processes. Raises ServerError or LoadError."""
    with service(server_cores, rows.settings(folder)) as server:
        rows.issue(server, clients.OPAQUE)
        idle = settled(server)
        rows.collect_tokens(server, folder / "weighed-tokens", rows.LIVE_TOKENS, load_cores)
        full = settled(server)
    return Memory(idle, full - idle, _store_in_a_process(rows.LIVE_TOKENS))


def settled(server: Server) -> float:
    """The resident size once nothing is going on."""
    time.sleep(_SETTLE_SECONDS)
    return server.resident_mb()


def _store_in_a_process(count: int) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "weigh-store", str(count)], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def weigh_store(count: int) -> float:
    """MB that this process grows by when its store gets ``count`` tokens; to be called in a process of its own."""
    store = MemoryStore(count, clock.unix_now)
    now = int(clock.unix_now())
    gc.collect()
    before = _own_resident_mb()
    for number in range(count):
        token = new_token(TokenKind.ACCESS, new_tag(randomness.random_bytes), randomness.random_bytes)
        ends = now + 3600 + number // 5000  # as if issued at 5,000 a second
        record = AccessTokenRecord(
            RECORD_VERSION,
            clients.OPAQUE,
            clients.OPAQUE,
            "read write",
            ("https://api.example.com",),
            now,
            ends,
        )
        run_now(store.save(Issuance(access=(token_ref(token), record))))
    gc.collect()
    return _own_resident_mb() - before


def _own_resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
