"""Audit events: their schema, what they never hold, and a writer that never makes anybody wait."""

import hashlib
import json
import os
import re
import resource
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.endpoints.exchange import Request
from app.model.tokens import TokenKind
from app.observability.audit import ONE_BY_ONE, Audit, AuditEvent, Outcome, open_audit, silent_audit
from app.observability.audit_destination import Destination, WriteFailed
from app.observability.audit_writer import AuditWriter
from app.protocol.form import FORM_CONTENT_TYPE
from app.protocol.opaque_token import new_token
from tests.unit.endpoints.wiring import Clock

PAGE = Path(__file__).parents[3] / "docs" / "operations" / "audit.md"
NOW = 1_700_000_000.25
GIVEN = new_token(TokenKind.REFRESH, "1a2b", bytes)
TOKEN, REFRESH = "asa_1" + "t" * 55, "asr_1" + "r" * 55
EVENT = AuditEvent(datetime.fromtimestamp(NOW, UTC), "token.issued", Outcome.SUCCESS)
REQUEST = Request("POST", peer="203.0.113.7", request_id="r-1", client_id="billing", operation="issue")
PRESENTING = msgspec.structs.replace(
    REQUEST, operation="refresh", content_type=FORM_CONTENT_TYPE, body=f"refresh_token={GIVEN}".encode()
)


class Lines:
    """A destination in memory that can be held."""

    def __init__(self) -> None:
        self.taken = b""
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()

    def write(self, lines: bytes) -> None:
        self.asked.set()
        assert self.open.wait(10)
        self.taken += lines

    def close(self) -> None:
        """Nothing is open."""

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.taken.splitlines()]


def writer_to(lines: Lines, dropped: list[int], **bounds: int) -> AuditWriter:
    return AuditWriter(lines, on_dropped=dropped.append, **bounds)  # type: ignore[arg-type]


def issue(audit: Audit, **members: Any) -> None:
    given: dict[str, Any] = {
        "grant_type": "refresh_token",
        "token_format": "opaque",
        "token_digest": hashlib.sha256(TOKEN.encode()).digest(),
        "refresh_token_digest": hashlib.sha256(REFRESH.encode()).digest(),
        "subject": "user-1",
        "scope": "read",
    }
    audit.token_issued(REQUEST, **(given | members))


def every_act(audit: Audit) -> None:
    issue(audit)
    audit.token_revoked(REQUEST, TOKEN)
    audit.refresh_token_reused(REQUEST, REFRESH, family_revoked=True)
    audit.request_refused(PRESENTING, "invalid_scope")
    audit.authentication_failed(PRESENTING, "wrong_secret")
    audit.limit_hit(PRESENTING, "client", "app-1")
    audit.key_rotated(actor="service", kid="k-1", algorithm="ES256")
    audit.key_revoked(actor="command", kid="k-1", algorithm="ES256", reason="leaked")
    audit.admin_changed("clients reloaded", actor="service", request=REQUEST)
    audit.admin_refused(request_id="r-2", address="203.0.113.8", reason="forbidden")


def told(act: Any) -> list[dict[str, Any]]:
    """The events of what ``act`` does with an audit."""
    lines = Lines()
    audit = Audit(writer_to(lines, []), lambda: NOW)
    act(audit)
    audit.close()
    return lines.events


