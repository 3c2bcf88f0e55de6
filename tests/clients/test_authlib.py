"""Authlib's client, as a developer of a service would set it up."""

from collections.abc import Callable, Iterator

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives import serialization
from joserfc.jwk import ECKey

from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import ASSERTION_KEY, BASIC, POST, REFRESHER, SIGNED

MakeSession = Callable[..., OAuth2Session]


@pytest.fixture
def make_session(service: ServiceCalls, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeSession]:
    """``make_session(client, method)``: an Authlib session for a registered client."""
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the service is on loopback
    sessions: list[OAuth2Session] = []

    def make(client_id: str, secret: object, method: str) -> OAuth2Session:
        session = OAuth2Session(
            client_id, secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method
        )
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


def url(service: ServiceCalls, endpoint: str) -> str:
    return f"{service.process.base_url}/oauth/{endpoint}"


def use_all_endpoints(service: ServiceCalls, session: OAuth2Session) -> None:
    """Get a token, introspect it, revoke it, introspect it again."""
    token = session.fetch_token(url(service, "token"), grant_type="client_credentials", scope="read")
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 3600, "read")
    assert not token.is_expired()
    introspected = session.introspect_token(url(service, "introspect"), token=token["access_token"]).json()
    assert introspected["active"]
    assert introspected["client_id"] == session.client_id
    assert session.revoke_token(url(service, "revoke"), token=token["access_token"]).status_code == 200
    again = session.introspect_token(url(service, "introspect"), token=token["access_token"])
    assert again.json() == {"active": False}


def test_client_secret_basic(service: ServiceCalls, make_session: MakeSession) -> None:
    use_all_endpoints(service, make_session(*BASIC.basic, "client_secret_basic"))


def test_client_secret_post(service: ServiceCalls, make_session: MakeSession) -> None:
    use_all_endpoints(service, make_session(*POST.basic, "client_secret_post"))


def test_private_key_jwt(service: ServiceCalls, make_session: MakeSession) -> None:
    pem = ASSERTION_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    session = make_session(SIGNED.id, ECKey.import_key(pem), "private_key_jwt")
    headers = {"kid": "assertion-key"}
    session.register_client_auth_method(PrivateKeyJWT(url(service, "token"), headers=headers, alg="ES256"))
    use_all_endpoints(service, session)


def test_refreshing(service: ServiceCalls, make_session: MakeSession) -> None:
    session = make_session(*REFRESHER.basic, "client_secret_basic")
    first = session.fetch_token(url(service, "token"), grant_type="client_credentials")
    second = session.refresh_token(url(service, "token"), refresh_token=first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert service.is_active(REFRESHER, second["access_token"])
    revoked = session.revoke_token(url(service, "revoke"), second["refresh_token"], token_type_hint="refresh_token")
    assert revoked.status_code == 200
    assert not service.is_active(REFRESHER, second["access_token"])


def test_the_error_of_a_refusal_reaches_the_developer(service: ServiceCalls, make_session: MakeSession) -> None:
    wrong = make_session(BASIC.id, "wrong", "client_secret_basic")
    with pytest.raises(OAuthError, match="invalid_client: client authentication failed"):
        wrong.fetch_token(url(service, "token"), grant_type="client_credentials")
    session = make_session(*BASIC.basic, "client_secret_basic")
    with pytest.raises(OAuthError, match="invalid_scope"):
        session.fetch_token(url(service, "token"), grant_type="client_credentials", scope="root")
