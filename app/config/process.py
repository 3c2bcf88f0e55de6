"""Settings: how the process serves, stops and logs."""

from enum import StrEnum
from typing import Annotated

import msgspec

from app.config.values import parse_path, setting


class FastPath(StrEnum):
    """What carries the hot endpoints."""

    PROTOCOL = "protocol"
    """The server's own connections, inside the parser's callback."""
    ASGI = "asgi"
    """An ASGI application in front of Litestar."""
    OFF = "off"
    """Plain Litestar routes."""


def parse_audit_log(text: str) -> str:
    if text not in ("stdout", "stderr", "off") and not text.startswith("/"):
        raise ValueError("is neither stdout, stderr, off nor an absolute path")
    return parse_path(text).as_posix()


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogRequests(StrEnum):
    """How severe the line of a request that went well is."""

    OFF = "off"
    DEBUG = "debug"
    INFO = "info"


class LogFormat(StrEnum):
    JSON = "json"
    TEXT = "text"


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Process"""

    fast_path: Annotated[
        FastPath,
        setting(
            "What carries the hot endpoints: `protocol`, the server's connections themselves; `asgi`, an application "
            "in front of Litestar; `off`, Litestar's own routes. Each is slower than the one before, and otherwise the "
            "same.",
        ),
    ] = FastPath.PROTOCOL
    probe_interval_seconds: Annotated[
        float,
        setting(
            "Seconds between two runs of the synthetic probe, which issues, introspects and revokes a token as a "
            "client of its own: for alerts where hardly anybody calls. 0 turns it off.",
            ge=0,
            le=3600,
        ),
    ] = 0.0
    drain_seconds: Annotated[
        float,
        setting("How long the listener stays open after SIGTERM, so that balancers can turn away.", ge=0, le=3600),
    ] = 10
    keep_alive_seconds: Annotated[
        int, setting("How long an idle connection is kept; longer than the proxy's in front.", ge=1, le=3600)
    ] = 75
    max_connections: Annotated[
        int,
        setting(
            "Connections to the public listener at once, as far as the limit on open files allows. One more takes the "
            "place of an idle one. The listener for operators takes 100, that for metrics has no such limit.",
            ge=1,
            le=1_000_000,
        ),
    ] = 20_000
    request_timeout_seconds: Annotated[
        float,
        setting(
            "How long a client may take to send the head of a request, and a third of how long to send its body or to "
            "take its answer.",
            ge=0.1,
            le=300,
        ),
    ] = 10
    max_connection_age_seconds: Annotated[
        float,
        setting(
            "How old a connection to the public listener may get: a later request's answer says `Connection: close`, "
            "so that pools of connections reach newer pods. Chance takes off up to a fifth; 0: no limit.",
            ge=0,
            le=86400,
        ),
    ] = 45
    audit_log: Annotated[
        str,
        setting(
            "Where audit events are written, one JSON object a line (`docs/operations/audit.md`).",
            allowed="stdout, stderr, off, or the absolute path of a file",
            parse=parse_audit_log,
        ),
    ] = "stdout"
    log_level: Annotated[LogLevel, setting("The least severe messages that are logged.")] = LogLevel.INFO
    log_format: Annotated[
        LogFormat | None,
        setting("`json`: one object a line; `text`: for people.", default="`text` on a terminal, else `json`"),
    ] = None
    log_requests: Annotated[
        LogRequests,
        setting(
            "The level of the line that each answered request has; `off`: none. Refused and failed requests have "
            "theirs all the same: `info` and above."
        ),
    ] = LogRequests.DEBUG
    log_requests_ratio: Annotated[float, setting("The part of the answered requests that has a line.", ge=0, le=1)] = (
        1.0
    )
