"""``auth-service config``, ``--help`` and ``--version``; and whether the generated documents are current."""

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from app import __version__
from app.cli import cli
from app.config.documentation import BEGIN, END, reference, table, with_table
from app.config.fields import all_fields

REPOSITORY = Path(__file__).parents[3]


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(cli, arguments, env=environ, prog_name="auth-service")


def every_command(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of each command that is not hidden, groups included."""
    if not isinstance(command, click.Group):
        return [path]
    with click.Context(command) as context:
        below = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [
        path,
        *(found for name, one in below if one and not one.hidden for found in every_command(one, (*path, name))),
    ]


def test_every_command_explains_itself() -> None:
    commands = every_command(cli)
    assert {
        ("config", "check"),
        ("clients", "new"),
        ("clients", "hash"),
        ("clients", "check"),
        ("clients", "list"),
    } <= set(commands)
    for path in commands:
        shown = run(*path, "--help")
        assert shown.exit_code == 0, path
        assert f"Usage: {' '.join(('auth-service', *path))}" in shown.stdout
        assert len(shown.stdout.split("Options:")[0].split("\n\n")[1].strip()) > 10, f"{path} has no description"


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"auth-service {__version__}\n"


@pytest.mark.parametrize("arguments", [("clinets",), ("clients", "lst"), ("config", "check", "--jsn")])
def test_an_unknown_command_or_flag_is_an_error(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_config_check_shows_what_is_in_force(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("canary")
    shown = run(
        "config",
        "check",
        TOKEN_EXPIRY_SECONDS="600",
        REDIS_URL="redis://user:canary@redis:6379/0",
        REDIS_PASSWORD_FILE=str(tmp_path / "password"),
        CLIENT_CREDENTIALS="billing:canary-canary-canary",
        ALLOWED_SCOPES="read,write",
        REDIS_ULR="x",
    )
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert "TOKEN_EXPIRY_SECONDS=600" in lines
    assert "REDIS_URL=redis://[hidden]@redis:6379/0" in lines
    assert "REDIS_PASSWORD=[hidden]  # file" in lines
    assert "CLIENT_CREDENTIALS=[hidden]" in lines
    assert "ALLOWED_SCOPES=read,write" in lines
    assert "KEYS_ALGORITHMS=ES256,RS256  # default" in lines
    assert lines[-1] == "1 client is registered."
    assert any(line.startswith("user user on ><PASSWORD> resetkeys ~auth-service{* ") for line in lines)
    assert "did you mean REDIS_URL?" in shown.stderr
    assert "canary" not in shown.stdout + shown.stderr


def test_config_check_shows_every_setting() -> None:
    shown = run("config", "check").stdout
    assert [field.name for field in all_fields() if f"\n{field.name}=" not in shown] == []


def test_config_check_can_be_had_as_json() -> None:
    shown = json.loads(run("config", "check", "--json", BIND_ADDR="0.0.0.0:80").stdout)
    assert shown["settings"]["BIND_ADDR"] == {"value": "0.0.0.0:80", "from": "environment"}
    assert shown["settings"]["EXTERNAL_BASE_URL"] == {"value": "http://127.0.0.1:80", "from": "derived"}
    assert shown["clients"] == 0
    assert shown["redis_acl"] is None


def test_config_check_prints_what_redis_must_allow() -> None:
    def line(**environ: str) -> str:
        return str(json.loads(run("config", "check", "--json", **environ).stdout)["redis_acl"])

    single = line(REDIS_URL="redis://r", REDIS_KEY_PREFIX="namespace/release")
    assert single.startswith("user auth-service on ")
    assert " ~namespace/release{* resetchannels &namespace/release{* -@all +get " in single
    assert "asking" not in single
    cluster = line(REDIS_URL="redis+cluster://named@r", REDIS_USERNAME="mine")
    assert cluster.startswith("user mine on ")
    assert "+asking" in cluster
    assert line(REDIS_URL="redis://named@r").startswith("user named on ")


def test_config_check_tells_all_mistakes_and_exits_with_2() -> None:
    shown = run("config", "check", BIND_ADDR="x", LOG_LEVEL="loud")
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert "2 mistakes" in shown.stderr
    assert "BIND_ADDR=x: has no port" in shown.stderr
    assert "LOG_LEVEL=loud: is not one of the values" in shown.stderr


def test_config_check_looks_at_the_clients_too(tmp_path: Path) -> None:
    (tmp_path / "clients.yaml").write_text("version: 1\nclients: [5]\n")
    shown = run("config", "check", CLIENTS_FILE=str(tmp_path))
    assert shown.exit_code == 2
    assert f"{tmp_path}/clients.yaml:2: clients[0] must be a mapping" in shown.stderr


def test_the_generated_documents_are_current() -> None:
    checked = run("config", "docs", "--check", "--root", str(REPOSITORY))
    assert checked.exit_code == 0, f"{checked.stdout}run `auth-service config docs`"
    readme = (REPOSITORY / "README.md").read_text()
    assert f"{BEGIN}\n{table()}\n{END}" in readme


def test_the_reference_has_every_setting_once() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    for field in all_fields():
        assert sum(f"`{field.name}`" in row.split(" | ")[0] for row in rows) == 1, field.name


def test_docs_writes_what_is_out_of_date(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(f"# Title\n{BEGIN}\nold\n{END}\nrest\n")
    assert run("config", "docs", "--check", "--root", str(tmp_path)).exit_code == 1
    assert (tmp_path / "README.md").read_text() == f"# Title\n{BEGIN}\nold\n{END}\nrest\n"
    assert run("config", "docs", "--root", str(tmp_path)).exit_code == 0
    assert (tmp_path / "README.md").read_text() == f"# Title\n{BEGIN}\n{table()}\n{END}\nrest\n"
    assert (tmp_path / "docs" / "configuration.md").read_text() == reference()
    assert run("config", "docs", "--check", "--root", str(tmp_path)).stdout == ""
    shutil.rmtree(tmp_path / "docs")
    assert with_table("no markers") == "no markers"
