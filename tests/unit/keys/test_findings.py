"""What ``keys verify`` says of a ring that can be read."""

import msgspec
import pytest

from app.keys.document import RingDocument
from app.keys.findings import findings
from app.keys.policy import RotationPolicy
from tests.unit.keys.conftest import NOW
from tests.unit.keys.test_rotation import DAY, LEAD, POLICY, SIGNING, STANDING, STEADY, key


def test_an_orderly_ring_has_none() -> None:
    assert findings(STEADY, NOW, POLICY, kek_given=False) == ()


@pytest.mark.parametrize(
    ("document", "now", "grave", "says"),
    [
        (RingDocument(keys=(STANDING,)), NOW, True, "no key signs; `auth-service keys rotate` makes one"),
        (RingDocument(keys=(key("first", signs_from=NOW + 60), STANDING)), NOW, True, "the first one signs in 60 s"),
        (RingDocument(keys=(SIGNING,)), NOW, True, "no successor stands ready"),
        (RingDocument(keys=(SIGNING, key("young", NOW - 100))), NOW, False, "know the successor in 380 s"),
        (STEADY, NOW + DAY + LEAD + 60, True, "overdue by 540 s"),
        (RingDocument(keys=(SIGNING, STANDING, key("future", NOW + 31))), NOW, True, "in the future"),
    ],
)
def test_what_is_not_in_order_is_named(document: RingDocument, now: float, grave: bool, says: str) -> None:
    (found,) = findings(document, now, POLICY, kek_given=False)
    assert found.grave is grave
    assert says in found.text


def test_unsealed_keys_are_named_where_a_kek_is_given() -> None:
    (found,) = findings(STEADY, NOW, POLICY, kek_given=True)
    assert "2 private keys are not sealed" in found.text


def test_algorithms_that_are_not_configured_are_worth_a_note() -> None:
    other = msgspec.structs.replace(STANDING, kid="other", algorithm="EdDSA")
    (found,) = findings(RingDocument(keys=(*STEADY.keys, other)), NOW, POLICY, kek_given=False)
    assert (found.grave, found.text.startswith("EdDSA: not configured")) == (False, True)


def test_every_configured_algorithm_is_looked_at() -> None:
    found = findings(STEADY, NOW, RotationPolicy(algorithms=("ES256", "RS256")), kek_given=False)
    assert [f.text.split(":")[0] for f in found] == ["RS256", "RS256"]
