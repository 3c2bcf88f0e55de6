"""A service and the commands with its settings, to whom things are done, and what they tell of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from click.testing import CliRunner

from app.cli import cli
from app.config.fields import all_fields, secret_file_names
from tests.programs.service_calls import ASSERTION_TYPE, ServiceCalls
from tests.programs.service_clients import CANARY, write_clients
from tests.programs.service_fixtures import StartService
from tests.programs.service_process import wait_until

ADMIN_TOKEN = f"{CANARY}-operators-token"
Event = dict[str, Any]


class Scene:
    """A service, the commands with its settings, and its audit."""

    def __init__(self, folder: Path, start: StartService, **settings: str) -> None:
        self.folder = folder
        self.audit = folder / "audit.jsonl"
        (folder / "admin-token").write_text(ADMIN_TOKEN)
        self.settings = {
            "AUDIT_LOG": str(self.audit),
            "ADMIN_TOKEN_FILE": str(folder / "admin-token"),
            "CLIENTS_FILE": str(write_clients(folder / "clients.yaml")),
            "KEYS_FILE": str(folder / "keyring.json"),
            "KEYS_ALGORITHMS": "ES256",
            "EXTERNAL_BASE_URL": "https://auth.example.com",
            **settings,
        }
        self.calls = ServiceCalls(start(**self.settings), ADMIN_TOKEN)
        # The keys that it made for itself: told before anything is done to it, though written a little later.
        wait_until(lambda: bool(self.events()), "the event of the first keys")

    def events(self) -> list[Event]:
        """All so far. A line that is only begun is none."""
        lines = self.audit.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def of(self, act: Callable[["Scene"], object], count: int) -> list[Event]:
        """The events of an act that is to have so many."""
        before = len(self.events())
        act(self)
        wait_until(lambda: len(self.events()) >= before + count, f"{count} events; there are {self.events()[before:]}")
        return self.events()[before:]

    def command(self, *arguments: str, **settings: str) -> None:
        """A command of the service's own."""
        nothing: dict[str, str | None] = {field.name: None for field in all_fields()}
        nothing |= dict.fromkeys(secret_file_names().values())
        done = CliRunner().invoke(cli, arguments, env={**nothing, **self.settings, **settings})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception

    def admin(self, path: str, body: object = None, token: str = ADMIN_TOKEN) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        url = f"{self.calls.process.admin_url}/admin/{path}"
        return httpx.get(url, headers=headers) if body is None else httpx.post(url, json=body, headers=headers)

    def assert_by(self, assertion: str) -> httpx.Response:
        form = {"grant_type": "client_credentials", "client_assertion": assertion}
        return self.calls.http.post("/oauth/token", data={**form, "client_assertion_type": ASSERTION_TYPE})


Told = tuple[str, str, str | None, str | None]
"""Event, outcome, client, and the reason, limit or change, or how that begins; None where it does not matter."""


class Act(NamedTuple):
    """Something that is done, and what is told of it."""

    what: str
    do: Callable[[Scene], object]
    told: list[Told]


def differences(events: list[Event], expected: list[Told]) -> list[object]:
    """What was told otherwise than expected."""
    told = [(e["event"], e["outcome"], e.get("client_id"), _why(e)) for e in events]
    if len(told) != len(expected):
        return [told]
    return [one for one, wanted in zip(told, expected, strict=True) if not _alike(one, wanted)]


def _why(event: Event) -> str | None:
    return event.get("reason") or event.get("limit") or event.get("change")


def _alike(told: Told, wanted: Told) -> bool:
    return told[:3] == wanted[:3] and (wanted[3] is None or str(told[3]).startswith(wanted[3]))


def issued(client_id: str) -> list[Told]:
    return [("token.issued", "success", client_id, None)]


def refused(event: str, client_id: str | None, reason: str) -> list[Told]:
    return [(event, "refused", client_id, reason)]


def no_token(client_id: str | None, reason: str) -> list[Told]:
    return refused("token.refused", client_id, reason)


def no_client(client_id: str | None, reason: str) -> list[Told]:
    return refused("client.refused", client_id, reason)


def changed(what: str) -> list[Told]:
    return [("admin.changed", "success", None, what)]
