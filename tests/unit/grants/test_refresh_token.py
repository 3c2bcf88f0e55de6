"""Refreshing: rotation, reuse, and that nothing is ever widened."""

from typing import Any

import msgspec
import pytest

from app.grants.decision import Decision, FamilyLife, Issue, Loaded, ReuseDetected, TokenPolicy
from app.grants.refresh_token import RefreshToken
from app.model.clients import Client, ClientAuthMethod
from app.model.tokens import RECORD_VERSION, RefreshTokenRecord, TokenRef
from app.protocol.errors import ProtocolError
from app.protocol.token_request import TokenRequest

NOW = 1_800_000_000
API, OTHER_API, ISSUER = "https://api.example", "https://other.example", "https://issuer.example"
GRANT = RefreshToken()
REF = TokenRef("1a2b", bytes(32))
RECORD = RefreshTokenRecord(
    version=RECORD_VERSION,
    client_id="billing",
    subject="user-1",
    scope="read write",
    audience=(API, OTHER_API),
    issued_at=NOW - 100,
    expires_at=NOW + 100,
    family="1a2bfamily",
    family_expires_at=NOW + 1000,
)
CLIENT = Client("billing", scopes=("read", "write"), audiences=(API, OTHER_API), refresh_token_enabled=True)


def changed(value: Any, **members: object) -> Any:
    return msgspec.structs.replace(value, **members)


def decide(
    record: RefreshTokenRecord | None = RECORD, who: Client = CLIENT, grace: int = 0, now: int = NOW, **parameters: Any
) -> Decision:
    policy = TokenPolicy(issuer=ISSUER, refresh_reuse_grace_seconds=grace)
    loaded = Loaded() if record is None else Loaded(REF, record)
    return GRANT.decide(TokenRequest("refresh_token", refresh_token="r", **parameters), who, loaded, now, policy)


def refusal(*arguments: Any, **parameters: Any) -> ProtocolError:
    with pytest.raises(ProtocolError) as raised:
        decide(*arguments, **parameters)
    return raised.value


@pytest.mark.parametrize(
    ("who", "permitted"),
    [
        (CLIENT, True),
        (changed(CLIENT, auth_method=ClientAuthMethod.NONE), True),
        (changed(CLIENT, refresh_token_enabled=False), False),
        (changed(CLIENT, refresh_token_enabled=False, grants=frozenset({"refresh_token"})), False),
    ],
)
def test_the_clients_refresh_setting_permits_it(who: Client, permitted: bool) -> None:
    assert GRANT.permitted(who) is permitted


def test_the_refresh_token_is_loaded_and_must_be_there() -> None:
    assert GRANT.refresh_token_of(TokenRequest("refresh_token", refresh_token="r")) == "r"
    with pytest.raises(ProtocolError) as raised:
        GRANT.refresh_token_of(TokenRequest("refresh_token"))
    assert (raised.value.error.code, raised.value.reason) == ("invalid_request", "missing_parameter")


REFRESHED = Issue(
    subject="user-1",
    scope="read write",
    audience=(API, OTHER_API),
    with_refresh_token=True,
    refresh_scope="read write",
    refresh_audience=(API, OTHER_API),
    family=FamilyLife("1a2bfamily", NOW + 1000),
    used=(REF, changed(RECORD, used_at=NOW)),
)


@pytest.mark.parametrize(
    ("parameters", "issue"),
    [
        ({}, {}),
        # The access token may be narrower than the grant; the refresh token keeps the grant (RFC 6749 section 6).
        ({"scope": "read"}, {"scope": "read"}),
        ({"scope": "write read"}, {"scope": "write read"}),
        ({"resources": (OTHER_API,)}, {"audience": (OTHER_API,)}),
        # What the client may no longer have is not in its new tokens.
        ({"who": changed(CLIENT, scopes=("write",))}, {"scope": "write"}),
        ({"who": changed(CLIENT, scopes=("read", "write", "admin"))}, {}),
        ({"who": changed(CLIENT, audiences=(OTHER_API,))}, {"audience": (OTHER_API,)}),
        ({"who": changed(CLIENT, audiences=(API, OTHER_API, "https://new.example"))}, {}),
        ({"who": changed(CLIENT, audiences=(OTHER_API, API))}, {}),
    ],
)
def test_a_refresh_gives_new_tokens_of_the_same_family(parameters: dict[str, Any], issue: dict[str, Any]) -> None:
    assert decide(**parameters) == changed(REFRESHED, **issue)


