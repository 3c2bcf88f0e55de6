"""Files and mounted folders: kubelet's symlinks, permissions, and readers that never see half a document."""

import asyncio
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.keys.errors import SourceDenied, SourceUnreachable
from app.keys.sources import file as file_module
from app.keys.sources.file import FileSource

pytestmark = pytest.mark.anyio
AsNobody = Callable[[Callable[[], str]], str]


class Mount:
    """A Secret as kubelet mounts it: ``keyring.json`` → ``..data/keyring.json``, ``..data`` → a dated folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.number = 0
        self.publish(b"first")
        (folder / "keyring.json").symlink_to("..data/keyring.json")

    def publish(self, body: bytes) -> None:
        self.number += 1
        dated = self.folder / f"..2026_01_01_00_00_0{self.number}.1"
        dated.mkdir()
        (dated / "keyring.json").write_bytes(body)
        (self.folder / "..data_tmp").symlink_to(dated.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")


@pytest.mark.parametrize("named", ["", "keyring.json"])
async def test_a_mounted_secret_is_read_and_its_swaps_are_seen(tmp_path: Path, named: str) -> None:
    mount = Mount(tmp_path / "mount")
    source = FileSource(mount.folder / named, interval_seconds=0.02)
    first = await source.read()
    assert first is not None
    assert first.body == b"first"
    changed = asyncio.Event()
    watching = asyncio.create_task(source.watch(changed.set))
    mount.publish(b"second")
    async with asyncio.timeout(10):
        await changed.wait()
    second = await source.read()
    assert second is not None
    assert second.body == b"second"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_mounted_secret_is_never_written(tmp_path: Path) -> None:
    source = FileSource(Mount(tmp_path / "mount").folder)
    assert not source.writable
    with pytest.raises(SourceDenied, match="symlink"):
        await source.write(b"x", await source.read())


async def test_a_document_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    path.write_bytes(b"{}")
    path.chmod(0o666)
    with pytest.raises(SourceDenied, match="chmod o-w"):
        await FileSource(path).read()


def test_a_document_that_may_not_be_read_is_refused(tmp_path: Path, as_nobody: AsNobody) -> None:
    path = tmp_path / "keyring.json"
    path.write_bytes(b"{}")
    path.chmod(0)
    let_in(tmp_path)
    said = as_nobody(lambda: repr(asyncio.run(FileSource(path).read())))
    assert said.startswith("SourceDenied")
    assert "Permission denied" in said


def test_a_folder_that_may_not_be_written_is_known_before_and_refused_then(tmp_path: Path, as_nobody: AsNobody) -> None:
    folder = tmp_path / "ring"
    folder.mkdir()
    let_in(tmp_path)
    folder.chmod(0o555)
    assert as_nobody(lambda: str(FileSource(folder).writable)) == "False"
    said = as_nobody(lambda: repr(asyncio.run(FileSource(folder / "keyring.json").write(b"x", None))))
    assert said.startswith("SourceDenied")
    assert "Permission denied" in said


async def test_a_missing_folder_is_no_ring_and_cannot_be_written(tmp_path: Path) -> None:
    source = FileSource(tmp_path / "nowhere" / "keyring.json")
    assert await source.read() is None
    assert not source.writable
    with pytest.raises(SourceDenied, match="No such file"):
        await source.write(b"x", None)


async def test_a_new_document_is_its_owners_alone_and_a_replaced_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    source = FileSource(path)
    assert await source.write(b"first", None)
    assert mode_of(path) == 0o600
    path.chmod(0o640)
    assert await source.write(b"second", await source.read())
    assert mode_of(path) == 0o640
    assert names_in(tmp_path) == [".keyring.json.lock", "keyring.json"]


def test_written_by_root_it_still_belongs_to_whom_the_service_runs_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        # Without root nothing can be given away; what would be is recorded instead.
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    source = FileSource(tmp_path)
    assert asyncio.run(source.write(b"first", None))
    owner = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert given == [owner, owner], "the lock and the document go to the owner of the folder"
    assert asyncio.run(rewrite(source))
    seen = source.path.stat()
    assert given[-1] == (seen.st_uid, seen.st_gid)


def let_in(folder: Path) -> None:
    """Let everybody through to a folder of the tests' own, from the first that pytest made."""
    for each in (folder, *folder.parents):
        if each.owner() == Path.home().owner() and each.name.startswith(("test_", "pytest-", "popen-")):
            each.chmod(0o755)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def rewrite(source: FileSource) -> bool:
    return await source.write(b"second", await source.read())


async def test_a_reader_never_sees_half_a_document(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    source, seen, done = FileSource(path), set[bytes](), threading.Event()
    assert await source.write(b"0" * 100_000, None)

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 30):
        assert await source.write(str(number % 10).encode() * 100_000, await source.read())
    done.set()
    await asyncio.to_thread(reader.join)
    assert len(seen) > 1
    assert all(len(body) == 100_000 and len(set(body)) == 1 for body in seen)


async def test_a_lock_that_is_never_released_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "LOCK_SECONDS", 0.1)
    source = FileSource(tmp_path / "keyring.json")
    with file_module._locked(tmp_path / ".keyring.json.lock") as held:
        assert held
        with pytest.raises(SourceUnreachable, match="lock"):
            await source.write(b"x", None)
    assert await source.write(b"x", None)


async def test_a_lock_file_that_a_dead_process_left_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".keyring.json.lock").write_bytes(b"")
    (tmp_path / ".keyring.json.new").write_bytes(b"half a docu")
    assert await FileSource(tmp_path).write(b"whole", None)
    assert (tmp_path / "keyring.json").read_bytes() == b"whole"
