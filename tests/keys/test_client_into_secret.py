"""``auth-service clients new --into``: a client whose secret goes to a Kubernetes Secret and nowhere else."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from app.cli import cli
from app.config.generated_secrets import sha256_entry
from tests.keys.api_server import ApiServer

INTO = ("--into", "secret://auth/demo")
Run = Callable[..., Result]


@pytest.fixture
def run(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    # The library reads the variable once, when it is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
    return lambda *arguments: CliRunner().invoke(cli, ("clients", "new", "--id", "demo", *arguments))


@pytest.fixture
def secret(api_server: ApiServer) -> Callable[[], dict[str, str]]:
    """The Secret's entries, which begin empty."""
    api_server._store("auth", "demo", {"metadata": {"name": "demo", "labels": {"team": "a"}}})

    def entries() -> dict[str, str]:
        data = api_server.secrets["auth", "demo"].get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    return entries


def test_an_empty_secret_gets_a_client_that_works(
    run: Run, secret: Callable[[], dict[str, str]], api_server: ApiServer, tmp_path: Path
) -> None:
    done = run(*INTO, "--scope", "read", "--access-token-format", "jwt", "--rate-limit-per-minute", "unlimited")
    assert done.exit_code == 0, done.output
    entries = secret()
    assert entries["client-id"] == "demo"
    assert entries["client-secret"].startswith("ascs_")
    assert entries["client-secret"] not in done.output
    (client,) = yaml.safe_load(entries["clients.yaml"])["clients"]
    assert client["secrets"] == [{"hash": sha256_entry(entries["client-secret"])}]
    assert client["access_token"] == {"format": "jwt"}
    assert api_server.secrets["auth", "demo"]["metadata"]["labels"] == {"team": "a"}
    (tmp_path / "clients.yaml").write_text(entries["clients.yaml"])
    assert CliRunner().invoke(cli, ("clients", "check", str(tmp_path / "clients.yaml"))).exit_code == 0


def test_a_second_run_changes_nothing(run: Run, secret: Callable[[], dict[str, str]], api_server: ApiServer) -> None:
    run(*INTO, "--scope", "read")
    before, version = secret(), api_server.version
    done = run(*INTO, "--scope", "read")
    assert (done.exit_code, secret(), api_server.version) == (0, before, version)
    assert "nothing to do" in done.output


def test_what_was_written_is_told_once_and_without_the_secret(
    run: Run, secret: Callable[[], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = tmp_path / "audit.jsonl"
    monkeypatch.setenv("AUDIT_LOG", str(audit))
    run(*INTO, "--scope", "read")
    run(*INTO, "--scope", "read")  # changes nothing
    (event,) = [json.loads(line) for line in audit.read_text().splitlines()]
    assert (event["event"], event["outcome"], event["actor"]) == ("admin.changed", "success", "command")
    assert event["change"] == "client demo: wrote client-id, client-secret, clients.yaml of secret://auth/demo"
    run(*INTO, "--scope", "write")
    assert (
        json.loads(audit.read_text().splitlines()[1])["change"]
        == "client demo: wrote clients.yaml of secret://auth/demo"
    )
    entries = secret()
    for hidden in (entries["client-secret"], sha256_entry(entries["client-secret"])):
        assert hidden not in audit.read_text()


def test_an_audit_that_cannot_be_written_stops_it_before_anything_is_changed(
    run: Run, secret: Callable[[], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_LOG", str(tmp_path / "missing" / "audit.jsonl"))
    done = run(*INTO)
    assert done.exit_code == 2
    assert "AUDIT_LOG" in done.output
    assert secret() == {}


def test_other_options_change_the_entry_and_keep_the_secret(run: Run, secret: Callable[[], dict[str, str]]) -> None:
    run(*INTO, "--scope", "read")
    before = secret()
    assert run(*INTO, "--scope", "read", "--scope", "write", "--rate-limit-per-minute", "100").exit_code == 0
    assert secret()["client-secret"] == before["client-secret"]
    (client,) = yaml.safe_load(secret()["clients.yaml"])["clients"]
    assert (client["scopes"], client["rate_limit_per_minute"]) == (["read", "write"], 100)


def test_a_secret_that_expires_is_given_its_time_anew_and_stays_the_same(
    run: Run, secret: Callable[[], dict[str, str]]
) -> None:
    def left() -> float:
        (client,) = yaml.safe_load(secret()["clients.yaml"])["clients"]
        return float(client["secrets"][0]["not_after"].timestamp() - time.time())

    assert run(*INTO, "--expires-in", "60").exit_code == 0
    before = secret()["client-secret"]
    assert 55 < left() <= 60
    assert run(*INTO, "--expires-in", "3600").exit_code == 0
    assert 3595 < left() <= 3600
    assert secret()["client-secret"] == before


def test_a_life_that_is_none_is_refused(run: Run) -> None:
    assert run("--expires-in", "0").exit_code == 2


@pytest.mark.parametrize(("status", "exit_code"), [(403, 1), (404, 1), (500, 3)])
def test_what_the_api_server_refuses_is_told_from_what_may_be_tried_again(
    run: Run, secret: Callable[[], dict[str, str]], api_server: ApiServer, status: int, exit_code: int
) -> None:
    api_server.answer_with = status
    done = run(*INTO)
    assert done.exit_code == exit_code
    assert f"the API server answered {status}" in done.output
    assert "canary-text" not in done.output


@pytest.mark.parametrize("uri", ["auth/demo", "secret://auth", "secret:///demo", "secret://a/b/c"])
def test_a_place_that_is_none_is_refused(run: Run, uri: str) -> None:
    assert run("--into", uri).exit_code == 2


def test_a_secret_that_somebody_chose_gets_no_fast_hash(
    run: Run, secret: Callable[[], dict[str, str]], api_server: ApiServer
) -> None:
    entries = {"client-secret": base64.b64encode(b"hunter2").decode()}
    api_server._store("auth", "demo", {"metadata": {"name": "demo"}, "data": entries})
    done = run(*INTO)
    assert done.exit_code == 1
    assert "client-secret is not one that this command made" in done.output
    assert "hunter2" not in done.output
    assert secret() == {"client-secret": "hunter2"}
