"""Client credentials: what a client gets for itself."""

from typing import Any

import pytest

from app.grants import GRANTS
from app.grants.client_credentials import ClientCredentials
from app.grants.decision import Issue, Loaded, TokenPolicy
from app.model.clients import Client, ClientAuthMethod
from app.protocol.errors import ProtocolError
from app.protocol.token_request import TokenRequest

NOW = 1_800_000_000
API, OTHER_API, ISSUER = "https://api.example", "https://other.example", "https://issuer.example"
POLICY = TokenPolicy(issuer=ISSUER, refresh_reuse_grace_seconds=0)
GRANT = ClientCredentials()


def client(**members: Any) -> Client:
    return Client("billing", scopes=("read", "write"), audiences=(API, OTHER_API), **members)


def decide(who: Client, **parameters: Any) -> Issue:
    return GRANT.decide(TokenRequest("client_credentials", **parameters), who, Loaded(), NOW, POLICY)


def test_the_grants_are_these() -> None:
    assert [grant.grant_type for grant in GRANTS] == ["client_credentials", "refresh_token"]


@pytest.mark.parametrize(
    ("who", "permitted"),
    [
        (client(), True),
        (client(auth_method=ClientAuthMethod.CLIENT_SECRET_POST), True),
        (client(auth_method=ClientAuthMethod.PRIVATE_KEY_JWT), True),
        # RFC 6749 section 4.4: "The client credentials grant type MUST only be used by confidential clients."
        (client(auth_method=ClientAuthMethod.NONE), False),
        (client(grants=frozenset()), False),
        (client(grants=frozenset({"authorization_code"})), False),
        (client(grants=frozenset({"authorization_code", "client_credentials"})), True),
    ],
)
def test_only_confidential_clients_that_are_registered_for_it_may_use_it(who: Client, permitted: bool) -> None:
    assert GRANT.permitted(who) is permitted


def test_it_needs_nothing_loaded() -> None:
    assert GRANT.refresh_token_of(TokenRequest("client_credentials", refresh_token="x")) is None


@pytest.mark.parametrize(
    ("who", "parameters", "issue"),
    [
        (client(), {}, Issue("billing", "read write", (API,))),
        (client(default_scopes=("read",)), {}, Issue("billing", "read", (API,))),
        (client(), {"scope": "write"}, Issue("billing", "write", (API,))),
        (client(), {"resources": (OTHER_API,)}, Issue("billing", "read write", (OTHER_API,))),
        (client(), {"resources": (OTHER_API, API)}, Issue("billing", "read write", (OTHER_API, API))),
        (Client("billing"), {}, Issue("billing", "", (ISSUER,))),
        # RFC 6749 section 4.4.3: "A refresh token SHOULD NOT be included", unless the client is set so.
        (client(refresh_token_enabled=True), {}, Issue("billing", "read write", (API,), with_refresh_token=True)),
    ],
)
def test_a_client_gets_a_token_for_itself(who: Client, parameters: dict[str, Any], issue: Issue) -> None:
    assert decide(who, **parameters) == issue


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"scope": "read admin"}, "invalid_scope"),
        ({"scope": "read  write"}, "invalid_scope"),
        ({"resources": ("https://elsewhere.example",)}, "invalid_target"),
        ({"resources": (API, ISSUER)}, "invalid_target"),
    ],
)
def test_more_than_the_client_may_have_is_refused(parameters: dict[str, Any], error: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        decide(client(), **parameters)
    assert raised.value.error.code == error
