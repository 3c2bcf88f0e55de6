"""The command line, ``auth-service``.

Rules:
- Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 a source is unreachable and it is worth trying again.
- Results go to stdout, everything else to stderr. A secret is printed only by the command that made it.
- A command's module is imported when the command runs: ``--help`` and ``clients hash`` need no web server.
"""

import importlib
import importlib.util
from typing import Final

import click

from app import __version__

_COMMANDS: Final = {
    "serve": ("app.cli.serve", "Run the service."),
    "config": ("app.cli.config", "Check the configuration."),
    "clients": ("app.cli.clients", "Make, check and list clients."),
    "keys": ("app.cli.keys", "Manage the signing keys."),
    "store": ("app.cli.store", "Work on the shared token store."),
    "doctor": ("app.cli.doctor", "Say what is wrong, and the next step."),
}
"""Each command with its module, which names it likewise, and its line in ``--help``."""


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, (module, _) in _COMMANDS.items() if importlib.util.find_spec(module) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} of {_COMMANDS[cmd_name][0]} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(
    cls=_LazyGroup,
    name="auth-service",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings come from the environment: see `auth-service config check` and docs/configuration.md. "
    "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 a source is unreachable.",
)
@click.version_option(__version__, prog_name="auth-service", message="%(prog)s %(version)s")
def cli() -> None:
    """An OAuth 2.0 token service: issues, introspects and revokes tokens."""


def main() -> None:
    """The console script."""
    cli(prog_name="auth-service")
