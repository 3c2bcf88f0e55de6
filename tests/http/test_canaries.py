"""Every flow is run with marked secrets and tokens, then all that is left of it is searched: nothing is found."""

import base64
import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.http.canary_flows import Flows, break_files, command, reload_badly
from tests.http.canary_stage import Stage
from tests.programs.canaries import Canary, forms, search
from tests.programs.service_clients import BASIC, CANARY, REFRESHER
from tests.programs.service_fixtures import FAST_PATHS
from tests.programs.service_process import wait_until

pytestmark = pytest.mark.timeout(180)

NO_SECRET = "told-everywhere-because-it-is-no-secret"
"""A request's id, which belongs into whatever tells of the request."""
PLANTED = Canary.text("planted", f"{CANARY}+planted/<&>-ü-{'8' * 40}")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, require_program: Callable[[str], str]) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("stage"), require_program("redis-server")) as stage:
        yield stage


@pytest.fixture(scope="module")
def places(stage: Stage) -> dict[str, bytes]:
    """What is left after everything."""
    with contextlib.ExitStack() as closing:
        all_flows = [closing.enter_context(contextlib.closing(Flows(stage, process))) for process in stage.processes]
        for flows in all_flows:
            flows.use_well()
            flows.use_badly()
            flows.send_rubbish()
            flows.fail_unforeseen()
            flows.operate()
        marked = {"x-request-id": NO_SECRET}
        all_flows[0].http.post("/oauth/revoke", auth=BASIC.basic, headers=marked, data={"x": "y"})
        reload_badly(stage, stage.processes[0])
        command(stage)
        break_files(stage)
        for flows in all_flows:
            flows.look()
        dumped = stage.dump_of_redis()
        stage.redis.kill()
        for flows in all_flows:
            flows.meet_an_outage()
            flows.look()
        command(stage)
        process = stage.start_without_redis()
        flows = closing.enter_context(contextlib.closing(Flows(stage, process)))
        flows.use_well()
        stage.redis.restart()
        wait_until(lambda: '"degraded":false' in flows.http.get("/health").text, "what memory holds to be in Redis", 30)
        handed_over = {f"after its return, {place}": content for place, content in stage.dump_of_redis().items()}
        wait_until(lambda: NO_SECRET.encode() in stage.collector.raw, "the spans")
    return dumped | handed_over | stage.places()


def test_no_flow_leaves_a_secret_or_a_token_anywhere(stage: Stage, places: dict[str, bytes]) -> None:
    assert len(stage.canaries) > 150
    assert search(stage.canaries, places) == []


def test_it_is_the_right_places_that_are_searched(stage: Stage, places: dict[str, bytes]) -> None:
    for process in stage.processes[:-1]:
        # Where the program itself failed, with a request and a client in its hands, the traceback is in the log.
        assert process.logs.count("Traceback") >= 2
        assert "RuntimeError" in process.logs
    first = FAST_PATHS[0]
    for place in ("the answers", "the audit", "the spans", f"{first}, log"):
        assert NO_SECRET.encode() in places[place], place
    told_of = {
        "Redis, each key by DUMP": BASIC.id.encode(),
        "Redis, commands by MONITOR": b"EVALSHA",
        "Redis, slow log and clients": stage.settings["REDIS_KEY_PREFIX"].encode(),
        "Redis, dump.rdb": BASIC.id.encode(),
        "after its return, Redis, each key by DUMP": REFRESHER.id.encode(),
        "fallback, log": b"memory",
        "the commands": b"clients.yaml",
        "the answers": b"http_server_request_duration_seconds_bucket",
        "support.tar.gz, settings.txt": b"REDIS_KEY_PREFIX",
        "tls, log": b"certificate",
    }
    assert {place: text for place, text in told_of.items() if text not in places[place]} == {}
    assert {name.partition(", ")[2] for name in places if name.startswith("support.tar.gz")} >= {
        "report.txt",
        "process-0/stats.json",
        "process-0/metrics.txt",
    }


def test_one_that_is_planted_is_found_in_each_place_and_form(places: dict[str, bytes]) -> None:
    for form, needle in forms(PLANTED.value):
        for place, content in places.items():
            middle = len(content) // 2
            planted = {place: content[:middle] + needle + content[middle:]}
            assert {found.place for found in search([PLANTED], planted)} == {place}, form


def test_each_of_the_canaries_would_be_found(stage: Stage) -> None:
    values = {canary.value for canary in stage.canaries}
    found = search(stage.canaries, {"a place": b"\n".join(values)})
    assert len([one for one in found if one.form == "raw"]) == len(values)


@pytest.mark.parametrize("before", ["", "a", "ab"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_one_inside_a_longer_text_is_found_through_base64(encode: Callable[[bytes], bytes], before: str) -> None:
    inside = encode(f"{before}billing:{PLANTED.value.decode()}, and more".encode())
    assert search([PLANTED], {"a header": b"Basic " + inside})
