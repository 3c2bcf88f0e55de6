"""The OpenAPI document against the service: generated requests by schemathesis, and the answers of real ones."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import schemathesis
from schemathesis.openapi.checks import JsonSchemaError

from tests.programs.service_calls import ServiceCalls, client_assertion, good_json
from tests.programs.service_clients import AUDITOR, BASIC, JWT, OTHER, REFRESHER, REFRESHER_JWT

EXAMPLES = 20
"""Generated requests an operation, beside those that cover the edges of the schema."""
NOT_ASKED = "positive_data_acceptance"
"""A well-formed request is refused all the same where its token, scope or client is not good."""


@pytest.mark.parametrize("authenticated", [True, False], ids=["authenticated", "unauthenticated"])
def test_generated_requests_meet_no_failure_and_no_undocumented_answer(
    service: ServiceCalls, tmp_path: Path, authenticated: bool
) -> None:
    errors = service.metric("token_operation_duration_seconds_count", outcome="error")
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.process.base_url}/openapi.json"]
    command += ["--checks", "all", "--exclude-checks", NOT_ASKED, "--phases", "coverage,fuzzing"]
    command += ["--max-examples", str(EXAMPLES), "--generation-deterministic"]
    command += ["--continue-on-failure", "--no-color", "--warnings", "off"]
    if authenticated:
        command += ["--auth", ":".join(BASIC.basic)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 9" in done.stdout
    assert service.metric("token_operation_duration_seconds_count", outcome="error") == errors


def test_real_answers_are_as_documented(service: ServiceCalls) -> None:
    document = schemathesis.openapi.from_dict(good_json(service.http.get("/openapi.json")))
    checked = 0

    def check(path: str, method: str, response: httpx.Response) -> httpx.Response:
        nonlocal checked
        document[path][method].validate_response(response)
        checked += 1
        return response

    for client in (BASIC, JWT, REFRESHER, REFRESHER_JWT):
        tokens = good_json(check("/oauth/token", "POST", service.request_token(client)))
        for name in sorted({"access_token", "refresh_token"} & tokens.keys()):
            seen = check("/oauth/introspect", "POST", service.request_introspection(client, tokens[name]))
            assert good_json(seen)["active"]
            check("/oauth/introspect", "POST", service.request_introspection(OTHER, tokens[name]))
            check("/oauth/revoke", "POST", service.revoke(OTHER, tokens[name]))
            check("/oauth/revoke", "POST", service.revoke(client, tokens[name]))
    check("/oauth/introspect", "POST", service.request_introspection(AUDITOR, client_assertion("x")))
    check("/oauth/token", "POST", service.http.post("/oauth/token", content=b"x" * 70_000))
    check("/oauth/token", "POST", service.http.post("/oauth/token", json={}))
    for path in document:
        if not path.startswith("/oauth/"):
            check(path, "GET", service.http.get(path))
    assert checked > 30
    with pytest.raises(JsonSchemaError):  # it would notice
        check("/oauth/token", "POST", service.http.get("/health"))
