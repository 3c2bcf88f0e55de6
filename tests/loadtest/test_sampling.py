"""What is sampled of a service while it is loaded, and what a folder of such samples is judged by."""

import contextlib
import re
import threading
from http.client import IncompleteRead
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.machine import Machine
from loadtest import guide, guide_page, sampling, scrape
from loadtest.generator import Outcome
from loadtest.guide import MixedRuns, must_be_alike, run_guide, token_seconds, write_report
from loadtest.record import RunFacts, StageEnd, read_record, write_json
from loadtest.sampling import Sample, Sampling
from loadtest.target import Target
from loadtest.verdict import Exit

SCRAPE = """process_cpu_seconds_total {cpu}
process_resident_memory_bytes 7e+07
active_tokens 12.0
"""
FACTS = RunFacts("2026-05-04 12:00", "a service", Machine("cpu", 2, 8.0, "Linux", "CPython", {}, "abc", 0.1))
REPORT = """{"scenario":"seed-basic","run_id":"local","verdict":"pass","seconds":300,"parts":[],"base_url":"http://x",
"endpoints":[{"endpoint":"introspect","requests":30000,"failed":0.0001,"p50_ms":1,"p95_ms":8,"p99_ms":9,"max_ms":20}]}"""


class Service:
    """Answers scrapes; every third one fails."""

    def __init__(self, enough: int) -> None:
        self.asked = 0
        self.seen = threading.Event()
        self._enough = enough

    def fetch(self, url: str) -> str:
        self.asked += 1
        if self.asked >= self._enough:
            self.seen.set()
        if self.asked % 3 == 0:
            raise OSError("no answer")
        return SCRAPE.format(cpu=float(self.asked))


def test_samples_are_taken_until_the_block_ends_and_a_failed_one_is_left_out(tmp_path: Path) -> None:
    service = Service(enough=6)
    with Sampling("http://127.0.0.1/metrics", tmp_path / "usage.csv", interval=0.001, fetch=service.fetch) as taken:
        assert service.seen.wait(30)
    asked = service.asked
    assert taken.failed >= 2
    assert [s.cpu_seconds for s in taken.samples[:4]] == [1, 2, 4, 5]
    assert len(taken.samples) + taken.failed == asked
    written = sampling.read(tmp_path / "usage.csv")
    assert [(s.cpu_seconds, s.resident_bytes, s.live_tokens) for s in written] == [
        (s.cpu_seconds, 70e6, 12) for s in taken.samples
    ]


@pytest.mark.parametrize("name", ["process_cpu_seconds_total", "process_resident_memory_bytes", "active_tokens"])
def test_a_scrape_that_lacks_a_figure_is_no_sample(tmp_path: Path, name: str) -> None:
    service = Service(enough=2)

    def lacking(url: str) -> str:
        return "".join(line for line in service.fetch(url).splitlines(keepends=True) if not line.startswith(name))

    with Sampling("http://127.0.0.1/metrics", tmp_path / "usage.csv", interval=0.001, fetch=lacking) as taken:
        assert service.seen.wait(30)
    assert taken.samples == []
    assert taken.failed >= 2


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        (FACTS, replace(FACTS, machine=replace(FACTS.machine, commit="def")), "commit abc, and this would be of def"),
        (FACTS, replace(FACTS, settings={"DURATION_FACTOR": "0.1"}), "DURATION_FACTOR=0.1"),
    ],
)
def test_stages_of_another_run_are_refused(before: RunFacts, now: RunFacts, says: str, tmp_path: Path) -> None:
    with pytest.raises(MixedRuns, match=says):
        must_be_alike(before, now, tmp_path)


def test_a_stage_again_of_the_same_commit_belongs_to_the_report(tmp_path: Path) -> None:
    must_be_alike(FACTS, replace(FACTS, began="2026-05-05 12:00"), tmp_path)


