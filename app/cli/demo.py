"""``serve --demo``: a client and an operators' token to try the service with, in a local folder.

Files that exist are kept, so that the same commands work after a restart. The secrets stay in files that only this
user can read; the printed commands read them from there.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import msgspec
import yaml

from app import randomness
from app.config.settings import Settings
from app.protocol.base64url import base64url

CLIENT_ID = "demo"


class Demo(msgspec.Struct, frozen=True):
    """What was prepared."""

    folder: Path
    environ: dict[str, str]
    """Settings that point to it; none that the user has set already."""

    def announce(self, settings: Settings) -> None:
        """Print commands that work when pasted."""
        base = f"http://{settings.listeners.bind_addr}"
        admin = f"http://{settings.listeners.admin_addr}"
        user = f'-u "{CLIENT_ID}:$(cat {self.folder}/demo-secret)"'
        field = 'sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\''
        click.echo(
            f"""
auth-service listens on {base}

get a token:
  TOKEN=$(curl -s {user} -d grant_type=client_credentials {base}/oauth/token | {field}); echo $TOKEN
introspect it:
  curl -s {user} -d token=$TOKEN {base}/oauth/introspect; echo
revoke it, and introspect it again:
  curl -s {user} -d token=$TOKEN {base}/oauth/revoke
  curl -s {user} -d token=$TOKEN {base}/oauth/introspect; echo
look at the service:
  curl -s -H "Authorization: Bearer $(cat {self.folder}/admin-token)" {admin}/admin/stats; echo

Ctrl-C stops it; tokens are then gone, because they are kept in memory.
"""
        )


def prepare_demo(folder: Path, environ: Mapping[str, str]) -> Demo:
    """Make what is missing in ``folder``, readable for this user only."""
    folder.mkdir(mode=0o700, exist_ok=True)
    secret = folder / "demo-secret"
    _keep(secret, _new_secret)
    admin_token = folder / "admin-token"
    _keep(admin_token, _new_secret)
    clients = folder / "clients.yaml"
    client = {
        "id": CLIENT_ID,
        "auth_method": "client_secret_basic",
        "secrets": [{"file": secret.name}],  # by name, so that no file is ever out of step with another
        "grants": ["client_credentials"],
        "scopes": ["read", "write"],
    }
    _keep(clients, lambda: yaml.safe_dump({"version": 1, "clients": [client]}, sort_keys=False))
    wanted = {"CLIENTS_FILE": str(clients), "ADMIN_TOKEN_FILE": str(admin_token), "AUDIT_LOG": "off"}
    return Demo(folder, {name: value for name, value in wanted.items() if name not in environ})


def _new_secret() -> str:
    return base64url(randomness.random_bytes(32)).decode("ascii")


def _keep(path: Path, make: Callable[[], str]) -> None:
    if path.exists():
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(make() + "\n")
