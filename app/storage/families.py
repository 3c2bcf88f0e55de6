"""The families of tokens that the memory store holds, and the end of one: refused at once, dropped in slices.

Rules:
- No call here looks at more members than it is asked for, however many a family has: used refresh tokens stay members,
  and one client can rotate a million times.
- A family that was ended is in :attr:`Families.ended` until its last member was taken from there to be dropped.
"""

MEMBERS_OF_A_SET = 8_192
"""A set that grows is built anew in one step: at 315,000 members that took 25 ms, at as many as these less than one."""


class Members:
    """The digests of a family's tokens, used refresh tokens included."""

    __slots__ = ("_newest", "_older", "access_ends_at", "client_id", "until")

    def __init__(self, client_id: str) -> None:
        self._newest: set[bytes] = set()
        self._older: tuple[set[bytes], ...] = ()
        self.client_id = client_id
        self.access_ends_at = 0
        """Unix seconds: when the last access token that the family was given while it was held ends; 0 without any."""
        self.until = 0
        """Unix seconds: the end of the family's possible life, of one that was ended."""

    def add(self, digest: bytes) -> None:
        """A token belongs to the family."""
        if len(self._newest) >= MEMBERS_OF_A_SET:
            self._older += (self._newest,)
            self._newest = set()
        self._newest.add(digest)

    def discard(self, digest: bytes) -> bool:
        """A token is held no more; whether any other is."""
        self._newest.discard(digest)
        for older in self._older:
            older.discard(digest)
        return bool(self._newest) or self._take_up()

    def take(self, limit: int) -> list[bytes]:
        """Up to ``limit`` of them, which are members no more; none where none are left."""
        taken: list[bytes] = []
        while len(taken) < limit and (self._newest or self._take_up()):
            taken += [self._newest.pop() for _ in range(min(len(self._newest), limit - len(taken)))]
        return taken

    def __bool__(self) -> bool:
        return bool(self._newest) or any(self._older)

    def _take_up(self) -> bool:
        """Put an older set in the place of the newest, which is empty; whether there is one that is not."""
        while self._older and not self._newest:
            *older, self._newest = self._older
            self._older = tuple(older)
        return bool(self._newest)


class Families:
    """Family → its members, of those that live and of those that were ended."""

    def __init__(self) -> None:
        self._live: dict[str, Members] = {}
        self.ended: dict[str, Members] = {}
        """Families that were ended, with the members that are still to be dropped."""

    def join(self, family: str, digest: bytes, client_id: str, access_ends_at: int) -> None:
        """A token becomes a member. ``access_ends_at``: Unix seconds, the end of the access token that came; or 0."""
        members = self._live.get(family)
        if members is None:
            members = self._live[family] = Members(client_id)
        members.add(digest)
        members.access_ends_at = max(members.access_ends_at, access_ends_at)

    def leave(self, family: str, digest: bytes) -> None:
        """A token is held no more."""
        members = self._live.get(family)
        if members is not None and not members.discard(digest):
            del self._live[family]
            if not self._live:
                self._live.clear()  # its table, too

    def get(self, family: str) -> Members | None:
        """The members of a family that lives and is held."""
        return self._live.get(family)

    def end(self, family: str, until: int) -> None:
        """Refuse the family from now on; its members wait to be taken. ``until``: the end of its possible life."""
        members = self._live.pop(family, None)
        if members is not None:
            members.until = until
            self.ended[family] = members

    def take_ended(self, limit: int) -> list[tuple[bytes, Members]]:
        """Up to ``limit`` members of ended families, each with the family that it was in: to be dropped at once.

        Some may have been dropped before.
        """
        taken: list[tuple[bytes, Members]] = []
        while self.ended and len(taken) < limit:
            family, members = self.ended.popitem()
            taken += [(digest, members) for digest in members.take(limit - len(taken))]
            if members:
                self.ended[family] = members
        return taken

    def __len__(self) -> int:
        return len(self._live) + len(self.ended)
