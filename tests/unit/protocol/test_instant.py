"""Instants: RFC 3339 or Unix seconds, rounded up."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.instant import parse_instant


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1777896000", 1_777_896_000),
        ("1777896000.000001", 1_777_896_001),
        ("2026-05-04T12:00:00Z", 1_777_896_000),
        ("2026-05-04t12:00:00z", 1_777_896_000),
        ("2026-05-04 14:00:00+02:00", 1_777_896_000),
        ("2026-05-04T12:00:00.0Z", 1_777_896_000),
        ("2026-05-04T12:00:00.123456789Z", 1_777_896_001),
    ],
)
def test_an_instant_is_read(text: str, seconds: int) -> None:
    assert parse_instant(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "1e9",
        "123456789012",
        "now",
        "2026-05-04",
        "2026-05-04T12:00:00",  # without an offset it is nobody's time
        "2026-05-04T12:00Z",
        "2026-02-30T12:00:00Z",
        "2026-05-04T25:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "\u0662\u0660\u0662\u0666-05-04T12:00:00Z",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        parse_instant(text)


@given(st.text(max_size=40) | st.text("0123456789-:.TZ+ ", max_size=30))
def test_no_text_is_anything_but_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(parse_instant(text), int)
