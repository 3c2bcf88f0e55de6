"""The ratios as bars, drawn as SVG without any library."""

from collections.abc import Iterator, Sequence
from html import escape

from benchmarks.results import RowResult

_WIDTH, _LEFT, _RIGHT, _TOP, _BAR, _GAP = 860, 330, 60, 46, 20, 14
_MET, _MISSED, _NEUTRAL, _INK, _GRID = "#2e7d4f", "#b3402a", "#5b7083", "#222222", "#dddddd"


def ratio_bars(rows: Sequence[RowResult], title: str) -> str:
    """A bar for each ratio to the bare server by CPU time; a line across it is the target, the whisker its range."""
    longest = max(1.0, *(row.ratio_on_cpu.high for row in rows))
    height = _TOP + len(rows) * (_BAR + _GAP) + 34
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
    return "\n".join(
        [
            f'{svg} font-family="sans-serif" font-size="13" fill="{_INK}">',
            f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
            *_grid(longest, height),
            *(part for number, row in enumerate(rows) for part in _bar(row, number, longest)),
            "</svg>\n",
        ]
    )


def _grid(longest: float, height: int) -> Iterator[str]:
    for tenths in range(0, int(longest * 10) + 1, 2):
        x = _x(tenths / 10, longest)
        yield f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{height - 26}" stroke="{_GRID}"/>'
        yield f'<text x="{x}" y="{height - 10}" text-anchor="middle" font-size="11">{tenths / 10:.1f}</text>'


def _bar(row: RowResult, number: int, longest: float) -> Iterator[str]:
    top = _TOP + number * (_BAR + _GAP)
    middle = top + _BAR / 2
    colour = _NEUTRAL if row.met is None else _MET if row.met else _MISSED
    shown = row.ratio_on_cpu
    end, low, high = _x(shown.median, longest), _x(shown.low, longest), _x(shown.high, longest)
    yield f'<text x="{_LEFT - 10}" y="{middle + 4:g}" text-anchor="end">{escape(row.name)}</text>'
    yield f'<rect x="{_LEFT}" y="{top}" width="{end - _LEFT:g}" height="{_BAR}" fill="{colour}"/>'
    yield f'<path d="M{low} {middle:g}H{high}M{low} {top + 6}v8M{high} {top + 6}v8" stroke="{_INK}" fill="none"/>'
    if row.target is not None:
        target = _x(row.target, longest)
        yield f'<path d="M{target} {top - 4}v{_BAR + 8}" stroke="#000000" stroke-width="3"/>'
    yield f'<text x="{max(end, high) + 8:g}" y="{middle + 4:g}" font-weight="bold">{shown.median:.2f}</text>'


def _x(ratio: float, longest: float) -> float:
    return round(_LEFT + ratio / longest * (_WIDTH - _LEFT - _RIGHT), 1)
