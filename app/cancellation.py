"""Ending tasks: a cancellation may be lost, so it is asked for until it has happened.

``asyncio.wait_for`` of Python 3.11 forgets a cancellation that comes in the tick of its result (cpython #86296, mended
in 3.12), and redis-py sends every command through it. A task that then goes on would keep who stops it waiting for
ever.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN_SECONDS: Final = 1.0
"""What a task is given to clean up before it is cancelled once more: its cleaning up is then cut short."""


async def end_tasks(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel the tasks until all have ended. What they raise stays with them: asyncio logs what nobody looks at."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
