"""Where the time of a request goes: what perf prints is read, and the ceilings answer as the bare server does."""

import os

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.bare_server import BODY
from benchmarks.load import LoadError
from benchmarks.profile import OTHERS, PARTS, shares
from benchmarks.servers import bare_server

KERNEL, LOOP, PARSER, INTERPRETER, *_, CLOCK = (part for part, _ in PARTS)


def test_samples_are_counted_by_the_part_that_their_program_file_belongs_to() -> None:
    report = """
    40.00%;[kernel.kallsyms]
     1.50%;[vdso]
    10.00%;loop.cpython-311-x86_64-linux-gnu.so
     5.00%;parser.cpython-311-x86_64-linux-gnu.so
    30.00%;libpython3.11.so.1.0
    10.00%;python3.11
     3.50%;_a_library_of_tomorrow.so
    """
    found = {part: round(share, 4) for part, share in shares(report).items() if share}
    assert found == {KERNEL: 0.4, CLOCK: 0.015, LOOP: 0.1, PARSER: 0.05, INTERPRETER: 0.4, OTHERS: 0.035}


@pytest.mark.parametrize("report", ["", "\n", "Error: no samples\n"])
def test_a_report_without_samples_is_an_error(report: str) -> None:
    with pytest.raises(LoadError, match="perf saw nothing of the server"):
        shares(report)


@pytest.mark.parametrize(
    ("options", "says"),
    [((), "perf is not on the PATH: sudo apt-get install"), (("--flame-graph",), "py-spy is not installed: make inst")],
)
def test_without_its_program_a_profile_says_what_brings_it(
    options: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.profile.shutil.which", lambda *_, **__: None)
    done = CliRunner().invoke(main, ["profile", *options])
    assert isinstance(done.exception, LoadError)
    assert says in str(done.exception)


@pytest.mark.parametrize("ceiling", ["Unparsed", "Parsed"])
def test_a_ceiling_answers_every_request_of_a_connection_as_the_bare_server_does(ceiling: str) -> None:
    with bare_server(sorted(os.sched_getaffinity(0)), f"benchmarks.ceilings:{ceiling}") as server:
        for _ in range(2):
            assert server.ask("POST", "/oauth/introspect", form="token=a") == (200, BODY)
