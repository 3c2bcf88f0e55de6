"""What is remembered of credentials that were right, so that they are cheap the next time and pass beside a guesser.

Rules:
- Neither a secret nor anything that could be tried against it elsewhere is kept: digests of whole headers whose secret
  is in memory as a digest anyway, and hashes under keys that die with the process.
- Nothing remembered answers a guess: what a person may have chosen is remembered with the address that proved it, or
  counts only for who is in no delay.
- Everything is bounded.
"""

import hashlib
import hmac
from collections import OrderedDict

from app.endpoints.exchange import Proof
from app.model.clients import Client
from app.protocol.networks import network_of
from app.randomness import RandomBytes


class VerifiedSecrets:
    """Remembers for a while which (client, secret) pairs were verified by argon2id, under a per-process keyed hash.

    So a client with a chosen secret pays the slow hash when it comes after a while, and not on every request. Each use
    begins the while anew: who guesses at a client that is at work cannot make it wait for a hash.
    """

    def __init__(self, random_bytes: RandomBytes, max_entries: int = 10_000, seconds: float = 300.0) -> None:
        self._key = random_bytes(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._max_entries = max_entries
        self._seconds = seconds

    def _name(self, phc: str, secret: str) -> bytes:
        # The stored hash stands for the client and for the secret's version: a changed secret is a new name.
        return hmac.digest(self._key, hashlib.sha256(phc.encode()).digest() + secret.encode(), "sha256")

    def knows(self, phc: str, secret: str, now: float) -> bool:
        """Whether the pair was verified, or known, less than ``seconds`` ago; ``now`` is monotonic."""
        name = self._name(phc, secret)
        if self._until.get(name, 0.0) <= now:
            return False
        self._until[name] = now + self._seconds
        self._until.move_to_end(name)
        return True

    def remember(self, phc: str, secret: str, now: float) -> None:
        """Remember a verified pair."""
        name = self._name(phc, secret)
        self._until[name] = now + self._seconds
        self._until.move_to_end(name)
        if len(self._until) > self._max_entries:
            self._until.popitem(last=False)


class ProvedHere:
    """Remembers which address has proved which secret of a client: it goes on while a neighbour guesses.

    Who asks in a delay tells a guesser at that address something: so many tries are looked at there
    (:mod:`app.ratelimit.failures`).

    That is an exemption from the delay and no proof: what passes is checked as ever. A day long, because clients come
    for a token once in its life. Of one client so many addresses are kept, so that who has a client's secret and many
    addresses washes away none of another client's.
    """

    def __init__(
        self,
        random_bytes: RandomBytes,
        max_entries: int = 20_000,
        max_of_client: int = 1_000,
        seconds: float = 86_400.0,
    ) -> None:
        self._key = random_bytes(32)
        self._of_client: dict[str, OrderedDict[bytes, float]] = {}
        self._count = 0
        self._max_entries = max_entries
        self._max_of_client = max_of_client
        self._seconds = seconds

    def __len__(self) -> int:
        return self._count

    def knows(self, address: str | None, client_id: str, secret: str, now: float) -> bool:
        """Whether the address has proved the secret less than ``seconds`` ago; ``now`` is monotonic."""
        name = self._name(address, client_id, secret)  # made for unknown clients too: the time shall tell nothing
        return self._of_client.get(client_id, _NONE).get(name, 0.0) > now

    def note(self, address: str | None, client_id: str, secret: str, now: float) -> None:
        """The secret was right. ``client_id`` is that of a client, never what anybody made up."""
        if address is None:
            return
        name = self._name(address, client_id, secret)
        if self._of_client.get(client_id, _NONE).get(name, 0.0) > now + self._seconds / 2:
            return  # nothing is gained by noting each of its requests
        proved = self._of_client.setdefault(client_id, OrderedDict())
        self._count += name not in proved
        proved[name] = now + self._seconds
        proved.move_to_end(name)
        if len(proved) > self._max_of_client:
            proved.popitem(last=False)
            self._count -= 1
        elif self._count > self._max_entries:
            fullest = max(self._of_client, key=lambda client: len(self._of_client[client]))
            self._of_client[fullest].popitem(last=False)
            self._count -= 1
            if not self._of_client[fullest]:
                del self._of_client[fullest]

    def _name(self, address: str | None, client_id: str, secret: str) -> bytes:
        # Length-prefixed, so that no other three have the same name.
        pair = f"{network_of(address)}\n{len(client_id)}:{client_id}{secret}"
        # RFC 7693 section 2.9: keyed, a MAC; in a quarter of HMAC's time, for clients of client_secret_post each time.
        return hashlib.blake2s(pair.encode(errors="surrogatepass"), key=self._key).digest()


_NONE: OrderedDict[bytes, float] = OrderedDict()


class KnownCredentials:
    """Remembers which Authorization headers proved a secret that is kept as SHA-256, by their own SHA-256.

    A client that was just authenticated sends the same header again with each request; to compare one digest of it is
    a third of the work, and where the connection knows the header, the proof comes with the request. What is remembered
    ends with the secret that it proved, and counts only as long as the client that it names is the very object that was
    loaded then: a reload makes it void.

    The header of a secret that might be guessed counts from the address that proved it alone, and who looks for it
    tells a guesser there something: so many tries are looked at in a delay (:mod:`app.ratelimit.failures`). (A
    connection gives the proof again only with the very head, and so from the very address, that it was proved from.)
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        self._known: dict[bytes | tuple[bytes, str | None], Proof] = {}
        self._max_entries = max_entries

    def find(self, authorization: bytes, peer: str | None) -> Proof | None:
        """What the header proved before; whether that still counts is for the caller to see."""
        name = hashlib.sha256(authorization).digest()
        return self._known.get(name) or self._known.get((name, peer))

    def remember(
        self, authorization: bytes, client: Client, until: float, *, peer: str | None, everywhere: bool
    ) -> Proof:
        """Remember a header that proved a secret of the client's that lives until then (Unix seconds).

        ``everywhere``: whoever sends it; else from the address ``peer`` alone.
        """
        digest = hashlib.sha256(authorization).digest()
        name = digest if everywhere else (digest, peer)
        if len(self._known) >= self._max_entries and name not in self._known:
            self._known.clear()  # of clients in use no entry is missed for long
        proof = self._known[name] = Proof(client, until, everywhere)
        return proof


class UsedAssertions:
    """Remembers names of assertions that are used up, as this process has found out.

    The store has the last word on those that it does not know; those that it knows cost their client nothing more.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        self._digests: dict[bytes, None] = {}
        self._max_entries = max_entries

    def knows(self, digest: bytes) -> bool:
        """Whether the assertion of that name is used up."""
        return digest in self._digests

    def note(self, digest: bytes) -> None:
        """It is, for ever: what would be good again after its end has ended itself."""
        self._digests[digest] = None
        if len(self._digests) > self._max_entries:
            del self._digests[next(iter(self._digests))]
