"""``auth-service clients hash`` at a real terminal: the secret is asked for twice and not echoed."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from argon2 import PasswordHasher

REPOSITORY = Path(__file__).parents[3]
SECRET = "correct horse battery staple"


def test_a_typed_secret_is_confirmed_and_not_echoed() -> None:
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "clients", "hash"],
        cwd=REPOSITORY,
        stdin=inside,
        stderr=inside,
        stdout=subprocess.PIPE,
        start_new_session=True,  # without a controlling terminal the prompt reads its stdin
    )
    os.close(inside)
    shown = b""
    try:
        for prompt in (b"Secret: ", b"confirmation: "):
            while not shown.endswith(prompt):
                shown += os.read(terminal, 1000)
            os.write(terminal, SECRET.encode() + b"\n")
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert process.returncode == 0
    assert PasswordHasher().verify(output.decode().strip(), SECRET)
    assert SECRET.encode() not in shown
