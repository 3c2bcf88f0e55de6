"""Which requests are traced, decided from a few bytes before OpenTelemetry's SDK is touched.

The SDK's own samplers are asked once a span has begun to exist: 3 to 6 µs of every request, sampled or not. Here one
that is not sampled pays for a countdown, or for reading ``traceparent``.

Rules:
- Without a caller's trace the distance to the next sampled request is drawn at random (geometrically), so that the
  ratio holds and nobody can foresee whom it meets.
- Where the parent counts, a caller that records its part has ours recorded too, up to MAX_PER_SECOND: recording costs
  CPU, and whoever reaches the listener can ask for it.
- A ratio may have a bound of the same kind: a hundredth of sixty thousand requests a second is more than anybody looks
  at, and cost an eighth of a core.
- Ratios of a trace that others began go by its id, so that all who use the same ratio choose the same traces
  (OpenTelemetry's TraceIdRatioBased).
"""

import math
from collections.abc import Callable

from app.protocol.trace_context import parse_traceparent
from app.randomness import RandomBytes

MAX_PER_SECOND = 100
"""Requests recorded in each process because their callers say so, and as many by a ratio: 2 % of a core at 190 µs each,
most of it the encoding and sending."""

_IDS = 2**64


class HeadSampler:
    """Says of each request whether it is traced."""

    def __init__(
        self,
        ratio: float,
        *,
        parent_counts: bool,
        random_bytes: RandomBytes,
        monotonic: Callable[[], float],
        max_per_second: float = math.inf,
    ) -> None:
        """``ratio`` from 0 (none) to 1 (all): of the requests for which no caller decides.

        ``max_per_second``: how many of those are chosen at most.
        """
        self._ratio = ratio
        self._chosen = _Bound(max_per_second, monotonic)
        self._asked = _Bound(MAX_PER_SECOND, monotonic)
        self._parent_counts = parent_counts
        self._random_bytes = random_bytes
        self._left = self._distance()

    def samples(self, traceparent: bytes | None) -> bool:
        """Whether a request with this field is traced; to be asked once of each."""
        if traceparent is not None:
            parent = parse_traceparent(traceparent)
            if parent is not None:
                if self._parent_counts:
                    return parent.sampled and self._asked.takes_one()
                return int(parent.trace_id[16:], 16) < self._ratio * _IDS and self._chosen.takes_one()
        self._left -= 1
        if self._left > 0:
            return False
        self._left = self._distance()
        return self._ratio > 0 and self._chosen.takes_one()

    def _distance(self) -> float:
        """How many requests until the next sampled one, itself included."""
        if self._ratio <= 0:
            return math.inf
        if self._ratio >= 1:
            return 1
        uniform = (int.from_bytes(self._random_bytes(7)) + 1) / 2**56  # from above 0 to 1
        return 1 + math.floor(math.log(uniform) / math.log1p(-self._ratio))


class _Bound:
    """So many in each second of a clock."""

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._second = -math.inf
        self._taken = 0

    def takes_one(self) -> bool:
        """Whether there is room for one more in this second; it is taken then."""
        now = math.floor(self._monotonic())
        if now != self._second:
            self._second, self._taken = now, 0
        self._taken += 1
        return self._taken <= self._per_second
