"""Calls of the service as its clients make them, over one pool of connections."""

import secrets
import time
from typing import Any

import httpx
import jwt
from prometheus_client.parser import text_string_to_metric_families

from tests.programs.service_clients import ASSERTION_KEY, SIGNED, RegisteredClient
from tests.programs.service_process import ServiceProcess

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
JsonObject = dict[str, Any]


class ServiceCalls:
    """What tests ask of one running service."""

    def __init__(self, process: ServiceProcess, admin_token: str | None = None) -> None:
        self.process = process
        self.http = httpx.Client(base_url=process.base_url, timeout=10)
        self._admin_token = admin_token

    def close(self) -> None:
        self.http.close()

    # ------------------------------------------------------------------ the three endpoints

    def request_token(self, client: RegisteredClient, **form: str | list[str]) -> httpx.Response:
        """POST to the token endpoint by ``client_secret_basic``; without a ``grant_type``, for client credentials."""
        form.setdefault("grant_type", "client_credentials")
        return self.http.post("/oauth/token", auth=client.basic, data=form)

    def token(self, client: RegisteredClient, **form: str | list[str]) -> JsonObject:
        """The answer of the token endpoint, which must be a good one."""
        return good_json(self.request_token(client, **form))

    def access_token(self, client: RegisteredClient, **form: str | list[str]) -> str:
        """A new access token."""
        return str(self.token(client, **form)["access_token"])

    def refresh(self, client: RegisteredClient, refresh_token: str, **form: str) -> httpx.Response:
        """Use a refresh token."""
        return self.request_token(client, grant_type="refresh_token", refresh_token=refresh_token, **form)

    def request_introspection(self, client: RegisteredClient, token: str, **form: str) -> httpx.Response:
        """POST to the introspection endpoint."""
        return self.http.post("/oauth/introspect", auth=client.basic, data={"token": token, **form})

    def introspect(self, client: RegisteredClient, token: str, **form: str) -> JsonObject:
        """What the service says of a token."""
        return good_json(self.request_introspection(client, token, **form))

    def is_active(self, client: RegisteredClient, token: str) -> bool:
        return bool(self.introspect(client, token)["active"])

    def revoke(self, client: RegisteredClient, token: str, **form: str) -> httpx.Response:
        """POST to the revocation endpoint."""
        return self.http.post("/oauth/revoke", auth=client.basic, data={"token": token, **form})

    # ------------------------------------------------------------------ what operators see

    def stats(self) -> JsonObject:
        """``/admin/stats``."""
        headers = {"authorization": f"Bearer {self._admin_token}"}
        return good_json(httpx.get(f"{self.process.admin_url}/admin/stats", headers=headers))

    def live_tokens(self) -> int:
        """How many opaque access tokens live in the store."""
        return int(self.stats()["store"]["live_tokens"])

    def metric(self, sample_name: str, **labels: str) -> float:
        """The sum of the samples with this name and these labels; 0 where there are none."""
        text = httpx.get(f"{self.process.metrics_url}/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == sample_name and labels.items() <= sample.labels.items()
        )


def good_json(response: httpx.Response) -> JsonObject:
    """The JSON object of a 200 response. Raises AssertionError for any other."""
    assert response.status_code == 200, f"{response.status_code}: {response.text}"
    body = response.json()
    assert isinstance(body, dict)
    return body


def assert_refused(response: httpx.Response, status: int, error: str) -> None:
    """Assert that a response is an error of RFC 6749 section 5.2: exactly these two members, and no cache."""
    assert (response.status_code, response.json().get("error")) == (status, error)
    assert response.json().keys() == {"error", "error_description"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"


def client_assertion(issuer: str, **claims: Any) -> str:
    """An assertion of :data:`SIGNED` (RFC 7523); ``claims`` replace its own, those that are None are left out."""
    now = int(time.time())
    own = {"iss": SIGNED.id, "sub": SIGNED.id, "aud": issuer, "iat": now, "exp": now + 60, "jti": secrets.token_hex(16)}
    payload = {name: value for name, value in {**own, **claims}.items() if value is not None}
    return jwt.encode(payload, ASSERTION_KEY, "ES256", headers={"kid": "assertion-key"})
