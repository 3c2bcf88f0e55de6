"""The table of hot routes: one path, one route; and all of them again under the issuer's path."""

import pytest

from app.endpoints.exchange import Request, Response
from app.web.routes import GET, POST, Route, route_table, under_issuer_path


async def endpoint(_request: Request) -> Response:
    return Response(200, b"", ())


TOKEN = Route("/oauth/token", POST, endpoint)
OAUTH = Route("/.well-known/oauth-authorization-server/one", GET, endpoint)
OPENID = Route("/one/.well-known/openid-configuration", GET, endpoint)


def test_two_routes_with_one_path_are_refused() -> None:
    with pytest.raises(ValueError, match="same path"):
        route_table(TOKEN, TOKEN)


def test_an_issuer_without_a_path_changes_nothing() -> None:
    table = route_table(TOKEN, OAUTH)
    assert under_issuer_path(table, "") == table


def test_whether_a_proxy_strips_the_issuers_path_or_not_the_same_routes_are_found() -> None:
    table = under_issuer_path(route_table(TOKEN, OAUTH, OPENID), "/one")
    assert table["/oauth/token"] is table["/one/oauth/token"] is TOKEN
    assert table["/one/.well-known/openid-configuration"] is table["/.well-known/openid-configuration"] is OPENID
    assert table["/.well-known/oauth-authorization-server/one"] is OAUTH
