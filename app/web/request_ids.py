"""Ids for requests that come without one: 128 random bits in hexadecimal, from random bytes taken in bulk.

To ask the operating system for sixteen bytes is a system call, dearer than the rest of making an id. Ids are told to
whoever asks and guard nothing, so a pool of them in memory is no secret; tokens and keys never come from here.
"""

import re

from app.randomness import RandomBytes

SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
"""A caller's id is kept if it is harmless in logs and headers."""

_BYTES = 16
_POOLED = 128


class RequestIds:
    """Makes ids; belongs to the event loop."""

    def __init__(self, random_bytes: RandomBytes) -> None:
        self._random_bytes = random_bytes
        self._pool = ""
        self._at = 0

    def new(self) -> str:
        """An id that no other request has."""
        at = self._at
        if at == len(self._pool):
            self._pool, at = self._random_bytes(_BYTES * _POOLED).hex(), 0
        self._at = at + 2 * _BYTES
        return self._pool[at : self._at]
