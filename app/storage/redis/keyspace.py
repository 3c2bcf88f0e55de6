"""The names of everything the service keeps in Redis.

Rules:
- Every name is ``prefix{tag}kind`` and what it is about, raw bytes included: ``prefix`` sets installations on one
  Redis apart, ``{tag}`` is the Redis Cluster hash tag, so that a token and its family share a slot.
- A prefix has no brace; therefore no installation's names begin with another's prefix and a brace.
- The names of channels begin with the prefix as well.
"""

import re

from app.model.tokens import TokenRef

_PREFIX = re.compile(r"[A-Za-z0-9_./:-]{1,128}")

ACCESS = b"a"
REFRESH = b"r"
"""Kinds of token record; they also begin a token's name among the members of its family."""


class Keyspace:
    """The names of one installation. Raises ValueError for a prefix that could meet another installation's."""

    def __init__(self, prefix: str) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(f"the Redis key prefix {prefix!r} must be 1 to 128 of letters, digits and _ . / : -")
        self.prefix = prefix
        self.opening = prefix.encode() + b"{"
        """What every name and channel begins with."""

    def tagged(self, tag: str) -> bytes:
        """What all names of one tag begin with; followed by a kind and a digest it is a token's name."""
        return self.opening + tag.encode() + b"}"

    def access(self, ref: TokenRef) -> bytes:
        """An opaque access token's record. Joined: twice as fast, and every introspection asks for it."""
        return b"".join((self.opening, ref.tag.encode(), b"}a", ref.digest))

    def refresh(self, ref: TokenRef) -> bytes:
        """A refresh token's record."""
        return self.opening + ref.tag.encode() + b"}r" + ref.digest

    def brought_back(self, ref: TokenRef) -> bytes:
        """The mark of an access token that was kept elsewhere and has been brought back."""
        return self.opening + ref.tag.encode() + b"}b" + ref.digest

    def revoked_jwt(self, ref: TokenRef) -> bytes:
        """The mark of a revoked JWT."""
        return self.opening + ref.tag.encode() + b"}j" + ref.digest

    def family_members(self, family: str) -> bytes:
        """The sorted set of a family's tokens by expiry: kind and digest each."""
        return self.opening + family[:4].encode() + b"}m" + family.encode()

    def revoked_family(self, family: str) -> bytes:
        """The mark of a revoked family."""
        return self.opening + family[:4].encode() + b"}x" + family.encode()

    def once(self, digest: bytes) -> bytes:
        """A one-time value."""
        return self.opening + digest[:2].hex().encode() + b"}o" + digest

    def budget(self, digest: bytes) -> bytes:
        """What is left of a client's limit."""
        return self.opening + digest[:2].hex().encode() + b"}l" + digest

    def ended_channel(self) -> bytes:
        """The channel on which names are published that were ended."""
        return self.opening + b"meta}ended"

    def beat_channel(self, replica: str, tag: str = "meta") -> bytes:
        """The channel on which a replica hears itself; in a cluster, over the node that has a tag."""
        return self.opening + tag.encode() + b"}beat:" + replica.encode()

    def epochs(self) -> bytes:
        """The hash of epochs."""
        return self.opening + b"meta}epochs"

    def epochs_version(self) -> bytes:
        """The version of that hash."""
        return self.opening + b"meta}epochs:version"

    def epochs_channel(self) -> bytes:
        """The channel on which changes of that hash are published."""
        return self.opening + b"meta}epochs:changed"

    def live_counts(self) -> bytes:
        """The hash that counts access tokens by the time at which they end."""
        return self.opening + b"meta}live"

    def born_at(self, tag: str = "meta") -> bytes:
        """When this store was first used; in a cluster, the part of it that has a tag."""
        return self.opening + tag.encode() + b"}born_at"
