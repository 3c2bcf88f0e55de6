"""A flame graph, callers above what they call: from py-spy's stacks to a picture.

Rules:
- What is drawn begins at the event loop's turn: how the program came to its loop and what its other threads do tell
  nothing of a request. Time inside epoll_wait is left out, for it is mostly waiting.
- Functions are merged whatever line they are at. Frames without a name, and those that debug information blames on
  reference counting, are left out: what they hold moves up to their callers.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from benchmarks.drawing import PALETTE, svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Stacks: TypeAlias = Mapping[tuple[str, ...], int]
"""How many samples were seen of each stack."""

ROOT = "uv_run"
KINDS = (
    ("Python", re.compile(r"\.py\)$"), PALETTE[1]),
    ("the C library and the kernel behind it", re.compile(r"\((libc\.|\[vdso|ld-)"), PALETTE[5]),
    ("uvloop and libuv", re.compile(r"\((loop|core|linux|stream|uv-common|internal)\.[ch]\)$"), PALETTE[2]),
    ("other native code", re.compile(""), PALETTE[4]),
)
_LEFT_OUT = re.compile(r"^(0x|Py_X?DECREF\b)")
_WIDTH, _ROW, _AROUND, _LETTER = 1200, 19, 70, 6.0
_LEAST = 0.003
"""The part of all samples below which a frame is not drawn."""


class Box(msgspec.Struct, frozen=True):
    """A frame as it is drawn; left and width are parts of the whole."""

    frame: str
    depth: int
    left: float
    width: float


def stacks(raw: str) -> Stacks:
    """The stacks in py-spy's raw format from :data:`ROOT` on. Raises ValueError if it is in none of them."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")]
        at = next((place for place, frame in enumerate(frames) if frame.startswith(ROOT)), None)
        if at is not None and not frames[-1].startswith("epoll_"):
            found[tuple(frame for frame in frames[at:] if not _LEFT_OUT.match(frame))] += int(count)
    if not found:
        raise ValueError(f"no sample was taken in {ROOT}")
    return found


def boxes(of: Stacks, depth: int = 0, left: float = 0.0, whole: int | None = None) -> Iterator[Box]:
    """Every frame that is large enough, callers before what they call, the largest first."""
    whole = whole or sum(of.values())
    below: dict[str, dict[tuple[str, ...], int]] = {}
    for stack, count in of.items():
        if len(stack) > depth:
            below.setdefault(stack[depth], {})[stack] = count
    for frame, inner in sorted(below.items(), key=lambda pair: (-sum(pair[1].values()), pair[0])):
        width = sum(inner.values()) / whole
        if width >= _LEAST:
            yield Box(frame, depth, left, width)
            yield from boxes(inner, depth + 1, left, whole)
        left += width


def flame(of: Stacks, title: str) -> str:
    """The picture. Raises DrawingError."""
    drawn = list(boxes(of))
    deepest = max(box.depth for box in drawn)

    def draw(figure: "Figure") -> None:
        figure.suptitle(title, x=0.01, horizontalalignment="left")
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(deepest + 0.6, -0.6))
        axes.axis("off")
        for name, _, colour in KINDS:
            these = [box for box in drawn if _kind(box.frame) == name]
            axes.barh(
                [box.depth for box in these],
                [box.width for box in these],
                left=[box.left for box in these],
                color=colour,
                alpha=0.55,
                edgecolor="#ffffff",
                label=name,
            )
        for box in drawn:
            text = f"{box.frame} {box.width:.0%}"
            letters = int(box.width * _WIDTH / _LETTER) - 1
            if letters >= 3:
                shown = text if len(text) <= letters else text[: letters - 1] + "…"
                axes.text(box.left + 0.002, box.depth, shown, va="center", size=8)
        figure.legend(loc="outside lower center", ncols=len(KINDS))

    return svg(title, _WIDTH, _AROUND + _ROW * (deepest + 1), draw)


def _kind(frame: str) -> str:
    return next(name for name, pattern, _ in KINDS if pattern.search(frame))
