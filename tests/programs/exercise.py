"""What a service is put through so that all that it can tell has been told once: good requests and bad ones."""

from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import (
    BASIC,
    JWT,
    LIMITED,
    OTHER,
    REFRESHER,
    REFRESHER_JWT,
)


def exercise(calls: ServiceCalls) -> None:
    """Issue, refresh, introspect and revoke; be refused, be limited, use a refresh token twice."""
    for client in (BASIC, JWT, REFRESHER, REFRESHER_JWT):
        answer = calls.token(client)
        token = str(answer["access_token"])
        for _ in range(3):
            calls.introspect(client, token)
        calls.request_introspection(OTHER, token)
        if "refresh_token" in answer:
            refresh_token = str(answer["refresh_token"])
            calls.refresh(client, refresh_token)
            calls.refresh(client, refresh_token)
        calls.revoke(client, token)
        calls.introspect(client, token)
    for _ in range(10):
        calls.request_token(LIMITED)
    calls.request_token(BASIC, grant_type="none-such")
    calls.request_token(BASIC, scope="nothing-like-it")
    calls.http.post("/oauth/token", auth=("nobody", "secret"), data={"grant_type": "client_credentials"})
    calls.request_introspection(BASIC, FOREIGN_JWT)
    for path in ("/jwks.json", "/.well-known/openid-configuration", "/health", "/nothing-here", "/openapi.json"):
        calls.http.get(path)


FOREIGN_JWT = (
    "eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vbmUtc3VjaCIsInR5cCI6ImF0K2p3dCJ9.e30."
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A JWT of a key that the service never had."""
