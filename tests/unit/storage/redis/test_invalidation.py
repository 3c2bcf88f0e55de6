"""Messages of ended names are read as they were written, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.redis.invalidation import read_names

NAMES = st.lists(st.binary(min_size=1, max_size=300), max_size=20)


def written(names: list[bytes]) -> bytes:
    return b"".join(len(name).to_bytes(2, "big") + name for name in names)


@given(NAMES)
def test_names_come_through_as_they_are(names: list[bytes]) -> None:
    assert list(read_names(written(names))) == names


@given(NAMES.filter(bool), st.data())
def test_a_message_cut_short_is_refused(names: list[bytes], data: st.DataObject) -> None:
    last = len(names[-1]) + 2
    message = written(names)[: -data.draw(st.integers(1, last - 1))]
    with pytest.raises(ValueError, match="no list of names"):
        list(read_names(message))
