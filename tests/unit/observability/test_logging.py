"""What the process logs: one line a message, redacted, in JSON or for people."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.secret_text import SecretText
from app.observability.logging import JsonFormatter, TextFormatter, configure_logging

TOKEN = "asa_10000" + "A" * 51


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """``configure_logging`` changes the whole process: put back what was."""
    names = ["", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"]
    before = [(logger := logging.getLogger(name), logger.handlers[:], logger.level, logger.propagate) for name in names]
    yield
    logging.captureWarnings(False)
    for logger, handlers, level, propagate in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("app.test", logging.WARNING, "file.py", 1, message, arguments, None)
    vars(made).update(extra)
    made.created = 1_700_000_000.25
    return made


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(made)
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_a_json_line_has_the_message_and_its_fields() -> None:
    assert as_json(record("%d clients of %s", 3, "x", request_id="r-1", clients=["a", "b"])) == {
        "timestamp": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "app.test",
        "message": "3 clients of x",
        "request_id": "r-1",
        "clients": ["a", "b"],
    }


def test_the_timestamp_is_rfc_3339() -> None:
    assert datetime.fromisoformat(as_json(record("x"))["timestamp"]).timestamp() == 1_700_000_000.25


@pytest.mark.parametrize(("plain_text", "coloured"), [(False, True), (True, False)])
def test_a_terminal_gets_colours_unless_none_are_wanted(plain_text: bool, coloured: bool) -> None:
    terminal = Terminal()
    configure_logging("info", None, terminal, plain_text=plain_text)
    logging.getLogger("app.test").warning("seen")
    assert ("\x1b[33m" in terminal.getvalue()) is coloured
    assert "app.test: seen" in terminal.getvalue()


def test_a_text_line_is_for_people() -> None:
    made = record("3 clients", request_id="r-1")
    assert TextFormatter(coloured=False).format(made) == "22:13:20.250 warning  app.test: 3 clients  request_id=r-1"
    assert "\x1b[33mwarning \x1b[0m" in TextFormatter(coloured=True).format(made)


def test_exceptions_are_a_field_and_are_redacted() -> None:
    try:
        raise ValueError(f"refused {TOKEN}")
    except ValueError as error:
        made = record("failed")
        made.exc_info = (type(error), error, error.__traceback__)
    exception = as_json(made)["exception"]
    assert "ValueError: refused asa_[hidden]" in exception
    text = TextFormatter(coloured=False).format(made)
    assert TOKEN not in text
    assert all(line.startswith("    ") for line in text.splitlines()[1:])


@pytest.mark.parametrize(
    "made",
    [
        record(f"message {TOKEN}"),
        record("argument %s", TOKEN),
        record("argument %r", TOKEN.encode()),
        record("argument %s", SecretText(TOKEN)),
        record("argument %(token)s", {"token": TOKEN}),
        record("field", token=TOKEN),
        record("field", anything={"nested": [TOKEN]}),
        record("field", secret=SecretText(TOKEN)),
        record("wrong %d", TOKEN),
        record("too few %s %s", TOKEN),
    ],
    ids=lambda made: str(made.msg),
)
def test_a_token_shows_nowhere(made: logging.LogRecord) -> None:
    for formatter in (JsonFormatter(), TextFormatter(coloured=False)):
        shown = formatter.format(made)
        assert TOKEN not in shown
        assert "A" * 40 not in shown


def test_a_field_cannot_pass_for_the_record_s_own() -> None:
    shown = as_json(record("x", level="debug", timestamp="1970", logger="y"))
    assert (shown["level"], shown["logger"]) == ("warning", "app.test")
    assert shown["extra_level"] == "debug"


@given(st.text(st.characters(codec=None)))
def test_any_message_is_one_line(text: str) -> None:
    made = record("%s", text, field=text, request_id=text)
    as_json(made)
    line = TextFormatter(coloured=False).format(made)
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    line.encode()


@pytest.mark.parametrize(
    ("format_", "stream", "is_json"),
    [
        ("json", Terminal(), True),
        ("text", io.StringIO(), False),
        (None, Terminal(), False),
        (None, io.StringIO(), True),
    ],
)
def test_the_format_follows_the_setting_or_the_stream(format_: str | None, stream: io.StringIO, is_json: bool) -> None:
    configure_logging("info", format_, stream)
    logging.getLogger("app.x").info("hello")
    logging.getLogger("app.x").debug("not this")
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("{") is is_json
    assert "hello" in line


def test_the_web_server_and_warnings_go_the_same_way() -> None:
    stream = io.StringIO()
    logging.getLogger("uvicorn.error").addHandler(logging.StreamHandler(io.StringIO()))
    configure_logging("info", "json", stream)
    configure_logging("info", "json", stream)
    logging.getLogger("uvicorn.error").warning("started", extra={"color_message": "\x1b[1mstarted"})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("beware", stacklevel=1)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["logger"] for line in lines] == ["uvicorn.error", "py.warnings"]
    assert "color_message" not in lines[0]
    assert "beware" in lines[1]["message"]
