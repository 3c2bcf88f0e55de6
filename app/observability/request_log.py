"""One line of the log for each request that was answered: by default only where ``LOG_LEVEL`` is ``debug``.

What was refused or failed has a line of its own, with the reason, whatever is set here.

Rules:
- Whether there are lines at all is decided once, which of them is a countdown: who wants none pays for one comparison.
- The route stands in it and never the path that was sent; no header, no form, no token.
"""

import logging
from typing import Protocol

from app.endpoints.exchange import Request
from app.protocol.trace_context import trace_id

logger = logging.getLogger("app.requests")


class Chooses(Protocol):
    """Which requests: a :class:`~app.observability.head_sampling.HeadSampler`."""

    def samples(self, traceparent: bytes | None) -> bool: ...


class RequestLog:
    """Tells the log of requests that went well."""

    def __init__(self, level: int, sampler: Chooses) -> None:
        """``level`` is one of :mod:`logging`'s."""
        self._level = level
        self._sampler = sampler

    def answered(self, request: Request, route: str, status: int, seconds: float) -> None:
        """A request on ``route`` was answered after so many seconds."""
        if not self._sampler.samples(None):
            return
        told = {
            "request_id": request.request_id,
            "peer": request.peer,
            "status": status,
            "seconds": round(seconds, 6),
            "operation": request.operation,
            "client_id": request.client_id,
            "trace_id": trace_id(request.traceparent) if request.span is None else request.span.trace_id,
        }
        logger.log(self._level, "%s %s answered", request.method, route, extra=told)
