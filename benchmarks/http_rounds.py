"""The rows over HTTP, in interleaved rounds, for one service or for two that are compared."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks import limit_rows, rows
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
    trees: Sequence[Tree], schedule: Schedule, folder: Path, only: Sequence[str] = ()
) -> tuple[dict[str, list[Load]], tuple[Row, ...]]:
    """The loads of the bare server and of every row of every tree, by ``name of the tree: name of the row``.

    With one tree its name is left out. ``only`` are parts of the names of the rows that are wanted; none means all.
    The servers all run all the time on the one core of the server: who is not asked costs next to nothing. Raises
    LoadError or ServerError.
    """
    server_cores, load_cores = split_cores()
    if server_cores == load_cores:
        progress("there is one core only: server and load share it, and the ratios are not those of two cores")
    with contextlib.ExitStack() as running:
        bare = running.enter_context(bare_server(server_cores))
        arms = [_arm(rows.yardstick(bare), bare, load_cores)]
        # It answers 200 to everything, which is all that a collector has to do here.
        collector = running.enter_context(bare_server(load_cores)).url("") if len(trees) == 1 else None
        servers: list[Server] = []
        of_trees: list[list[Arm]] = []
        wanted: tuple[Row, ...] = ()
        others: tuple[Row, ...] = ()
        for tree in trees:
            settings = rows.settings(folder, collector=collector)
            server = running.enter_context(
                service(server_cores, settings, tree=tree.path, python=tree.python, name=tree.name)
            )
            servers.append(server)
            tokens = folder / f"tokens-of-{server.pid}"
            progress(f"{tree.name}: issuing {rows.LIVE_TOKENS:,} tokens")
            rows.collect_tokens(server, tokens, rows.LIVE_TOKENS, load_cores)
            wanted = tuple(row for row in rows.rows(server, tokens) if _is_wanted(row, only))
            prefix = f"{tree.name}: " if len(trees) > 1 else ""
            of_trees.append([_arm(row, server, load_cores, prefix) for row in wanted])
        if len(trees) == 1:
            asgi_settings = rows.settings(folder, "asgi", collector=collector)
            asgi = running.enter_context(
                service(server_cores, asgi_settings, tree=trees[0].path, name="FAST_PATH=asgi")
            )
            unseen = running.enter_context(
                service(server_cores, rows.settings(folder) | rows.UNSEEN, tree=trees[0].path, name="unseen")
            )
            unlimited = running.enter_context(
                service(
                    server_cores,
                    limit_rows.unlimited_settings(folder, collector=collector),
                    tree=trees[0].path,
                    name="limits off",
                )
            )
            for server, of_server in (
                (asgi, rows.asgi_rows(asgi)),
                (unseen, rows.unseen_rows(unseen)),
                (servers[0], (limit_rows.limited_row(servers[0], folder),)),
                (unlimited, limit_rows.unlimited_rows(unlimited, folder)),
            ):
                more = tuple(row for row in of_server if _is_wanted(row, only))
                arms += [_arm(row, server, load_cores) for row in more]
                others += more
        # The same row of all trees one after the other: what is compared lies closest together.
        arms += [arm for same_row in zip(*of_trees, strict=True) for arm in same_row]
        loads = interleave(
            arms, rounds=schedule.rounds, seconds=schedule.seconds, warm_up_seconds=schedule.warm_up_seconds
        )
    return loads, (*wanted, *others)


def _arm(row: Row, server: Server, cores: list[int], prefix: str = "") -> Arm:
    return Arm(prefix + row.name, lambda seconds: rows.run(row, server, seconds=seconds, cores=cores))


def _is_wanted(row: Row, only: Sequence[str]) -> bool:
    return not only or any(part in row.name for part in only)