@pytest.mark.parametrize("audiences", [(), (API,)])
def test_the_issuer_itself_stays_an_audience(audiences: tuple[str, ...]) -> None:
    """It is what a client without audiences gets, and is granted by no setting that could be withdrawn."""
    decision = decide(changed(RECORD, audience=(ISSUER,)), changed(CLIENT, audiences=audiences))
    assert isinstance(decision, Issue)
    assert decision.audience == (ISSUER,)


@pytest.mark.parametrize(
    ("parameters", "error", "reason"),
    [
        ({"record": None}, "invalid_grant", "refresh_token_unknown"),
        ({"who": changed(CLIENT, id="other")}, "invalid_grant", "refresh_token_unknown"),
        (
            {"who": changed(CLIENT, id="other"), "record": changed(RECORD, used_at=NOW)},
            "invalid_grant",
            "refresh_token_unknown",
        ),
        ({"record": changed(RECORD, expires_at=NOW)}, "invalid_grant", "refresh_token_expired"),
        ({"record": changed(RECORD, family_expires_at=NOW)}, "invalid_grant", "refresh_token_expired"),
        ({"scope": "read write admin"}, "invalid_scope", "scope_widened"),
        ({"scope": "admin"}, "invalid_scope", "scope_widened"),
        ({"scope": "read  write"}, "invalid_scope", "scope_malformed"),
        # Granted once, but no longer the client's: asked for by name it is refused.
        ({"scope": "read", "who": changed(CLIENT, scopes=("write",))}, "invalid_scope", "scope_widened"),
        # With nothing left an answer would be silently less than what was asked for.
        ({"scope": "read", "who": changed(CLIENT, scopes=())}, "invalid_scope", "scope_lost"),
        ({"who": changed(CLIENT, scopes=())}, "invalid_scope", "scope_lost"),
        ({"resources": ("https://elsewhere.example",)}, "invalid_target", "resource_not_allowed"),
        (
            {"resources": (API,), "who": changed(CLIENT, audiences=(OTHER_API,))},
            "invalid_target",
            "resource_not_allowed",
        ),
        # Allowed to the client now, but not part of what was granted.
        (
            {"resources": (API,), "record": changed(RECORD, audience=(OTHER_API,))},
            "invalid_target",
            "resource_not_allowed",
        ),
        ({"who": changed(CLIENT, audiences=("https://new.example",))}, "invalid_grant", "refresh_token_audience"),
        ({"who": changed(CLIENT, audiences=())}, "invalid_grant", "refresh_token_audience"),
    ],
)
def test_what_is_refused_uses_nothing_up(parameters: dict[str, Any], error: str, reason: str) -> None:
    refused = refusal(**parameters)
    assert (refused.error.code, refused.reason) == (error, reason)


def test_it_is_alive_to_the_last_second() -> None:
    assert isinstance(decide(changed(RECORD, expires_at=NOW + 1, family_expires_at=NOW + 1)), Issue)


def test_unknown_expired_and_anothers_look_the_same() -> None:
    looks = {
        (refused.error, refused.description)
        for refused in (
            refusal(None),
            refusal(who=changed(CLIENT, id="other")),
            refusal(changed(RECORD, expires_at=NOW)),
        )
    }
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("grace", "used_at", "revoke"),
    [
        # Strict: any second use, whatever the clocks of two replicas, or a slow first decision, make of its time.
        (0, NOW, True),
        (0, NOW - 1, True),
        (0, NOW + 1, True),
        (0, NOW + 30, True),
        (0, 0, True),
        (10, NOW, False),
        (10, NOW - 9, False),
        (10, NOW - 10, True),
        (10, NOW - 11, True),
        (10, NOW + 1, False),
    ],
)
def test_a_second_use_ends_the_family_unless_it_is_within_the_grace(grace: int, used_at: int, revoke: bool) -> None:
    decision = decide(changed(RECORD, used_at=used_at), grace=grace)
    assert decision == ReuseDetected("1a2bfamily", NOW + 1000, revoke)


def test_reuse_is_seen_even_if_what_is_asked_for_is_wrong() -> None:
    for parameters in ({"scope": "admin"}, {"resources": ("https://elsewhere.example",)}):
        assert isinstance(decide(changed(RECORD, used_at=NOW - 1), **parameters), ReuseDetected)
