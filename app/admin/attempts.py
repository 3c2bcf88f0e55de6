"""What wrong tokens at the operators' listener cost the address that they come from.

Rules:
- Five in a row are told as what they are; then what is wrong is answered "not before 2, 4, 8, … 300 seconds" (429).
- What is right passes meanwhile: by ``kubectl port-forward`` all operators have one address, and a forgotten script
  with an old token must not keep them out in the middle of an incident.
- Only so many wrong ones a minute of one address are compared at all; beyond, nothing from there is looked at, right or
  wrong. With tokens of 32 characters that leaves nothing to guess.
- Other addresses feel nothing of it. A request without a token is no attempt: browsers ask so first.
- What is kept is bounded, and swept a slice at each failure.
"""

from collections.abc import Callable

from app.admin.authorization import OPERATOR, Access, AdminAuthorization, Admitted
from app.protocol.networks import network_of
from app.ratelimit.failures import Failures
from app.ratelimit.limiter import RateLimiter

_WRONG = (Access.INVALID_TOKEN, Access.UNAUTHENTICATED)
_UNKNOWN = "unknown"
"""Where the listener does not know who asks (a Unix socket)."""


class LimitedAuthorization:
    """Asks the authorization, and counts what was wrong. Belongs to the event loop."""

    def __init__(
        self,
        authorization: AdminAuthorization,
        *,
        per_minute: int,
        monotonic: Callable[[], float],
        on_decision: Callable[[bool], None] = lambda _limited: None,
    ) -> None:
        """``per_minute``: wrong tokens of one address that are compared; 0 turns all of it off.

        ``on_decision`` is told of each wrong token, or unseen one, whether it was refused by the limit.
        """
        self.per_minute = per_minute
        self._authorization = authorization
        self._monotonic = monotonic
        self._on_decision = on_decision
        self._delays = Failures(per_minute)
        self._compared = RateLimiter()

    async def admit(self, authorization: str | None, address: str | None) -> Admitted:
        """Whether a request with this Authorization header may in, and who sent it. Raises StoreError."""
        if authorization is None:
            return await self._authorization.admit(None)
        address = address or _UNKNOWN
        network = network_of(address)
        wait = self._compared.full_for(network, self.per_minute, self._monotonic())
        if wait > 0:
            return self._too_many(wait)
        admitted = await self._authorization.admit(authorization)
        if admitted.access is Access.GRANTED:
            self._delays.succeeded(address, OPERATOR)
        if admitted.access not in _WRONG:
            return admitted
        now = self._monotonic()
        self._compared.retry_after(network, self.per_minute, now)
        wait = self._delays.failed(address, OPERATOR, now)
        self._compared.sweep(now)
        self._delays.sweep(now)
        if wait > 0:
            return self._too_many(wait)
        self._on_decision(False)
        return admitted

    def _too_many(self, wait: float) -> Admitted:
        self._on_decision(True)
        return Admitted(Access.TOO_MANY, retry_after_seconds=wait)
