"""The rows over HTTP, in memory, in interleaved rounds."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import clients, limit_rows, rows
from benchmarks.load import Load
from benchmarks.machine import split_cores
from benchmarks.rounds import Arm, interleave, progress
from benchmarks.rows import Row
from benchmarks.servers import Server, bare_server, service


class Tree(msgspec.Struct, frozen=True):
    """A working tree whose service is measured."""

    name: str
    path: Path
    python: str = sys.executable


class Schedule(msgspec.Struct, frozen=True):
    """How long and how often."""

    rounds: int
    seconds: float
    """Of each run; wrk knows whole seconds only."""
    warm_up_seconds: float = 1.0


def measure(
    schedule: Schedule, folder: Path, only: Sequence[str] = ()
) -> tuple[dict[str, list[Load]], tuple[Row, ...]]:
    """The loads of the bare server and of every row, by the row's name, and the rows.

    ``only`` are parts of the names of the rows that are wanted; none means all. The servers all run all the time on the
    one core of the server: who is not asked costs next to nothing. Raises LoadError or ServerError.
    """
    server_cores, load_cores = split_cores()
    if server_cores == load_cores:
        progress("there is one core only: server and load share it, and the ratios are not those of two cores")
    with contextlib.ExitStack() as running:
        bare = running.enter_context(bare_server(server_cores))
        # It answers 200 to everything, which is all that a collector has to do here.
        collector = running.enter_context(bare_server(load_cores)).url("")

        def start(name: str, environ: dict[str, str]) -> Server:
            return running.enter_context(service(server_cores, environ, name=name))

        seen = start("the service", rows.settings(folder, collector=collector))
        tokens, signed = folder / "tokens", folder / "signed"
        progress(f"issuing {rows.LIVE_TOKENS:,} tokens, and as many JWTs")
        rows.collect_tokens(seen, tokens, rows.LIVE_TOKENS, load_cores)
        rows.collect_tokens(seen, signed, rows.LIVE_TOKENS, load_cores, client=clients.JWT)
        asgi = start("FAST_PATH=asgi", rows.settings(folder, "asgi", collector=collector))
        unseen = start("unseen", rows.settings(folder) | rows.UNSEEN)
        unlimited = start("limits off", limit_rows.unlimited_settings(folder, collector=collector))
        ceilings = {
            name: running.enter_context(bare_server(server_cores, http))
            for name, http in (
                (rows.UNPARSED, "benchmarks.ceilings:Unparsed"),
                (rows.PARSED, "benchmarks.ceilings:Parsed"),
            )
        }
        measured = [
            (row, server)
            for server, of_server in (
                *((server, (rows.constant(server, name),)) for name, server in ceilings.items()),
                (asgi, rows.asgi_rows(asgi)),
                (unseen, rows.unseen_rows(unseen)),
                (seen, (limit_rows.limited_row(seen, folder),)),
                (unlimited, limit_rows.unlimited_rows(unlimited, folder)),
                (seen, rows.rows(seen, tokens, signed)),
            )
            for row in of_server
            if _is_wanted(row, only)
        ]
        arms = [_arm(rows.constant(bare), bare, load_cores), *(_arm(*one, load_cores) for one in measured)]
        loads = interleave(
            arms, rounds=schedule.rounds, seconds=schedule.seconds, warm_up_seconds=schedule.warm_up_seconds
        )
    return loads, tuple(row for row, _ in measured)


def _arm(row: Row, server: Server, cores: list[int]) -> Arm:
    return Arm(row.name, lambda seconds: rows.run(row, server, seconds=seconds, cores=cores))


def _is_wanted(row: Row, only: Sequence[str]) -> bool:
    return not only or any(part in row.name for part in only)
