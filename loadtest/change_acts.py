"""One change under load: what it is, and how it is made and seen from outside."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import msgspec

from benchmarks.children import children
from benchmarks.machine import REPOSITORY
from benchmarks.servers import ask
from loadtest.soak_clients import basic
from loadtest.target import Target

WAIT_SECONDS = 60.0
"""How long what a change is to come to may take."""


class ChangeFailed(Exception):
    """A change did not come to what it was to come to; the message says which."""


class Act(msgspec.Struct, frozen=True):
    """One change."""

    at: float
    """When: a share of the run's planned time."""
    what: str
    """Said before it is made."""
    make: Callable[[], str]
    """Makes it; what came of it. Raises ChangeFailed."""


class Stage(msgspec.Struct, frozen=True):
    """What is loaded, and what is done to it meanwhile."""

    target: Target
    acts: tuple[Act, ...]


def settled(what: str, look: Callable[[], object], seconds: float = WAIT_SECONDS) -> float:
    """Wait until ``look`` gives something true; the seconds that took. Raises ChangeFailed.

    A connection that is refused or cut is looked past: what is waited for may be on its way.
    """
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        with contextlib.suppress(OSError, HTTPException):
            if look():
                return waited
        time.sleep(0.02)
    raise ChangeFailed(f"{what}: not within {seconds:g} s")


def token_of(target: Target) -> str | None:
    """A fresh access token; None where it is refused."""
    told = target.environ
    status, body = ask(
        urlsplit(told["BASE_URL"]).port or 80,
        "POST",
        "/oauth/token",
        authorization=basic(told["CLIENT_ID"], told["CLIENT_SECRET"]),
        form="grant_type=client_credentials",
    )
    return str(json.loads(body)["access_token"]) if status == 200 else None


def signing_kid(target: Target) -> str | None:
    """Which key signs (the kid of a fresh JWT); None where no token is issued."""
    token = token_of(target)
    return None if token is None else str(jwt.get_unverified_header(token)["kid"])


def keys_command(settings: Mapping[str, str], *arguments: str) -> None:
    """``auth-service keys …`` with these settings. Raises ChangeFailed with what it said."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "app", "keys", *arguments]
    done = subprocess.run(
        command, check=False, cwd=REPOSITORY, env={**inherited, **settings}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ChangeFailed(f"`keys {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-500:]}")


def workers_of(pid: int) -> dict[int, int]:
    """The process ids of the workers that this process watches, by their number."""
    found = {}
    for child in children(pid):
        with contextlib.suppress(OSError):  # it ended meanwhile
            for entry in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                name, _, value = entry.partition(b"=")
                if name == b"AUTH_SERVICE_WORKER":
                    found[int(value)] = child
    return found
