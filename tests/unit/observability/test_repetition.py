"""Rows of events alike: which are told, and with which number."""

from app.observability.repetition import ROW_SECONDS, Repetition


def test_the_first_of_a_minute_are_told_and_the_number_of_the_others_with_the_next() -> None:
    rows = Repetition(3)
    assert [rows.untold("a", second) for second in range(7)] == [0, 0, 0, None, None, None, None]
    assert rows.untold("b", 7) == 0
    assert [rows.untold("a", ROW_SECONDS + second) for second in range(4)] == [4, 0, 0, None]
    assert rows.untold("a", 2 * ROW_SECONDS + 5) == 1
    assert rows.untold("a", 5 * ROW_SECONDS) == 0


def test_a_clock_that_is_set_back_silences_nothing() -> None:
    rows = Repetition()
    assert [rows.untold("a", now) for now in (1000.0, 1001.0, 500.0, 501.0)] == [0, None, 1, None]


def test_what_is_kept_is_bounded_and_the_oldest_go() -> None:
    rows = Repetition()
    for number in range(30_000):
        rows.untold(number, 0.0)
    assert len(rows) == 10_000
    assert rows.untold(29_999, 1.0) is None
    assert rows.untold(0, 1.0) == 0


def test_of_more_rows_than_are_kept_every_event_is_told_or_in_a_number_that_is() -> None:
    lost: list[int] = []
    rows = Repetition(3, lost.append)
    sent = told = 0
    for minute in range(3):
        for number in range(12_000):
            for _ in range(5 if number % 2 else 2):
                untold = rows.untold(number, minute * ROW_SECONDS * 2)
                sent += 1
                told += 0 if untold is None else 1 + untold
    # A row that is still kept has 2 of its 5 to tell.
    assert sent == told + sum(lost) + 2 * 5_000
    assert set(lost) == {2}


def test_a_row_that_told_of_all_its_events_is_no_loss() -> None:
    lost: list[int] = []
    rows = Repetition(3, lost.append)
    for number in range(12_000):
        rows.untold(number, 0.0)
    assert lost == []
