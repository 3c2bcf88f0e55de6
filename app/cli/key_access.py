"""How the ``keys`` commands reach the ring, and how what goes wrong becomes an exit code.

Exit codes: 1 failed, 2 usage or configuration, 3 the source is unreachable and it is worth trying again.
"""

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable

import click
import msgspec

from app import clock
from app.cli.command_audit import command_audit
from app.cli.configuration import UnusableConfiguration, load_or_stop
from app.composition.key_ring import read_kek, redis_address
from app.config.checks import rotation_policy
from app.config.problems import ConfigurationError
from app.config.settings import Settings
from app.keys.algorithms import ALGORITHMS
from app.keys.errors import KeysError, KeyUsageError, SealError, SourceDenied, SourceError
from app.keys.policy import RotationPolicy
from app.keys.sealing import KeyEncryption
from app.keys.sources.interface import KeySource
from app.keys.sources.uri import source_from_uri
from app.keys.writer import RingWriter
from app.observability.audit import Audit

TAKES_A_KID = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
"""Settings of commands with a KID: one thumbprint (base64url, RFC 7638) in 64 begins with a hyphen."""

FAILED, CONFIGURATION, UNREACHABLE = 1, 2, 3


class Stopped(click.ClickException):
    """Ends a command with a message and a code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click declares it for the class, and reads it here


class Access(msgspec.Struct, frozen=True):
    """An open source with everything needed to read and change its ring."""

    settings: Settings
    source: KeySource
    policy: RotationPolicy
    kek: KeyEncryption | None
    writer: RingWriter
    audit: Audit
    """Told of every change; the commands name their actor ``command``."""


ALGORITHM = click.Choice(list(ALGORITHMS))

source_option = click.option(
    "--source",
    metavar="URI",
    help="Where the ring is: file:///path, secret://namespace/name or redis:. [default: KEYS_SOURCE]",
)


def with_ring(command: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a command of a coroutine function whose first parameter is the :class:`Access`; adds ``--source``."""

    @source_option
    @functools.wraps(command)
    def run(source: str | None, **parameters: object) -> None:
        async def with_access() -> None:
            access = open_access(source)
            try:
                await command(access, **parameters)
            finally:
                access.audit.close()
                await access.source.close()

        try:
            asyncio.run(with_access())
        except KeysError as error:
            raise Stopped(str(error), exit_code_of(error)) from None

    return run


def exit_code_of(error: KeysError) -> int:
    if isinstance(error, SealError):
        return CONFIGURATION
    if isinstance(error, SourceError) and not isinstance(error, SourceDenied):
        return UNREACHABLE
    return FAILED


def open_access(uri: str | None) -> Access:
    """Open what ``--source`` or the settings name. Ends the command with 2 if that cannot be."""
    settings = load_or_stop(os.environ).settings
    try:
        source = source_from_uri(uri or settings.keys.keys_source, redis=redis_address(settings.store))
        kek = None if settings.keys.keys_kek_file is None else read_kek(settings.keys.keys_kek_file)
    except ConfigurationError as error:
        raise UnusableConfiguration(error) from None
    except KeyUsageError as error:
        raise Stopped(str(error), CONFIGURATION) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Stopped(f"KEYS_KEK_FILE: {reason}", CONFIGURATION) from None
    if source.kind == "memory":
        raise Stopped("keys in memory: live in the running process alone; name a --source", CONFIGURATION)
    policy = rotation_policy(settings)
    writer = RingWriter(source, policy, kek=kek, clock=clock.unix_now, threads=None)
    return Access(settings, source, policy, kek, writer, command_audit(settings))
