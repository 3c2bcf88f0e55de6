"""Headers as they stand in a message: each on its own line, and on no other."""

import pytest

from app.endpoints.exchange import FinishedHeaders, FixedHeaders, Headers, header_lines

GOOD: Headers = ((b"a", b"1"), (b"b", b"2; c"))


def test_fixed_headers_are_headers_with_their_lines() -> None:
    fixed = FixedHeaders(GOOD)
    assert fixed == GOOD
    assert (fixed.lines, header_lines(fixed)) == (b"a: 1\r\nb: 2; c\r\n",) * 2
    assert header_lines(()) == FixedHeaders(()).lines == b""


@pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n", b"\0", b"\r\nset-cookie: 1"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_header_that_ends_its_own_line_is_refused(end: bytes, place: int) -> None:
    header = (b"a" + end, b"1") if place == 0 else (b"a", b"1" + end)
    for make in (FixedHeaders, header_lines, lambda own: FinishedHeaders(own, (), "id").lines()):
        with pytest.raises(ValueError, match="more than one line"):
            make((header,))
    with pytest.raises(ValueError, match="more than one line"):
        FinishedHeaders(GOOD, (header,), "id").lines()


@pytest.mark.parametrize("own", [GOOD, FixedHeaders(GOOD)])
@pytest.mark.parametrize("added", [((b"z", b"9"),), FixedHeaders(((b"z", b"9"),))])
def test_finished_headers_say_the_same_as_pairs_and_as_lines(
    own: tuple[tuple[bytes, bytes], ...], added: tuple[tuple[bytes, bytes], ...]
) -> None:
    finished = FinishedHeaders(own, added, "id")
    assert tuple(finished) == (*GOOD, (b"x-request-id", b"id"), (b"z", b"9"))
    assert finished.lines() == header_lines(tuple(finished))
    assert len(finished) == 4
