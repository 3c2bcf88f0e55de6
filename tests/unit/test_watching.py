"""Noticing changed files: every kind of change, kubelet's way of publishing, and surviving errors."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.watching import Watcher, fingerprint


def publish_like_kubelet(volume: Path, version: str, files: dict[str, str]) -> None:
    """What kubelet's AtomicWriter does: a new timestamped folder, then ``..data`` is renamed over."""
    folder = volume / f"..{version}"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    swap = volume / "..data_tmp"
    swap.symlink_to(folder.name)
    before = (volume / "..data").resolve() if (volume / "..data").exists() else None
    swap.rename(volume / "..data")
    for name in files:
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(Path("..data") / name)
    if before is not None:
        for old in before.iterdir():
            old.unlink()
        before.rmdir()


def rewrite_keeping_size_and_mtime(path: Path) -> None:
    seen = path.stat()
    path.write_text("b" * seen.st_size)
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def replace_atomically(path: Path) -> None:
    (path.parent / "new").write_text("after")
    (path.parent / "new").rename(path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_text("after, longer"), id="rewritten"),
        pytest.param(rewrite_keeping_size_and_mtime, id="rewritten with the same size and mtime"),
        pytest.param(replace_atomically, id="renamed over"),
        pytest.param(Path.unlink, id="removed"),
        pytest.param(lambda path: path.chmod(0o600), id="permissions repaired"),
    ],
)
def test_a_file_s_fingerprint_changes(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    before = fingerprint(path)
    assert fingerprint(path) == before
    change(path)
    assert fingerprint(path) != before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "b").write_text("new"), id="file added"),
        pytest.param(lambda folder: (folder / "a").write_text("longer"), id="file rewritten"),
        pytest.param(lambda folder: (folder / "a").unlink(), id="file removed"),
        pytest.param(lambda folder: (folder / "a").rename(folder / "c"), id="file renamed"),
        pytest.param(lambda folder: (folder / "sub" / "d").write_text("longer"), id="file in a folder rewritten"),
    ],
)
def test_a_folder_s_fingerprint_changes_with_its_files(tmp_path: Path, change: Callable[[Path], object]) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d").write_text("d")
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    change(tmp_path)
    assert fingerprint(tmp_path) != before


def test_a_kubelet_swap_changes_the_file_and_the_folder(tmp_path: Path) -> None:
    publish_like_kubelet(tmp_path, "2026_01_01", {"clients.yaml": "same size 1"})
    of_file, of_folder = fingerprint(tmp_path / "clients.yaml"), fingerprint(tmp_path)
    publish_like_kubelet(tmp_path, "2026_01_02", {"clients.yaml": "same size 2"})
    assert fingerprint(tmp_path / "clients.yaml") != of_file
    assert fingerprint(tmp_path) != of_folder


def test_kubelet_s_leftovers_are_not_changes(tmp_path: Path) -> None:
    publish_like_kubelet(tmp_path, "2026_01_01", {"clients.yaml": "content"})
    before = [fingerprint(tmp_path / "clients.yaml")]
    (tmp_path / "..2025_12_31").mkdir()
    assert [fingerprint(tmp_path / "clients.yaml")] == before


def test_a_missing_path_and_a_loop_of_links_have_fingerprints(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "back").symlink_to(tmp_path)
    assert len(fingerprint(tmp_path / "missing")) == len(fingerprint(tmp_path / "loop")) == len(fingerprint(tmp_path))
    assert fingerprint(tmp_path / "missing") != fingerprint(tmp_path / "loop")


async def _nothing() -> None:
    raise AssertionError("nothing has changed")


def test_a_watcher_is_quiet_while_nothing_changes(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, _nothing)
    assert not asyncio.run(watcher.check())


def test_a_change_between_making_and_running_is_noticed_once(tmp_path: Path) -> None:
    seen: list[str] = []

    async def on_change() -> None:
        seen.append((tmp_path / "file").read_text())

    async def scenario() -> None:
        watcher = Watcher(tmp_path / "file", on_change)
        (tmp_path / "file").write_text("content")
        assert await watcher.check()
        assert not await watcher.check()

    asyncio.run(scenario())
    assert seen == ["content"]


def test_a_running_watcher_follows_kubelet_swaps(tmp_path: Path) -> None:
    seen: list[str] = []

    async def scenario() -> None:
        changed = asyncio.Event()

        async def on_change() -> None:
            seen.append((tmp_path / "file").read_text())
            changed.set()

        publish_like_kubelet(tmp_path, "1", {"file": "one"})
        running = asyncio.create_task(Watcher(tmp_path / "file", on_change, 0.01).run())
        for version in ("2", "3"):
            publish_like_kubelet(tmp_path, version, {"file": version})
            await asyncio.wait_for(changed.wait(), 10)
            changed.clear()
        running.cancel()

    asyncio.run(scenario())
    assert seen == ["2", "3"]


def test_an_error_of_on_change_is_logged_and_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    async def scenario() -> None:
        second = asyncio.Event()

        async def on_change() -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                (tmp_path / "file").write_text("the next change")
                raise RuntimeError("boom")
            second.set()

        watcher = Watcher(tmp_path / "file", on_change, 0.01, logger=logging.getLogger("given"))
        (tmp_path / "file").write_text("a change")
        running = asyncio.create_task(watcher.run())
        await asyncio.wait_for(second.wait(), 10)
        running.cancel()

    asyncio.run(scenario())
    assert calls == 2
    (record,) = caplog.records
    assert record.name == "given"
    assert record.exc_info is not None


def test_the_watched_paths_may_change(tmp_path: Path) -> None:
    paths = [tmp_path / "one"]
    calls: list[list[Path]] = []

    async def on_change() -> None:
        calls.append(list(paths))

    async def scenario() -> None:
        watcher = Watcher(lambda: paths, on_change)
        paths.append(tmp_path / "two")
        assert await watcher.check()
        (tmp_path / "two").write_text("content")
        assert await watcher.check()
        assert not await watcher.check()

    asyncio.run(scenario())
    assert len(calls) == 2
