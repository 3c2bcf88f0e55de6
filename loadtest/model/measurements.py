"""What the model takes as given: costs measured on one machine, in SI units."""

from pathlib import Path

import msgspec

from benchmarks.machine import Machine

FILE = Path(__file__).parent / "measured.json"


class Point(msgspec.Struct, frozen=True):
    """One rate that the real service was loaded with."""

    rate: float
    """Answers a second."""
    p50_ms: float
    p99_ms: float
    core_share: float
    """Which part of its core the service used."""
    others: float = 0.0
    """How many cores' time went to what is neither the service, nor the load, nor Redis."""


class Measured(msgspec.Struct, frozen=True):
    """The constants. CPU is in seconds of one core of :attr:`machine`."""

    machine: Machine
    when: str
    hit_cpu: float
    """An introspection that the cache answers, at full load (64 connections, one token)."""
    miss_cpu: float
    """An introspection that Redis answers, at full load (64 connections, tokens uniform over many)."""
    issue_opaque_cpu: float
    issue_jwt_cpu: float
    introspect_jwt_cpu: float
    revoke_cpu: float
    """A revocation of an opaque token, at the replica that is asked."""
    heard_cpu: float
    """What another replica spends on hearing of it."""
    redis_lookup_cpu: float
    """Redis, for each token of a full batch."""
    redis_lookup_alone_cpu: float
    """Redis, for each token where requests come so slowly that hardly two share a batch."""
    redis_issue_cpu: float
    redis_revoke_cpu: float
    """Redis, with two subscribers."""
    redis_delivery_cpu: float
    """Redis, for each subscriber that a published message goes to, beyond the publishing itself."""
    full_batch: float
    """Lookups in a batch at full load, the mean."""
    redis_lookup_bytes: float
    """Between a pod and Redis for each lookup, both ways, without TCP/IP's own."""
    redis_issue_bytes: float
    request_bytes: float
    """An introspection as a client of HTTP/1.1 sends it, without TCP/IP's own."""
    response_bytes: float
    issue_request_bytes: float
    issue_response_bytes: float
    redis_token_bytes: float
    """Redis' used_memory for each live token."""
    connection_bytes: float
    """Resident size of the service for each idle client connection."""
    idle_bytes: float
    """Resident size of a service that has just started, with Redis."""
    hits: tuple[Point, ...]
    """Latency against rate, one token, from the cache."""
    misses: tuple[Point, ...]
    """The same where every token is asked of Redis."""


def read(path: Path = FILE) -> Measured:
    """The committed measurement. Raises OSError or msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Measured)
