"""A flame graph: what of py-spy's stacks is drawn, how wide, and in which colour."""

import pytest

from benchmarks.flame import Box, boxes, flame, stacks
from tests.programs import svg

RAW = """\
main (app/cli/serve.py:9);uv_run (core.c:464);uv__read (stream.c:1154);data_received (app/web/hot.py:92) 40
main (app/cli/serve.py:9);uv_run (core.c:4);Py_DECREF (object.h:5);data_received (app/web/hot.py:99);0x7ff1 (libc.so) 20
main (app/cli/serve.py:9);uv_run (core.c:464);uv__read (stream.c:1063);read (libc.so.6) 40
main (app/cli/serve.py:9);uv_run (core.c:464);epoll_pwait (libc.so.6) 500
Thread.run (threading.py:982);wait (threading.py:327) 100
"""


def test_stacks_begin_at_the_loops_turn_without_lines_waiting_and_frames_that_say_nothing() -> None:
    assert stacks(RAW) == {
        ("uv_run (core.c)", "uv__read (stream.c)", "data_received (app/web/hot.py)"): 40,
        ("uv_run (core.c)", "data_received (app/web/hot.py)"): 20,
        ("uv_run (core.c)", "uv__read (stream.c)", "read (libc.so.6)"): 40,
    }


def test_a_frame_is_as_wide_as_its_part_of_the_samples_and_lies_below_its_caller() -> None:
    assert list(boxes(stacks(RAW))) == [
        Box("uv_run (core.c)", 0, 0.0, 1.0),
        Box("uv__read (stream.c)", 1, 0.0, 0.8),
        Box("data_received (app/web/hot.py)", 2, 0.0, 0.4),
        Box("read (libc.so.6)", 2, 0.4, 0.4),
        Box("data_received (app/web/hot.py)", 1, 0.8, 0.2),
    ]


def test_frames_too_small_to_see_are_not_drawn() -> None:
    assert [box.frame for box in boxes({("all",): 999, ("all", "seldom"): 1})] == ["all"]


def test_the_picture_names_what_it_shows() -> None:
    drawn = svg.texts(flame(stacks(RAW), "A request"))
    assert {"A request", "Python", "uvloop and libuv", "uv__read (stream.c) 80%", "read (libc.so.6) 40%"} <= set(drawn)


def test_samples_of_nothing_but_waiting_are_refused() -> None:
    with pytest.raises(ValueError, match="no sample was taken in uv_run"):
        stacks("Thread.run (threading.py:982) 100\n")
