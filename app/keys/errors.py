"""Everything that can be wrong with keys, as one small tree of errors.

Rules: messages name the cause, the place and what is allowed, and never contain key material.
"""


class KeysError(Exception):
    """Base of all errors of this package."""


class NoSigningKey(KeysError):
    """No key of the algorithm may sign at this instant; the request is answered with 503."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"no {algorithm} key may sign now")
        self.algorithm = algorithm


class NoRing(KeysError):
    """This process has read no ring yet; the request is answered with 503."""


class SigningQueueFull(KeysError):
    """More signatures are waiting for a thread than may wait; the request is answered with 503."""


class InvalidToken(KeysError):
    """A JWT is not ours, not alive or not what it is presented as. ``reason`` is for the log and metrics alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the JWT was refused: {reason}")
        self.reason = reason
        """One of a fixed set of words, see :mod:`app.keys.jwt`."""


class RingDocumentError(KeysError):
    """A ring document cannot be used. The ring that works is kept; at start it is a configuration error."""

    kind = "corrupt"
    """The bounded word for logs and metrics."""


class EmptyDocument(RingDocumentError):
    """There is a document, but nothing in it."""

    kind = "empty"


class UnsupportedVersion(RingDocumentError):
    """The document's major version is newer than this release reads."""

    kind = "future_version"


class SealError(RingDocumentError):
    """A private part cannot be opened: no key-encryption key, another one, or a tampered text."""

    kind = "sealed"


class SourceError(KeysError):
    """The place where the ring is kept did not do what was asked."""

    kind = "unreachable"


class SourceUnreachable(SourceError):
    """The source cannot be reached; trying again may help."""


class SourceDenied(SourceError):
    """The source refuses to be read or written: permissions, or it cannot be written at all."""

    kind = "permission"


class KeyUsageError(KeysError):
    """An operator's request that cannot be carried out as asked: unknown kid, wrong state, impossible policy."""
