"""requests-oauthlib: client credentials and refreshing."""

from collections.abc import Iterator

import pytest
from oauthlib.oauth2 import (  # type: ignore[import-untyped]  # ships no types
    BackendApplicationClient,
    InvalidClientError,
    InvalidScopeError,
)
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import AUDITOR, BASIC, POST, REFRESHER, RegisteredClient


@pytest.fixture
def token_url(service: ServiceCalls, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the service is on loopback
    return f"{service.process.base_url}/oauth/token"


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Iterator[OAuth2Session]:
    client: RegisteredClient = request.param
    with OAuth2Session(client=BackendApplicationClient(client_id=client.id, scope=["read"])) as made:
        yield made


@pytest.mark.parametrize("session", [BASIC], indirect=True)
def test_client_secret_basic(service: ServiceCalls, session: OAuth2Session, token_url: str) -> None:
    token = session.fetch_token(token_url, auth=HTTPBasicAuth(*BASIC.basic))
    assert token["token_type"] == "Bearer"
    assert token["scope"] == ["read"]
    assert service.is_active(BASIC, token["access_token"])


@pytest.mark.parametrize("session", [POST], indirect=True)
def test_client_secret_post(service: ServiceCalls, session: OAuth2Session, token_url: str) -> None:
    token = session.fetch_token(token_url, client_secret=POST.secret, include_client_id=True)
    assert service.is_active(AUDITOR, token["access_token"])


@pytest.mark.parametrize("session", [REFRESHER], indirect=True)
def test_refreshing(service: ServiceCalls, session: OAuth2Session, token_url: str) -> None:
    auth = HTTPBasicAuth(*REFRESHER.basic)
    first = session.fetch_token(token_url, auth=auth)
    second = session.refresh_token(token_url, refresh_token=first["refresh_token"], auth=auth)
    assert second["refresh_token"] != first["refresh_token"]
    assert service.is_active(REFRESHER, second["access_token"])


@pytest.mark.parametrize("session", [BASIC], indirect=True)
def test_the_error_of_a_refusal_reaches_the_developer(session: OAuth2Session, token_url: str) -> None:
    with pytest.raises(InvalidClientError, match="client authentication failed"):
        session.fetch_token(token_url, auth=HTTPBasicAuth(BASIC.id, "wrong"))
    with pytest.raises(InvalidScopeError):
        session.fetch_token(token_url, auth=HTTPBasicAuth(*BASIC.basic), scope=["root"])
