"""The schema of audit events is as strict as the page says, and knows the same events and members."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from app.config.keys import SigningAlgorithm
from app.endpoints import limits
from app.grants import GRANTS
from app.observability.audit import AuditEvent, Outcome, token_hash

FOLDER = Path(__file__).parents[3] / "docs" / "operations"
SCHEMA: dict[str, Any] = json.loads((FOLDER / "audit.schema.json").read_text())
PAGE = (FOLDER / "audit.md").read_text()
KINDS = {kind["title"]: kind for kind in SCHEMA["oneOf"]}
ISSUED = {
    "timestamp": "2026-05-04T12:00:00.123456Z",
    "event": "token.issued",
    "outcome": "success",
    "request_id": "r-1",
    "client_id": "billing",
    "address": "203.0.113.7",
    "operation": "issue",
    "grant_type": "client_credentials",
    "token_format": "opaque",
    "token_hash": token_hash("asa_1"),
    "subject": "billing",
    "scope": "read",
}


def test_it_is_a_schema_and_takes_what_it_describes() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(ISSUED, SCHEMA)
    example = next(line for line in PAGE.splitlines() if line.startswith('{"timestamp"'))
    shown = json.loads(example.replace("8c0f…", "8c0f").replace("9f86d0…", "9" * 64))
    jsonschema.validate(shown, SCHEMA)


@pytest.mark.parametrize("member", sorted(ISSUED.keys() - {"scope"}))
def test_a_member_that_is_always_there_is_required(member: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({name: value for name, value in ISSUED.items() if name != member}, SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "token.lost"},
        {"outcome": "refused"},
        {"token_hash": "asa_1" + "x" * 55},
        {"token_hash": "sha256:9f86d0"},
        {"token": "asa_1"},
        {"timestamp": "yesterday"},
        {"request_id": "a b"},
        {"limit": "client"},
        {"suppressed": 0},
    ],
    ids=str,
)
def test_what_is_no_event_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**ISSUED, **wrong}, SCHEMA)


def test_it_knows_the_members_and_values_that_the_program_knows() -> None:
    members = {name for kind in KINDS.values() for name in kind["properties"]}
    assert members == set(AuditEvent.__struct_fields__)
    defined = SCHEMA["$defs"]
    assert set(defined["grant_type"]["enum"]) == {grant.grant_type for grant in GRANTS}
    assert set(defined["algorithm"]["enum"]) == set(SigningAlgorithm)
    assert set(defined["limit"]["enum"]) >= {limits.CLIENT, limits.INTROSPECTION, limits.FAILURE}


def test_it_knows_the_events_of_the_page() -> None:
    section = PAGE.partition("## Events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([^|]+) \|", section, re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", outcomes)) for name, outcomes in rows}
    assert told == {name: set(kind["properties"]["outcome"]["enum"]) for name, kind in KINDS.items()}
    assert {outcome for outcomes in told.values() for outcome in outcomes} == set(Outcome)
