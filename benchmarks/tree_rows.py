"""The rows that two working trees are compared by: in memory, behind the ASGI adapter, and with Redis.

Rules:
- Each tree has the same servers, and the same row of both is measured one after the other: what is compared lies
  closest together.
- Both trees' services keep their tokens in one redis-server, each under a prefix of its own and as its own code writes
  them.
- A run counts whatever part of the core its server had: what is compared is CPU time.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks import clients, redis_rows, rows
from benchmarks.http_rounds import Schedule, Tree
from benchmarks.load import Load
from benchmarks.machine import split_cores
from benchmarks.redis_process import redis_server
from benchmarks.rounds import Arm, interleave, progress
from benchmarks.rows import Row
from benchmarks.servers import Server, bare_server, service

CACHE_ENTRIES = 1000
"""Of the services with Redis: a hundredth of the tokens, so that 99 of 100 uniform lookups are misses."""
IN_MEMORY, ASGI, REDIS = "in memory", "FAST_PATH=asgi", "with Redis"


def measure(
    trees: Sequence[Tree], schedule: Schedule, folder: Path, only: Sequence[str] = ()
) -> tuple[dict[str, list[Load]], tuple[str, ...]]:
    """The loads of the bare server and of each row of each tree (:func:`name_in`), and the names of the rows.

    ``only`` are parts of the names of the rows that are wanted; none means all. Raises LoadError or ServerError.
    """
    server_cores, load_cores = split_cores()
    with contextlib.ExitStack() as running:
        bare = running.enter_context(bare_server(server_cores))
        redis = running.enter_context(redis_server(load_cores)).url
        of_trees: list[list[tuple[Row, Server]]] = []
        for tree in trees:
            own = folder / f"of-{tree.name}"
            own.mkdir()
            servers = {
                kind: running.enter_context(
                    service(server_cores, environ, tree=tree.path, python=tree.python, name=f"{tree.name} {kind}")
                )
                for kind, environ in settings(tree, own, redis).items()
            }
            of_trees.append([one for one in _rows(servers, own, load_cores) if _is_wanted(one[0], only)])
        arms = [_arm(rows.YARDSTICK, rows.constant(bare), bare, load_cores)]
        for same_row in zip(*of_trees, strict=True):
            for tree, (row, server) in zip(trees, same_row, strict=True):
                arms.append(_arm(name_in(tree.name, row.name), row, server, load_cores))
        loads = interleave(
            arms, rounds=schedule.rounds, seconds=schedule.seconds, warm_up_seconds=schedule.warm_up_seconds
        )
    return loads, tuple(row.name for row, _ in of_trees[0])


def name_in(tree: str, row: str) -> str:
    """What a row of a tree is called among the loads."""
    return f"{tree}: {row}"


def settings(tree: Tree, folder: Path, redis: str) -> dict[str, dict[str, str]]:
    """The settings of a tree's services by their kind; ``redis`` is the URL."""
    return {
        IN_MEMORY: rows.settings(folder),
        ASGI: rows.settings(folder, "asgi"),
        REDIS: rows.settings(folder)
        | {
            "REDIS_URL": redis,
            "REDIS_KEY_PREFIX": tree.name,
            "CACHE_MAX_ENTRIES": str(CACHE_ENTRIES),
            "KEYS_FILE": str(folder / "keyring.json"),
        },
    }


def _rows(servers: Mapping[str, Server], folder: Path, cores: list[int]) -> Iterable[tuple[Row, Server]]:
    tokens = {kind: folder / f"tokens-{place}" for place, kind in enumerate(servers)}
    for kind in (IN_MEMORY, REDIS):
        progress(f"{servers[kind].name}: issuing {rows.LIVE_TOKENS:,} tokens")
        rows.collect_tokens(servers[kind], tokens[kind], rows.LIVE_TOKENS, cores)
    signed = folder / "signed"
    rows.collect_tokens(servers[IN_MEMORY], signed, rows.LIVE_TOKENS, cores, client=clients.JWT)
    memory, asgi, redis = servers[IN_MEMORY], servers[ASGI], servers[REDIS]
    for row in rows.rows(memory, tokens[IN_MEMORY], signed):
        yield row, memory
    for row in rows.asgi_rows(asgi):
        yield row, asgi
    yield rows.introspection(redis, redis_rows.HIT, rows.issue(redis, clients.OPAQUE)), redis
    yield redis_rows.misses(redis, redis_rows.MISS, tokens[REDIS]), redis
    yield rows.issuance(redis, redis_rows.ISSUING, clients.OPAQUE), redis


def _arm(name: str, row: Row, server: Server, cores: list[int]) -> Arm:
    once = msgspec.structs.replace(row, tries=1)
    return Arm(name, lambda seconds: rows.run(once, server, seconds=seconds, cores=cores))


def _is_wanted(row: Row, only: Sequence[str]) -> bool:
    return not only or any(part in row.name for part in only)
