"""How the process logs: one JSON object a line, or coloured lines for people.

Rules:
- Everything goes through the root logger's one handler, the web server's and the libraries' messages too.
- A message is one line, whatever it contains: nobody can forge a second one.
- What looks like a secret is replaced (:mod:`app.observability.redaction`), in messages, fields and tracebacks.
- Fields given as ``extra=`` appear beside the message; ``request_id`` is the one that requests carry.
"""

import logging
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec

from app.observability.redaction import plain, redact_arguments, redact_text

_SERVER_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""Attributes of every record; whatever else a record has was given as ``extra``. (uvicorn repeats each message as
``color_message``.)"""
_FIELDS: Final = frozenset({"timestamp", "level", "logger", "exception"})
_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31;1"}


def configure_logging(
    level: str,
    format: str | None,  # noqa: A002 - LOG_FORMAT
    stream: TextIO,
    *,
    plain_text: bool = False,
) -> None:
    """Log to ``stream`` from now on, in place of whatever was configured before.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        format: ``json`` or ``text``; None for text on a terminal, else JSON.
        stream: Usually ``sys.stderr``.
        plain_text: No colours, even on a terminal (https://no-color.org).
    """
    terminal = stream.isatty()
    handler = logging.StreamHandler(stream)
    if format == "text" or (format is None and terminal):
        handler.setFormatter(TextFormatter(coloured=terminal and not plain_text))
    else:
        handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _SERVER_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        # Its comings and goings, once for each listener, are for debugging: the service tells its own.
        logger.setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    logging.captureWarnings(True)


def _message(record: logging.LogRecord) -> str:
    try:
        arguments = redact_arguments(record.args)
        message = str(record.msg) % arguments if arguments else str(record.msg)
    except Exception:  # noqa: BLE001 - a wrong format string must not lose the message, nor show its arguments
        message = str(record.msg)
    return redact_text(message)


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[0] is not None:
        return redact_text(formatter.formatException(record.exc_info))
    if record.stack_info:
        return redact_text(record.stack_info)
    return None


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
    fields: dict[str, Any] = plain(given)
    # A field must not pass for one of the record's own.
    return {f"extra_{name}" if name in _FIELDS else name: value for name, value in fields.items()}


def _timestamp(record: logging.LogRecord) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class JsonFormatter(logging.Formatter):
    """One JSON object: timestamp, level, logger, message, the extra fields, exception."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = msgspec.json.Encoder()

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "timestamp": _timestamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _encodable(_message(record)),
            **_extra(record),
        }
        exception = _exception(self, record)
        if exception is not None:
            fields["exception"] = _encodable(exception)
        try:
            return self._encoder.encode(fields).decode()
        except (UnicodeEncodeError, msgspec.MsgspecError):
            return self._encoder.encode({key: _encodable(str(value)) for key, value in fields.items()}).decode()


class TextFormatter(logging.Formatter):
    """``12:00:00.000 warning  app.config: message  field=value``, tracebacks indented below."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        shown = f"{level:<8}"
        if self._coloured:
            shown = f"\x1b[{_COLOURS.get(level, '0')}m{shown}\x1b[0m"
        fields = "".join(f"  {name}={_one_line(str(value))}" for name, value in _extra(record).items())
        line = f"{_timestamp(record)[11:-1]} {shown} {record.name}: {_one_line(_message(record))}{fields}"
        exception = _exception(self, record)
        if exception is not None:
            line += "".join(f"\n    {_one_line(part)}" for part in exception.splitlines())
        return line


def _one_line(text: str) -> str:
    """Without line breaks, escape sequences and other controls."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _encodable(text: str) -> str:
    """Without the surrogates that undecodable input leaves in text."""
    return text.encode("utf-8", "backslashreplace").decode()
