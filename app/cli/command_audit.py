"""Where commands tell of what they changed: ``AUDIT_LOG``, but standard error in the place of both streams.

Standard output is for results.
"""

import click

from app import clock
from app.cli.configuration import UnusableConfiguration
from app.config.problems import ConfigurationError, Problem
from app.config.settings import Settings
from app.observability.audit import Audit, open_audit
from app.observability.audit_destination import Destination, WriteFailed
from app.observability.audit_writer import AuditWriter

ACTOR = "command"
"""Who changed something, for the audit."""


def command_audit(settings: Settings) -> Audit:
    """The audit of a command, which closes it. Raises UnusableConfiguration where its file cannot be written to."""
    name = settings.process.audit_log
    if name in ("stdout", "stderr"):
        return Audit(AuditWriter(_StandardError(), on_dropped=_nothing), clock.unix_now)
    try:
        return open_audit(name, now=clock.unix_now, on_dropped=_nothing)
    except OSError as error:
        problem = Problem("AUDIT_LOG", error.strerror or "cannot be opened", name)
        raise UnusableConfiguration(ConfigurationError([problem])) from None


class _StandardError(Destination):
    def write(self, lines: bytes) -> None:
        try:
            click.echo(lines, err=True, nl=False)
        except OSError as error:
            raise WriteFailed(0) from error


def _nothing(_count: int) -> None:
    """A command counts nothing: what could not be written is in its log."""
