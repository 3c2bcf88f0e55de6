"""How long the operators' token must be: whoever reaches the listener can try one after the other."""

import os
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from app.config.listeners import ListenerSettings
from app.config.problems import Problem
from app.config.secret_files import read_secret_file
from app.config.values import Address

LEAST_CHARACTERS: Final = 32
"""128 bits in hexadecimal, 192 in base64. On loopback, where demonstrations are, less is warned about."""


def refuse_weak_operator_token(token: str, where: Address) -> None:
    """Raises ValueError, which says why, for a token that is too short for the address of its listener."""
    if len(token) < LEAST_CHARACTERS and not _is_loopback(where.host):
        raise ValueError(
            f"holds a token of fewer than {LEAST_CHARACTERS} characters, and ADMIN_ADDR is not on loopback"
        )


def check_operator_token(listeners: ListenerSettings) -> Iterable[Problem]:
    """What is wrong with the configured token; that its file cannot be read is told elsewhere."""
    path = listeners.admin_token_file
    if path is None or not path.is_file() or not os.access(path, os.R_OK):
        return
    try:
        refuse_weak_operator_token(read_secret_file(path), listeners.admin_addr)
    except (OSError, ValueError) as error:
        allowed = f"at least {LEAST_CHARACTERS} characters, as from: openssl rand -base64 32"
        yield Problem("ADMIN_TOKEN_FILE", str(error), str(path), allowed)


def warn_about_operator_token(listeners: ListenerSettings) -> Iterable[str]:
    """That a token which may be used is short."""
    path = listeners.admin_token_file
    if path is not None and len(read_secret_file(path)) < LEAST_CHARACTERS:
        yield (
            f"ADMIN_TOKEN_FILE holds a token of fewer than {LEAST_CHARACTERS} characters: whoever reaches "
            f"ADMIN_ADDR={listeners.admin_addr} may guess it"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
