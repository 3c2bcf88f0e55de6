"""What RFC 9700 asks of every authorization server and no other test shows: nothing redirects, nobody names itself."""

from collections.abc import Iterator

import httpx
import jwt
import pytest

from tests.programs.raw_http import exchange, request_bytes
from tests.programs.service_calls import ServiceCalls, assert_refused
from tests.programs.service_clients import ADMIN, AUDITOR, BASIC, JWT, OTHER, RegisteredClient

PATHS = (
    "/",
    "/oauth/token",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/authorize",
    "/jwks.json",
    "/health",
    "/admin",
)
ELSEWHERE = "https://attacker.example/"


def targets() -> Iterator[str]:
    """Every path as it is, in the ways that servers like to tidy up, and with where to go."""
    for path in PATHS:
        yield from (path, f"{path}/", f"/{path}", f"{path}//", f"/.{path}", f"/x/..{path}", f"{path}%2f")
        for name in ("redirect_uri", "redirect", "url", "next", "return_to", "post_logout_redirect_uri"):
            yield f"{path}?{name}={ELSEWHERE}"
    yield from (
        "//attacker.example",
        "//attacker.example/%2e%2e",
        "/\\attacker.example",
        "/%0d%0alocation:%20x",
        ELSEWHERE,
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_redirects(service: ServiceCalls, method: str) -> None:
    """RFC 9700 sections 4.11.2 and 4.12: who never redirects is no open redirector, and forwards no credentials."""
    forwarded = ((b"x-forwarded-host", b"attacker.example"), (b"x-original-url", b"//attacker.example"))
    for target in targets():
        answer = exchange(service.process.address, request_bytes(method, target, forwarded), method=method)
        assert not 300 <= answer.status < 400, target
        assert answer.header("location") is None, target
        assert answer.header("refresh") is None, target


@pytest.mark.parametrize(
    "name", ["sub", "subject", "username", "user_id", "azp", "act", "actor_token", "claims", "iss"]
)
@pytest.mark.parametrize("client", [BASIC, JWT], ids=["opaque", "JWT"])
def test_a_client_cannot_choose_whom_its_token_is_about(
    service: ServiceCalls, client: RegisteredClient, name: str
) -> None:
    """RFC 9700 section 4.15.1. What is not understood is ignored (RFC 6749 section 3.2)."""
    token = service.access_token(client, **{name: ADMIN.id})
    told = service.introspect(AUDITOR, token)
    assert (told["sub"], told["client_id"]) == (client.id, client.id)
    assert ADMIN.id not in {str(value) for value in told.values()}
    if client is JWT:
        claims = jwt.decode(token, options={"verify_signature": False})
        assert (claims["sub"], claims["client_id"]) == (JWT.id, JWT.id)
        assert ADMIN.id not in {str(value) for value in claims.values()}


def test_a_client_cannot_take_anothers_id(service: ServiceCalls) -> None:
    """RFC 9700 section 4.15.1, and RFC 6749 section 2.3: who authenticates is who asks."""
    for path in ("/oauth/token", "/oauth/introspect", "/oauth/revoke"):
        form = {"grant_type": "client_credentials", "token": "x", "client_id": OTHER.id}
        answer = service.http.post(path, auth=BASIC.basic, data=form)
        assert answer.status_code in (400, 401), path
        assert answer.json()["error"] in ("invalid_request", "invalid_client"), path


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password", "username": "a", "password": "b"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
        ({"response_type": "token"}, "invalid_request"),
    ],
    ids=str,
)
def test_the_grants_that_must_not_be_used_are_not_there(
    service: ServiceCalls, form: dict[str, str], error: str
) -> None:
    """RFC 9700 sections 2.1.2 and 2.4."""
    assert_refused(service.http.post("/oauth/token", auth=BASIC.basic, data=form), 400, error)
    assert service.http.get("/oauth/authorize", params=form).status_code == 404


def test_a_token_in_the_url_opens_nothing(service: ServiceCalls) -> None:
    """RFC 9700 section 4.3.2: URLs are kept by browsers, proxies and logs."""
    token = service.access_token(ADMIN, scope="auth-service:admin read")
    own = (service.process.folder / "admin-token").read_text()
    for given in (token, own):
        for name in ("access_token", "token", "authorization"):
            answer = httpx.get(f"{service.process.admin_url}/admin/stats", params={name: given})
            assert answer.status_code == 401
    form = {"grant_type": "client_credentials", "client_id": BASIC.id, "client_secret": BASIC.secret}
    assert service.http.post("/oauth/token", params=form).status_code in (400, 401)


def test_no_cross_origin_reading_where_browsers_are_sent(service: ServiceCalls) -> None:
    """RFC 9700 section 2.6: no CORS at the authorization endpoint, whichever origin asks."""
    for method in ("GET", "POST", "OPTIONS"):
        headers = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
        answer = service.http.request(method, "/oauth/authorize", headers=headers)
        assert "access-control-allow-origin" not in answer.headers