def documented(heading: str) -> dict[str, str]:
    """The first two columns of the table under a heading of the page."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip("| `"): row[1].strip() for row in rows}


def test_an_issued_token_is_told_by_its_hash_and_its_circumstances() -> None:
    assert told(issue) == [
        {
            "timestamp": "2023-11-14T22:13:20.250000Z",
            "event": "token.issued",
            "outcome": "success",
            "request_id": "r-1",
            "client_id": "billing",
            "address": "203.0.113.7",
            "operation": "issue",
            "grant_type": "refresh_token",
            "token_format": "opaque",
            "token_hash": "sha256:" + hashlib.sha256(TOKEN.encode()).hexdigest(),
            "refresh_token_hash": "sha256:" + hashlib.sha256(REFRESH.encode()).hexdigest(),
            "subject": "user-1",
            "scope": "read",
        }
    ]


def test_every_act_is_told_in_order_and_none_holds_a_token() -> None:
    events = told(every_act)
    assert [event["event"] for event in events] == [
        "token.issued",
        "token.revoked",
        "refresh_token.reused",
        "token.refused",
        "client.refused",
        "limit.hit",
        "key.rotated",
        "key.revoked",
        "admin.changed",
        "admin.refused",
    ]
    for token in (TOKEN, REFRESH, GIVEN):
        assert token not in json.dumps(events)


def test_what_was_refused_names_the_token_that_was_presented_by_its_hash() -> None:
    of_given = "sha256:" + hashlib.sha256(GIVEN.encode()).hexdigest()
    named = {event["event"] for event in told(every_act) if event.get("token_hash") == of_given}
    assert named == {"token.refused", "client.refused", "limit.hit"}


def test_of_a_flood_of_refusals_the_first_are_told_and_the_others_counted() -> None:
    lines, clock = Lines(), Clock()
    audit = Audit(writer_to(lines, []), clock)

    def refuse(request: Request, count: int = 1000) -> None:
        for _ in range(count):
            audit.request_refused(request, "query_string")
            audit.authentication_failed(request, "wrong_secret")
            audit.admin_refused(request_id="r", address=request.peer, reason="invalid_token")

    refuse(REQUEST)
    for peer in ("203.0.113.8", "2001:db8::1", "2001:db8::2"):  # the last two are of one subscriber
        refuse(msgspec.structs.replace(REQUEST, peer=peer), ONE_BY_ONE)
    refuse(msgspec.structs.replace(REQUEST, client_id="other"), 1)
    clock.now += 61
    refuse(REQUEST, 1)
    audit.close()
    came_to: dict[str, tuple[int, list[int]]] = {}
    for event in lines.events:
        count, untold = came_to.get(event["event"], (0, []))
        came_to[event["event"]] = (count + 1, [*untold, event["suppressed"]] if "suppressed" in event else untold)
    # Three addresses, the first of another minute, and another client where who asks has proved who it is: of those who
    # have not, one that has rows of its own would tell by its time that it exists.
    assert came_to == {
        "token.refused": (3 * ONE_BY_ONE + 1 + 1, [1000 - ONE_BY_ONE]),
        "client.refused": (3 * ONE_BY_ONE + 1, [1000 - ONE_BY_ONE + 1]),
        "admin.refused": (3 * ONE_BY_ONE + 1, [1000 - ONE_BY_ONE + 1]),
    }


def test_of_a_flood_from_more_addresses_than_are_kept_apart_the_counted_are_counted_as_lost(tmp_path: Path) -> None:
    clock, dropped = Clock(), 0

    def drop(count: int) -> None:
        nonlocal dropped
        dropped += count

    audit = open_audit(str(tmp_path / "audit"), now=clock, on_dropped=drop)
    for _ in range(ONE_BY_ONE + 7):
        audit.authentication_failed(REQUEST, "wrong_secret")
    assert dropped == 0
    for number in range(10_000):
        peer = f"10.0.{number // 256}.{number % 256}"
        audit.authentication_failed(msgspec.structs.replace(REQUEST, peer=peer), "wrong_secret")
    audit.close()
    assert dropped == 7


def test_of_a_row_of_hits_of_a_limit_the_first_of_a_minute_is_told_with_the_number_untold() -> None:
    lines, clock = Lines(), Clock()
    audit = Audit(writer_to(lines, []), clock)
    for limit, key in (("client", "billing"), ("client", "shop"), ("introspection", "billing")):
        for _ in range(10):
            audit.limit_hit(REQUEST, limit, key)
    clock.now += 61
    audit.limit_hit(REQUEST, "client", "billing")
    audit.close()
    hits = [(event["limit"], event.get("suppressed", 0)) for event in lines.events]
    assert hits == [("client", 0), ("client", 0), ("introspection", 0), ("client", 9)]


def test_hits_of_a_limit_that_were_counted_and_can_no_more_be_told_are_counted_as_lost() -> None:
    lines, clock, dropped = Lines(), Clock(), list[int]()
    audit = Audit(writer_to(lines, []), clock, dropped.append)
    for _ in range(8):
        audit.limit_hit(REQUEST, "failure", "192.0.2.1")
    assert dropped == []
    for number in range(10_000):
        audit.limit_hit(REQUEST, "failure", f"10.0.{number // 256}.{number % 256}")
    audit.close()
    assert dropped == [7]


def test_failed_authentications_of_an_address_are_one_row_whatever_was_wrong() -> None:
    lines = Lines()
    audit = Audit(writer_to(lines, []), lambda: NOW)
    for number in range(1000):
        known = msgspec.structs.replace(REQUEST, client_id=f"client {number}" if number % 2 else None)
        audit.authentication_failed(known, "wrong_secret" if number % 2 else "unknown_client")
    audit.close()
    assert len(lines.events) == ONE_BY_ONE


def test_the_page_describes_every_event_and_every_member() -> None:
    kinds: dict[str, set[str]] = {}
    for event in told(every_act):
        kinds.setdefault(event["event"], set()).add(event["outcome"])
    outcomes = {name: set(re.findall(r"`(\w+)`", text)) for name, text in documented("Events").items()}
    assert set(outcomes) == set(kinds)
    for name, found in kinds.items():
        assert found <= outcomes[name]
    assert {outcome for several in outcomes.values() for outcome in several} == {*Outcome}
    assert list(documented("Members")) == list(AuditEvent.__struct_fields__)


def test_the_members_of_every_event_have_the_documented_types() -> None:
    types = {"string": str, "number": int}
    schema = {name: types[kind] for name, kind in documented("Members").items()}
    for event in told(every_act):
        for name, value in event.items():
            assert isinstance(value, schema[name]), (name, value)


def test_a_destination_that_blocks_makes_nobody_wait_and_what_finds_no_room_is_counted() -> None:
    lines, dropped = Lines(), list[int]()
    lines.open.clear()
    audit = Audit(writer_to(lines, dropped, max_waiting=10), lambda: NOW)
    issue(audit)
    assert lines.asked.wait(10)  # the thread holds one event, and does not come back
    for _ in range(25):
        issue(audit)
    assert sum(dropped) == 15
    lines.open.set()
    audit.close()
    assert len(lines.events) == 11


def test_what_ends_tokens_and_what_operators_do_find_room_where_a_flood_of_refusals_finds_none() -> None:
    lines, dropped = Lines(), list[int]()
    lines.open.clear()
    audit = Audit(writer_to(lines, dropped, max_waiting=10, reserve=4), lambda: NOW)
    issue(audit)
    assert lines.asked.wait(10)  # the thread holds one event, and does not come back
    for _ in range(25):
        issue(audit)
    assert sum(dropped) == 15
    for _ in range(10):  # clients can cause these as well, and fill their places alone
        audit.token_revoked(REQUEST, TOKEN)
        audit.refresh_token_reused(REQUEST, REFRESH, family_revoked=True)
    assert sum(dropped) == 15 + 16
    audit.key_revoked(actor="command", kid="k-1")
    audit.key_rotated(actor="service")
    audit.admin_changed("clients reloaded", actor="service")
    assert sum(dropped) == 15 + 16
    issue(audit)
    assert sum(dropped) == 15 + 16 + 1
    lines.open.set()
    audit.close()
    assert [event["event"] for event in lines.events] == [
        *["token.issued"] * 11,
        *["token.revoked", "refresh_token.reused"] * 2,
        "key.revoked",
        "key.rotated",
        "admin.changed",
    ]


def test_closing_waits_for_a_bounded_time_and_counts_what_is_lost() -> None:
    lines, dropped = Lines(), list[int]()
    lines.open.clear()
    writer = writer_to(lines, dropped)
    for _ in range(3):
        writer.put(EVENT)
    assert lines.asked.wait(10)
    writer.put(EVENT)
    writer.close(0.05)
    assert sum(dropped) == 1
    lines.open.set()


def test_every_event_of_several_threads_is_written_once() -> None:
    lines, dropped = Lines(), list[int]()
    audit = Audit(writer_to(lines, dropped), lambda: NOW)

    def rotate(thread: int) -> None:
        for number in range(500):
            audit.key_rotated(actor="service", kid=f"{thread}-{number}")

    threads = [threading.Thread(target=rotate, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit.close()
    assert dropped == []
    assert sorted(event["kid"] for event in lines.events) == sorted(f"{t}-{n}" for t in range(4) for n in range(500))


def test_a_file_that_was_renamed_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    to = Destination(path=path)
    to.write(b"one\n")
    path.rename(tmp_path / "audit.jsonl.1")
    to.write(b"two\n")
    to.close()
    assert (tmp_path / "audit.jsonl.1").read_bytes() == b"one\n"
    assert path.read_bytes() == b"two\n"
    assert path.stat().st_mode & 0o007 == 0


@pytest.fixture
def longest_file() -> Iterator[Callable[[int], None]]:
    """``longest_file(size)``: no file of this process grows beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_was_torn_takes_no_other_with_it(tmp_path: Path, longest_file: Callable[[int], None]) -> None:
    to = Destination(path=tmp_path / "audit.jsonl")
    longest_file(10)
    with pytest.raises(WriteFailed) as failed:
        to.write(b"one\ntwo\nthree\nfour\n")
    assert failed.value.lines == 2
    longest_file(1000)
    to.write(b"five\n")
    to.write(b"six\n")
    assert (tmp_path / "audit.jsonl").read_bytes() == b"one\ntwo\nth\nfive\nsix\n"
    longest_file(22)
    with pytest.raises(WriteFailed) as failed:
        to.write(b"7\n8\n")
    assert failed.value.lines == 1
    longest_file(1000)
    to.write(b"nine\n")
    to.close()
    assert (tmp_path / "audit.jsonl").read_bytes() == b"one\ntwo\nth\nfive\nsix\n7\nnine\n"


