"""Where the microseconds of one introspection go, by the program file whose code the core was in (perf).

Samples are taken 997 times a second of CPU time, so a share of the samples is one of the time.
What the kernel does for the server is the kernel's: the sending side of loopback delivers to the receiving one as well.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import clients, flame, rows
from benchmarks.load import LoadError
from benchmarks.machine import REPOSITORY, split_cores
from benchmarks.servers import Server, service

SAMPLES_A_SECOND = 997
PARTS = (
    ("the kernel: epoll, recv, send, TCP over loopback", ("[kernel", "[guest.kernel")),
    ("uvloop and libuv", ("loop.cpython",)),
    ("httptools", ("parser.cpython", "url_parser.cpython")),
    ("the interpreter: app/web, app/endpoints, app/observability", ("libpython", "python3")),
    ("hashes (hashlib, OpenSSL)", ("_hashlib.", "libcrypto.", "_sha", "_blake2.")),
    ("msgspec", ("_core.cpython",)),
    ("the C library and the clock: memory, locks, calls of the system", ("libc.", "libc-", "libpthread", "[vdso]")),
)
OTHERS = "others"
FLAME_GRAPH = REPOSITORY / "docs" / "images" / "introspection-flame.svg"


def lines(seconds: int) -> Iterator[tuple[str, str, str]]:
    """A part, its share, its microseconds: for a table. Raises LoadError or ServerError."""
    perf = shutil.which("perf")
    if perf is None:
        raise LoadError("perf is not on the PATH: sudo apt-get install -y linux-perf")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        samples = Path(name) / "samples"
        record = [perf, "record", "--quiet", "--event", "cpu-clock", "--freq", str(SAMPLES_A_SECOND)]
        us = _beside(
            lambda server: [*record, "--output", str(samples), "--pid", str(server.pid), "--", "sleep", str(seconds)],
            seconds,
        )
        report = _run(
            [perf, "report", "--input", str(samples), "--sort", "dso", "--stdio", "--field-separator", ";", "--quiet"]
        )
    for part, share in shares(report).items():
        yield part, f"{share:.0%}", f"{share * us:.2f} us"
    yield "a request", "100%", f"{us:.2f} us"


def draw(seconds: int, file: Path = FLAME_GRAPH) -> Path:
    """A flame graph of the same, by py-spy. Raises DrawingError, LoadError or ServerError."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise LoadError("py-spy is not installed: make install")
    record = [spy, "record", "--native", "--function", "--format", "raw", "--rate", "500", "--duration", str(seconds)]
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        raw = Path(name) / "stacks"
        _beside(lambda server: [*record, "--output", str(raw), "--pid", str(server.pid)], seconds)
        seen = flame.stacks(raw.read_text())
    title = f"Introspection of a token in memory: parts of the event loop's time, {sum(seen.values()):,} samples"
    file.write_text(flame.flame(seen, title))
    return file


def shares(report: str) -> Mapping[str, float]:
    """The part of the samples in each of :data:`PARTS`, from lines of ``per cent;program file``. Raises LoadError."""
    found = dict.fromkeys((*(part for part, _ in PARTS), OTHERS), 0.0)
    for line in report.splitlines():
        percent, separator, program = line.strip().partition(";")
        if separator:
            found[_part(program.strip())] += float(percent.strip().rstrip("%")) / 100
    if not any(found.values()):
        raise LoadError("perf saw nothing of the server: " + (report.strip() or "its report is empty"))
    return found


def _part(program: str) -> str:
    return next((part for part, beginnings in PARTS if program.startswith(beginnings)), OTHERS)


def _beside(command_for: Callable[[Server], Sequence[str]], seconds: int) -> float:
    """Run a command beside a server under load; the microseconds of the server's CPU time that a request took."""
    server_cores, load_cores = split_cores()
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as name,
        service(server_cores, rows.settings(Path(name))) as it,
    ):
        row = rows.introspection(it, "introspection, opaque", rows.issue(it, clients.OPAQUE))
        rows.run(row, it, seconds=1, cores=load_cores)
        with ThreadPoolExecutor(1) as beside:
            load = beside.submit(rows.run, row, it, seconds=seconds + 1, cores=load_cores)
            _run(command_for(it))
            return 1e6 / load.result().rate_on_cpu


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
