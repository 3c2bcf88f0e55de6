"""``auth-service clients new --into``: a client's entries in a Kubernetes Secret, and the account of it.

Exit codes: 0 done, or nothing to do; 1 failed; 2 usage or configuration; 3 the API server is unreachable, try again.
"""

import os
import sys
from collections.abc import Callable, Mapping

import click

from app.cli.command_audit import ACTOR, command_audit
from app.cli.configuration import load_or_stop
from app.cli.kubernetes_secret import SecretRefused, SecretUnreachable, change_entries
from app.protocol.client_auth import looks_generated

UNREACHABLE = 3


def write_into(uri: str, name: str, secret: str, entry_for: Callable[[str], str]) -> None:
    """Fill a Secret; the entry follows the options, while a client secret that is there stays.

    ``entry_for`` makes the client's entry of a clients file from its secret. Raises click's errors.
    """
    namespace, slash, secret_name = uri.removeprefix("secret://").partition("/")
    if not (uri.startswith("secret://") and namespace and slash and secret_name) or "/" in secret_name:
        raise click.UsageError(f"--into is not secret://NAMESPACE/NAME: {uri:.200}")

    def change(held: Mapping[str, str]) -> Mapping[str, str]:
        kept = held.get("client-secret") or secret
        if not looks_generated(kept):
            raise click.ClickException(
                f"{uri}: the entry client-secret is not one that this command made, so a fast hash of it could be "
                "guessed: remove the entry, or register the client with `clients hash --argon2id`"
            )
        return {"client-id": name, "client-secret": kept, "clients.yaml": f"version: 1\nclients:\n{entry_for(kept)}"}

    audit = command_audit(load_or_stop(os.environ).settings)
    try:
        # The names of the entries alone: their values are secret.
        written = ", ".join(sorted(change_entries(namespace, secret_name, change)))
        if written:
            audit.admin_changed(f"client {name}: wrote {written} of {uri}", actor=ACTOR)
    except SecretRefused as error:
        raise click.ClickException(str(error)) from None
    except SecretUnreachable as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(UNREACHABLE)
    finally:
        audit.close()
    click.echo(f"{uri}: {f'wrote {written}' if written else 'nothing to do'}")