def test_a_line_that_an_earlier_process_left_torn_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for before, after in ((b"", b"new\n"), (b"whole\n", b"whole\nnew\n"), (b"to", b"to\nnew\n")):
        path.write_bytes(before)
        to = Destination(path=path)
        to.write(b"new\n")
        to.close()
        assert path.read_bytes() == after


def test_a_pipe_that_takes_lines_in_pieces_gets_them_whole() -> None:
    reader, writing = os.pipe()
    os.set_blocking(writing, False)
    line = b"x" * 999 + b"\n"
    failures: list[Exception] = []

    def write() -> None:
        try:
            Destination(writing).write(line * 1000)
        except (OSError, WriteFailed) as failure:
            failures.append(failure)
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reader, "rb") as pipe:
        taken = pipe.read()
    writer.join()
    assert failures == []
    assert taken == line * 1000


def test_what_a_torn_write_costs_is_counted_and_the_rest_is_not(
    tmp_path: Path, longest_file: Callable[[int], None]
) -> None:
    lines, dropped = Lines(), list[int]()
    issue(Audit(writer := writer_to(lines, []), lambda: NOW))
    writer.close()
    length = len(lines.taken)
    audit = Audit(AuditWriter(Destination(path=tmp_path / "a"), on_dropped=dropped.append), lambda: NOW)
    longest_file(2 * length + length // 2)
    for _ in range(5):
        issue(audit)
    audit.close()
    assert sum(dropped) == 3
    longest_file(10 * length)
    issue(audit)
    audit.close()
    told = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    assert [line == lines.taken for line in told] == [True, True, False, True]
    assert sum(dropped) == 3


def test_a_destination_that_fails_costs_its_events_and_they_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    reader, writing = os.pipe()
    os.close(reader)
    dropped: list[int] = []
    audit = Audit(AuditWriter(Destination(writing), on_dropped=dropped.append), lambda: NOW)
    issue(audit)
    audit.close()
    os.close(writing)
    assert sum(dropped) == 1
    assert "audit events cannot be written" in caplog.text


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        open_audit(str(tmp_path / "missing" / "audit"), now=lambda: NOW, on_dropped=lambda _count: None)


def test_a_look_at_what_was_told_last_is_not_filled_by_what_comes_in_thousands() -> None:
    lines = Lines()
    audit = Audit(writer_to(lines, []), lambda: NOW)
    audit.token_revoked(REQUEST, TOKEN)
    for _ in range(1000):
        issue(audit)
        audit.token_revoked(REQUEST, TOKEN, actor="operator")
    audit.admin_changed("revoked a list", actor="operator", request=REQUEST)
    audit.close()
    assert [event.event for event in audit.recent] == ["admin.changed", "token.revoked"]
    assert len(lines.events) == 2002


def test_off_tells_nothing_and_costs_no_thread() -> None:
    before = threading.active_count()
    for audit in (silent_audit(), open_audit("off", now=lambda: NOW, on_dropped=lambda _count: None)):
        assert not audit.enabled
        every_act(audit)
        audit.close()
    assert threading.active_count() == before
