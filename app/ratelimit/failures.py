"""What failed attempts cost whoever makes them: a growing delay for one address at one client, a bound for an address.

Rules:
- Who asks :meth:`Failures.must_wait` first refuses what comes in a delay unchecked, right or wrong: else a delay would
  slow nobody who guesses. Whom it may let pass all the same is for the caller to know.
- A delay concerns an address *and* a client: failures elsewhere never delay a client, nor a client the others that
  share its address.
- The wider bound on an address stops a walk over many clients: beyond it nothing that can be guessed is checked for it,
  a first attempt neither. Told of wrong guesses alone it would leave the right ones to be found at any speed.
- An attempt that comes during a delay is refused, and does not prolong it. Whoever lets some pass all the same, and has
  to look at what is presented for that, asks :meth:`Failures.may_try_in_delay` before and tells of what was wrong:
  else who guesses in the delay finds out what would pass.
- IPv6 addresses count by their first 64 bits, which is what one subscriber has (RFC 6177 section 2).
- What is kept is bounded, and swept in slices.
"""

import hashlib

import msgspec

from app.protocol.networks import network_of
from app.ratelimit.limiter import RateLimiter

FREE_FAILURES = 5
"""Failures in a row without a delay: typing errors, and a secret that has just been changed."""
LONGEST_DELAY_SECONDS = 300.0
FORGET_SECONDS = 900.0
"""After so long without another failure, the next one is the first."""
_MAX_PAIRS = 50_000
_SHARDS = 64
_REMEMBERED_NETWORKS = 4096
_LONGEST_NAME = 64
"""Characters of an id that is kept as it was given; of a longer one its hash."""


class _Row(msgspec.Struct, gc=False):
    """Failures in a row."""

    count: int
    until: float
    """When the delay ends."""


class Failures:
    """Counts failures; belongs to the event loop. Instants are monotonic seconds."""

    def __init__(self, per_minute: int, max_pairs: int = _MAX_PAIRS) -> None:
        """``per_minute``: how many failures one address may have a minute, over all clients; 0 turns all of it off.

        Also how many wrong tries of one address at one client are looked at in a delay.
        """
        self.per_minute = per_minute
        self._by_address = RateLimiter(max_pairs)
        self._tried_in_delay = RateLimiter(max_pairs)
        self._shards: list[dict[tuple[str, str], _Row]] = [{} for _ in range(_SHARDS)]
        self._max_rows = max(1, max_pairs // _SHARDS)
        self._networks: dict[str, str] = {}
        self._next = 0

    def __len__(self) -> int:
        return sum(map(len, self._shards)) + len(self._by_address) + len(self._tried_in_delay)

    def must_wait(self, address: str | None, client_id: str, now: float) -> float:
        """0 if the address may try at the client what might be guessed, else the seconds until it may."""
        if not self.per_minute or address is None:
            return 0.0
        bound = self._by_address.full_for(self._network(address), self.per_minute, now)
        return max(bound, self.must_wait_at(address, client_id, now))

    def must_wait_at(self, address: str | None, client_id: str, now: float) -> float:
        """The same by the failures at this client alone: for what cannot be guessed, but costs much to check."""
        if not self.per_minute or address is None:
            return 0.0
        row = self._row(self._network(address), client_id)
        return 0.0 if row is None else max(0.0, row.until - now)

    def may_try_in_delay(self, address: str | None, client_id: str, now: float) -> bool:
        """Whether what comes in a delay may be looked at, to find out if it is let pass."""
        if not self.per_minute or address is None:
            return True
        return self._tried_in_delay.full_for(self._tries(address, client_id), self.per_minute, now) == 0

    def tried_in_delay(self, address: str | None, client_id: str, now: float) -> None:
        """What came in a delay was looked at, and not let pass."""
        if self.per_minute and address is not None:
            self._tried_in_delay.retry_after(self._tries(address, client_id), self.per_minute, now)

    def in_a_row(self, address: str | None, client_id: str, now: float) -> int:
        """How often the address has failed at the client, the last time not long ago."""
        if not self.per_minute or address is None:
            return 0
        row = self._row(self._network(address), client_id)
        return 0 if row is None or row.until + FORGET_SECONDS < now else row.count

    def failed(self, address: str | None, client_id: str, now: float) -> float:
        """Count a failure: 0 if it is told as what it is, else the seconds for which no more is told.

        ``client_id`` is the id that was given, whether there is such a client or not, so that a delay tells nobody
        which there are; empty for what names none, which counts for the address alone.
        """
        if not self.per_minute or address is None:
            return 0.0
        network = self._network(address)
        row = self._row(network, client_id) if client_id else None
        if row is not None and row.until > now:
            return row.until - now
        wait = self._by_address.retry_after(network, self.per_minute, now)
        if client_id:
            self._count(network, client_id, now, at_least=wait)
        return wait

    def succeeded(self, address: str | None, client_id: str) -> None:
        """Forgive the failures of this address at this client."""
        if self.per_minute and address is not None:
            key = _pair(self._network(address), client_id)
            self._shard(key).pop(key, None)

    def sweep(self, now: float) -> None:
        """Forget what is long past in one shard, another at each call."""
        self._by_address.sweep(now)
        self._tried_in_delay.sweep(now)
        _forget(self._shards[self._next], now)
        self._next = (self._next + 1) % _SHARDS

    def _count(self, network: str, client_id: str, now: float, at_least: float) -> None:
        key = _pair(network, client_id)
        shard = self._shard(key)
        row = shard.get(key)
        if row is None or row.until + FORGET_SECONDS < now:
            if len(shard) >= self._max_rows:
                _forget(shard, now)
            if len(shard) >= self._max_rows:  # the shortest rows go: a flood of new ones washes no long one away
                for each in sorted(shard, key=lambda k: shard[k].count)[: (len(shard) + 1) // 2]:
                    del shard[each]
            row = shard[key] = _Row(0, now)
        row.count += 1
        over = row.count - FREE_FAILURES
        delay = min(2.0 ** min(over, 16), LONGEST_DELAY_SECONDS) if over > 0 else 0.0
        row.until = now + max(delay, at_least)

    def _row(self, network: str, client_id: str) -> _Row | None:
        key = _pair(network, client_id)
        return self._shard(key).get(key)

    def _shard(self, key: tuple[str, str]) -> dict[tuple[str, str], _Row]:
        return self._shards[hash(key) % _SHARDS]

    def _tries(self, address: str, client_id: str) -> str:
        return "\n".join(_pair(self._network(address), client_id))

    def _network(self, address: str) -> str:
        if ":" not in address:
            return address
        network = self._networks.get(address)
        if network is None:
            if len(self._networks) >= _REMEMBERED_NETWORKS:
                self._networks.clear()
            network = self._networks[address] = network_of(address)
        return network


def _pair(network: str, client_id: str) -> tuple[str, str]:
    if len(client_id) > _LONGEST_NAME:
        client_id = hashlib.sha256(client_id.encode(errors="surrogatepass")).hexdigest()
    return network, client_id


def _forget(shard: dict[tuple[str, str], _Row], now: float) -> None:
    for key in [key for key, row in shard.items() if row.until + FORGET_SECONDS < now]:
        del shard[key]
