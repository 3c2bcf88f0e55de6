"""The operators' page in a real browser."""

from pathlib import Path

import pytest

from tests.browser.conftest import LookAt
from tests.programs.service_calls import ServiceCalls
from tests.programs.service_clients import BASIC, CANARY
from tests.programs.service_fixtures import StartService

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
TOKEN = f"{CANARY}-operators-token"


def test_it_is_shown_whole_and_its_policy_refuses_none_of_its_own(
    start_service_once: StartService, tmp_path: Path, look_at: LookAt
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    process = start_service_once(ADMIN_TOKEN_FILE=str(file))
    service = ServiceCalls(process)
    service.access_token(BASIC)
    service.http.post("/oauth/token", auth=(BASIC.id, "wrong"), data={"grant_type": "client_credentials"})
    document, console = look_at(process.admin_url.replace("//", f"//admin:{TOKEN}@") + "/admin/")
    assert console == ""
    for told in ("<h1>auth-service</h1>", "client.refused", BASIC.id, 'class="signing"'):
        assert told in document
    assert TOKEN not in document
    service.close()


def test_without_the_operators_token_nothing_is_shown(
    start_service_once: StartService, tmp_path: Path, look_at: LookAt
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    process = start_service_once(ADMIN_TOKEN_FILE=str(file))
    document, _ = look_at(process.admin_url.replace("//", "//admin:wrong@") + "/admin/")
    assert "auth-service</h1>" not in document
