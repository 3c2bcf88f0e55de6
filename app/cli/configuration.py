"""What every command needs of the configuration: load it, or stop with all its mistakes."""

from collections.abc import Mapping
from typing import IO, Any

import click

from app.config.load import Loaded, load_settings
from app.config.problems import ConfigurationError


class UnusableConfiguration(click.ClickException):
    """Prints every mistake, and exits with 2."""

    exit_code = 2

    def __init__(self, error: ConfigurationError) -> None:
        super().__init__("the configuration cannot be used")
        self.problems = error.problems

    def show(self, file: IO[Any] | None = None) -> None:
        count = len(self.problems)
        mistakes = "1 mistake" if count == 1 else f"{count} mistakes"
        click.echo(f"Error: {self.message} ({mistakes}):", file=file, err=file is None)
        for problem in self.problems:
            click.echo(f"  {problem}", file=file, err=file is None)


def load_or_stop(environ: Mapping[str, str]) -> Loaded:
    """The settings. Raises UnusableConfiguration, which ends the command with exit code 2."""
    try:
        return load_settings(environ)
    except ConfigurationError as error:
        raise UnusableConfiguration(error) from error


def show_warnings(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
