"""``auth-service clients``: new, hash, check, list."""

import hashlib
import json
import re
from pathlib import Path

import pytest
import yaml
from argon2 import PasswordHasher
from click.testing import CliRunner, Result

from app.cli import cli
from app.config.generated_secrets import new_secret, sha256_entry
from app.randomness import random_bytes

SECRET = "a-secret-of-some-length"


def run(*arguments: str, stdin: str | None = None, **environ: str) -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin, env=environ, prog_name="auth-service")


@pytest.fixture
def clients_file(tmp_path: Path) -> Path:
    path = tmp_path / "clients.yaml"
    path.write_text(
        "version: 1\nclients:\n"
        f'  - id: b\n    secrets: [{{hash: "{sha256_entry(SECRET)}"}}]\n    scopes: [read, write]\n'
        "    access_token: {format: jwt, seconds: 60}\n    rate_limit_per_minute: unlimited\n"
        f'  - id: a\n    secrets: [{{hash: "{sha256_entry(SECRET)}"}}, {{env: OLD, not_after: 2020-01-01T00:00:00Z}}]\n'
    )
    return path


def test_a_new_client_s_entry_holds_only_the_hash_and_works(tmp_path: Path) -> None:
    made = run("clients", "new", "--id", "bill:ing # 1", "--scope", "read", "--scope", "yes")
    assert made.exit_code == 0
    (secret,) = re.findall(r"client secret: (ascs_[A-Za-z0-9_-]{43})\n", made.stdout)
    entry = made.stdout.partition("\n\n")[2]
    assert secret not in entry + made.stderr
    (client,) = yaml.safe_load(entry)
    assert client["id"] == "bill:ing # 1"
    assert client["scopes"] == ["read", "yes"]
    assert client["secrets"] == [{"hash": sha256_entry(secret)}]
    (tmp_path / "c.yaml").write_text(f"version: 1\nclients:\n{entry}")
    assert run("clients", "check", str(tmp_path / "c.yaml")).exit_code == 0


def test_a_new_client_can_be_had_as_json() -> None:
    one, two = (json.loads(run("clients", "new", "--json").stdout) for _ in range(2))
    assert one["client_id"] != two["client_id"]
    assert one["client_secret"] != two["client_secret"]
    assert sha256_entry(one["client_secret"]) in one["entry"]


@pytest.mark.parametrize("arguments", [("--id", "ä"), ("--scope", "a b"), ("--id", ""), ("--auth-method", "none")])
def test_an_impossible_new_client_is_refused(arguments: tuple[str, str]) -> None:
    refused = run("clients", "new", *arguments)
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert "Error: " in refused.stderr


def test_a_chosen_secret_is_hashed_by_argon2id() -> None:
    hashed = run("clients", "hash", stdin="correct horse battery staple\n")
    assert hashed.exit_code == 0
    assert hashed.stderr == ""
    assert PasswordHasher().verify(hashed.stdout.strip(), "correct horse battery staple")


def test_a_generated_secret_is_hashed_by_sha256() -> None:
    secret = new_secret(random_bytes)
    assert run("clients", "hash", stdin=f"{secret}\n").stdout == f"{sha256_entry(secret)}\n"
    assert run("clients", "hash", "--argon2id", stdin=secret).stdout.startswith("$argon2id$")


def test_a_weak_choice_is_warned_about() -> None:
    chosen = run("clients", "hash", "--sha256", stdin=SECRET)
    assert chosen.stdout == f"{sha256_entry(SECRET)}\n"
    assert "SHA-256 is safe only for a generated secret" in chosen.stderr
    assert "can be guessed" in run("clients", "hash", stdin="short").stderr


@pytest.mark.parametrize("text", ["", "\n", " a-secret", "two\nlines", "nul\0"])
def test_what_cannot_be_a_secret_is_refused(text: str) -> None:
    refused = run("clients", "hash", stdin=text)
    assert refused.exit_code == 2
    assert refused.stdout == ""


def test_a_secret_is_never_an_argument() -> None:
    refused = run("clients", "hash", "canary", stdin="x")
    assert refused.exit_code == 2


def test_check_tells_every_mistake_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text("version: 1\nclients:\n  - id: a\n    secrets: [canary]\n    scopes: x\n  - id: 5\n")
    checked = run("clients", "check", str(path), CLIENT_CREDENTIALS="")
    assert checked.exit_code == 2
    assert checked.stdout == ""
    assert "3 mistakes" in checked.stderr
    assert [line.partition(": ")[0].strip() for line in checked.stderr.splitlines()[1:]] == [
        f"{path}:4",
        f"{path}:5",
        f"{path}:6",
    ]
    assert "canary" not in checked.stderr


def test_check_says_when_all_is_well(clients_file: Path) -> None:
    checked = run("clients", "check", str(clients_file), OLD=SECRET)
    assert (checked.exit_code, checked.stdout) == (0, f"{clients_file}: 2 clients, no mistakes\n")


def test_check_looks_at_the_file_alone(clients_file: Path) -> None:
    checked = run("clients", "check", str(clients_file), OLD=SECRET, CLIENT_CREDENTIALS=f"a:{SECRET}")
    assert checked.exit_code == 0


def test_check_needs_a_file_that_exists() -> None:
    assert run("clients", "check", "/no/such/file").exit_code == 2


def test_list_is_a_table_in_the_order_of_ids(clients_file: Path) -> None:
    listed = run("clients", "list", CLIENTS_FILE=str(clients_file), OLD=SECRET)
    assert listed.exit_code == 0
    head, first, second = listed.stdout.splitlines()
    assert re.split(r"  +", head)[:3] == ["ID", "AUTH METHOD", "SECRETS"]
    assert re.split(r"  +", first) == [
        "a",
        "client_secret_basic",
        "1 (+1 expired)",
        "client_credentials",
        "-",
        "own",
        "opaque 3600 s",
        "default",
    ]
    assert re.split(r"  +", second)[4:] == ["read write", "own", "jwt 60 s", "unlimited"]
    assert hashlib.sha256(SECRET.encode()).hexdigest() not in listed.stdout


def test_list_can_be_had_as_json(clients_file: Path) -> None:
    listed = json.loads(run("clients", "list", str(clients_file), "--json", OLD=SECRET).stdout)
    assert [client["id"] for client in listed] == ["a", "b"]
    assert listed[0]["live_secrets"] == 1
    assert listed[1]["access_token"] == {"format": "jwt", "seconds": 60}
    assert "hash" not in json.dumps(listed)


def test_list_stops_at_a_wrong_configuration() -> None:
    assert run("clients", "list", CLIENTS_FILE="/no/such/file").exit_code == 2