def test_a_folder_of_another_commit_is_left_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", FACTS)
    target = Target({}, None)
    with pytest.raises(MixedRuns, match="commit abc"):
        run_guide(target, tmp_path, {}, print, lambda: 0.0, only=("basic",))
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("fails_at", [0, 1])
def test_a_scrape_that_fails_is_left_out_and_the_stage_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    taken: list[str] = []
    said: list[str] = []

    def fetch(url: str) -> str:
        taken.append(url)
        if len(taken) == fails_at + 1:
            raise ConnectionRefusedError("refused")
        return SCRAPE.format(cpu=1.0)

    monkeypatch.setattr(scrape, "fetch", fetch)
    monkeypatch.setattr(guide, "Sampling", lambda _url, _copy: contextlib.nullcontext())
    monkeypatch.setattr(guide, "run", lambda *_, report, **__: Outcome(Exit.PASSED, None, report))
    run_guide(Target({}, "http://x/metrics"), tmp_path, {}, said.append, lambda: 0.0, only=("basic",))
    names = ["metrics-before.txt", "metrics-after.txt"]
    assert [path.name for path in (tmp_path / "1-basic").glob("metrics-*")] == [names[1 - fails_at]]
    assert any(names[fails_at] in line and "refused" in line for line in said)
    assert read_record(tmp_path).stages["basic"].usage is None


def test_an_answer_that_is_cut_is_an_error_of_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> None:
        raise IncompleteRead(b"up 1")

    monkeypatch.setattr("urllib.request.urlopen", cut)
    with pytest.raises(OSError, match="no whole answer"):
        scrape.fetch("http://x/metrics")


@pytest.mark.parametrize(
    ("given", "seconds"), [({}, 600), ({"DURATION_FACTOR": "0.5"}, 300), ({"DURATION_FACTOR": "0.01"}, 60)]
)
def test_tokens_live_for_a_third_of_endurance(given: dict[str, str], seconds: int) -> None:
    assert token_seconds(given) == seconds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of two stages: one with all its files, one that k6 did not begin."""
    write_json(tmp_path / "run.json", FACTS)
    basic, stress = tmp_path / "1-basic", tmp_path / "2-stress"
    for path in (basic, stress):
        path.mkdir()
    write_json(basic / "stage.json", StageEnd("basic", Exit.PASSED, 300, "2026-05-04 12:00", 0.1))
    (basic / "report.json").write_text(REPORT)
    (basic / "metrics-before.txt").write_text(SCRAPE.format(cpu=10.0))
    (basic / "metrics-after.txt").write_text(SCRAPE.format(cpu=40.0))
    sampling.write(basic / "usage.csv", [Sample(0, 10, 70e6, 0), Sample(150, 25, 71e6, 5), Sample(300, 40, 72e6, 9)])
    write_json(stress / "stage.json", StageEnd("stress", Exit.NOT_RUN, 1, "2026-05-04 12:05", 0.2))
    return tmp_path


def test_a_run_is_read_from_its_folder(folder: Path) -> None:
    record = read_record(folder)
    assert list(record.stages) == ["basic", "stress"]
    basic, stress = record.stages.values()
    assert basic.usage is not None
    assert basic.usage.cpu_cores == pytest.approx(0.1)
    assert basic.verdict is not None
    assert basic.verdict.endpoints[0].requests == 30_000
    assert (stress.verdict, stress.usage, stress.samples) == (None, None, ())


def test_the_report_has_the_checklist_the_stages_and_charts(folder: Path) -> None:
    record = read_record(folder)
    text = write_report(record, folder).read_text()
    assert not guide_page.passed(record)
    assert "| Token introspection, p95 | < 50 ms | 8.00 ms of 30,000 requests | pass |" in text
    assert "| basic | 2026-05-04 12:00 | 0.1 | 300 | passed | 8.00 ms |  | 3 of 30,000 | 10% | 70.0 MB | 9 |" in text
    assert "| stress | 2026-05-04 12:05 | 0.2 | 1 | not run |  |  |  |  |  |  |" in text
    for name in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (folder / name).read_text().rstrip().endswith("</svg>")
