"""The synthetic probe: what it asks, and that it tells the truth about each step."""

import asyncio
import json
import logging
from urllib.parse import parse_qs

import pytest

from app.clock import stopwatch
from app.model.clients import PROBE_ID
from app.randomness import random_bytes
from app.web.asgi import HotRoutes, Message, Receive, Send
from app.web.probe import SCOPE, SyntheticProbe, probe_client
from tests.unit.endpoints.wiring import Wired

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def nothing_behind(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Probed:
    """A probe of the wired endpoints."""

    def __init__(self, base_path: str = "", seconds: float = 5.0) -> None:
        client, secret = probe_client(random_bytes)
        self.wired = Wired(client)
        self.runs: list[bool] = []
        self.probe = SyntheticProbe(
            HotRoutes(self.wired.edge, self.wired.routes, nothing_behind),
            client,
            secret,
            base_path=base_path,
            interval_seconds=0.001,
            on_run=lambda ok, seconds: self.runs.append(ok and seconds > 0),
            stopwatch=stopwatch,
            random_bytes=random_bytes,
            seconds=seconds,
        )


class Scripted:
    """Answers each step with the next status and body; a body of None never comes."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.asked.append((scope["path"], parse_qs((await receive())["body"].decode())))
        status, body = self.answers.pop(0)
        if body is None:
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send(
            {"type": "http.response.body", "body": body if isinstance(body, bytes) else json.dumps(body).encode()}
        )


async def test_it_issues_introspects_and_revokes_and_leaves_nothing() -> None:
    probed = Probed()
    for _ in range(3):
        assert await probed.probe.probe()
    assert probed.runs == [True] * 3
    assert probed.wired.sample("tokens_issued_total", grant_type="client_credentials", format="opaque") == 3
    assert probed.wired.store.held()["access"] == 0


async def test_it_goes_on_by_itself() -> None:
    probed = Probed()
    running = asyncio.create_task(probed.probe.run())
    async with asyncio.timeout(5):
        while len(probed.runs) < 3:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
    running.cancel()
    assert all(probed.runs)


async def test_a_wrong_path_is_a_failure_and_each_beginning_and_end_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "app.service")
    probed = Probed(base_path="/tenant")
    assert not await probed.probe.probe()
    assert not await probed.probe.probe()
    probed.probe._base_path = ""
    assert await probed.probe.probe()
    assert probed.runs == [False, False, True]
    assert [record.getMessage() for record in caplog.records if "probe" in record.getMessage()] == [
        "the synthetic probe fails: issuing: answered with the status 404",
        "the synthetic probe succeeds again",
    ]


GOOD = [(200, {"access_token": "t"}), (200, {"active": True}), (200, b""), (200, {"active": False})]


@pytest.mark.parametrize(
    ("step", "answer", "said"),
    [
        (0, (503, {"error": "canary"}), "issuing: answered with the status 503"),
        (0, (200, {}), "issuing: there is no access token in the answer"),
        (0, (200, b"canary"), "issuing: the answer is no JSON object"),
        (0, (200, [1]), "issuing: the answer is no JSON object"),
        (0, (200, None), "not done within 0.05 s"),
        (1, (200, {"active": False}), "introspecting: the new token is not active"),
        (1, (401, {}), "introspecting: answered with the status 401"),
        (2, (500, b""), "revoking: answered with the status 500"),
        (3, (200, {"active": True}), "introspecting: the revoked token is still active"),
        (3, (200, None), "not done within 0.05 s"),
    ],
)
async def test_every_step_can_fail_and_is_named(
    step: int, answer: tuple[int, object], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    application = Scripted(*GOOD[:step], answer)
    runs: list[bool] = []
    client, secret = probe_client(random_bytes)
    probe = SyntheticProbe(
        application,
        client,
        secret,
        base_path="",
        interval_seconds=1,
        on_run=lambda ok, _: runs.append(ok),
        stopwatch=stopwatch,
        random_bytes=random_bytes,
        seconds=0.05,
    )
    assert not await probe.probe()
    assert runs == [False]
    assert said in caplog.text
    assert "canary" not in caplog.text
    assert secret not in caplog.text
    application.answers = list(GOOD)
    assert await probe.probe()


def test_its_client_is_nobody_elses_and_may_little() -> None:
    one, another = probe_client(random_bytes), probe_client(random_bytes)
    assert one[1] != another[1]
    assert (one[0].id, one[0].scopes, one[0].grants) == (PROBE_ID, (SCOPE,), frozenset({"client_credentials"}))
    assert one[0].introspect == "own"
