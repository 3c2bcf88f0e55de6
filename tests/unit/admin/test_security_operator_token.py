"""The operators' token is compared in time that tells nothing of it."""

import sys
from collections import Counter
from typing import Any

import pytest

from app.admin.authorization import Access, AdminAuthorization
from app.endpoints.signed_tokens import SignedTokens
from app.storage.memory import MemoryStore
from tests.unit.endpoints.wiring import ISSUER, Clock, key_ring

pytestmark = pytest.mark.anyio

TOKEN = "operators-token-of-some-length"


async def work_of(presented: str) -> Counter[str]:
    """The digests and comparisons that one check costs: calls into C, seen by the interpreter itself."""
    clock = Clock()
    authorization = AdminAuthorization(
        read_operator_token=lambda: TOKEN,
        any_client_may=lambda: False,
        find_client=lambda _client_id: None,
        store=MemoryStore(10, clock),
        signed_tokens=SignedTokens(key_ring, ISSUER, lambda: None),
        issuer=ISSUER,
        now=clock,
    )
    key_ring()  # made once, and not by what is counted
    counted: Counter[str] = Counter()

    def note(_frame: object, event: str, argument: Any) -> None:
        if event == "c_call" and argument.__name__ in ("openssl_sha256", "compare_digest"):
            counted[argument.__name__] += 1

    sys.setprofile(note)
    try:
        access = await authorization.check(f"Bearer {presented}")
    finally:
        sys.setprofile(None)
    assert access is (Access.GRANTED if presented == TOKEN else Access.INVALID_TOKEN)
    return counted


@pytest.mark.parametrize("presented", [TOKEN, "x", TOKEN[:-1], TOKEN + "x", "x" + TOKEN[1:], "x" * len(TOKEN), "ü"])
async def test_right_or_wrong_the_comparison_is_of_two_digests(presented: str) -> None:
    assert await work_of(presented) == {"openssl_sha256": 2, "compare_digest": 1}
