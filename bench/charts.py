"""Line charts as small SVG files, made by hand: what they need of a plotting library is a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import msgspec

WIDTH, HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 78
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Told apart by who sees no red or no green, too (Okabe and Ito); the marks differ as well."""
_MARKS = ("circle", "square", "triangle", "diamond")
MAX_LINES = len(_COLOURS)
_DECADE = (1, 2, 5)


class Line(msgspec.Struct, frozen=True):
    """One line: its name, and points with both values above zero."""

    name: str
    points: tuple[tuple[float, float], ...]


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Lines over one another, the axis of x by powers, that of y by powers unless `linear`."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    """Where the axis of x is marked, and by which word."""
    note: str
    """The command that makes it, and where it ran."""
    linear: bool = False


def number(value: float) -> str:
    """Return a value as an axis shows it: 0.5, 20, 5,000."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def marks_of(least: float, most: float, *, linear: bool) -> list[float]:
    """Return where an axis of y is marked, from at most `least` to at least `most`."""
    if linear:
        step = _step(most / 5)
        return [index * step for index in range(math.ceil(most / step) + 1)]
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    all_of = [part * 10.0**power for power in range(low, high + 1) for part in _DECADE]
    begin = max((mark for mark in all_of if mark <= least * (1 + 1e-9)), default=all_of[0])
    end = min((mark for mark in all_of if mark >= most * (1 - 1e-9)), default=all_of[-1])
    if begin == end:
        end = all_of[all_of.index(begin) + 1]
    return [mark for mark in all_of if begin <= mark <= end]


def _step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next((part * power for part in _DECADE if part * power >= least), 10 * power)


class _Scale:
    """From values to places."""

    def __init__(self, least: float, most: float, begin: float, end: float, linear: bool) -> None:
        self._of = (lambda value: value) if linear else math.log10
        self._least, self._begin = self._of(least), begin
        self._factor = (end - begin) / ((self._of(most) - self._least) or 1.0)

    def place(self, value: float) -> float:
        return round(self._begin + (self._of(value) - self._least) * self._factor, 1)


def svg(chart: Chart) -> str:
    """Return a chart as the text of an SVG file.

    Raises ValueError for no lines or too many, for an empty line, and for values not above zero.
    """
    points = [point for line in chart.lines for point in line.points]
    if not 0 < len(chart.lines) <= MAX_LINES or not all(line.points for line in chart.lines):
        raise ValueError(f"a chart has 1 to {MAX_LINES} lines with points")
    if any(not math.isfinite(v) or v <= 0 for point in points for v in point):
        raise ValueError("values of a chart are above zero")
    xs = [x for x, _ in points] + [x for x, _ in chart.ticks]
    rows = marks_of(min(y for _, y in points), max(y for _, y in points), linear=chart.linear)
    across = _Scale(min(xs), max(xs), _LEFT + 8, WIDTH - _RIGHT - 8, linear=False)
    up = _Scale(rows[0], rows[-1], HEIGHT - _BOTTOM, _TOP, linear=chart.linear)
    parts = [*_frame(chart), *_rows(rows, up), *_ticks(chart, across)]
    for index, line in enumerate(chart.lines):
        parts += _line(line, index, across, up)
    parts += _legend(chart.lines)
    return "\n".join([*parts, "</svg>", ""])


def _frame(chart: Chart) -> list[str]:
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="#333">',
        f"<title>{escape(chart.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(chart.title)}</text>',
        f'<text x="{(_LEFT + WIDTH - _RIGHT) / 2:g}" y="{HEIGHT - _BOTTOM + 34}" '
        f'text-anchor="middle">{escape(chart.x)}</text>',
        f'<text x="14" y="{middle:g}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle:g})">{escape(chart.y)}</text>',
        f'<text x="{_LEFT}" y="{HEIGHT - 6}" font-size="10" fill="#666">'
        f"{escape(chart.note)}</text>",
    ]


def _rows(rows: Sequence[float], up: _Scale) -> list[str]:
    found = []
    for value in rows:
        y = up.place(value)
        found.append(
            f'<path d="M{_LEFT} {y}H{WIDTH - _RIGHT}" stroke="#ddd" stroke-width="1"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:g}" text-anchor="end">{number(value)}</text>'
        )
    return found


def _ticks(chart: Chart, across: _Scale) -> list[str]:
    bottom = HEIGHT - _BOTTOM
    return [
        f'<path d="M{across.place(value)} {bottom}v5" stroke="#666"/>'
        f'<text x="{across.place(value)}" y="{bottom + 18}" text-anchor="middle">'
        f"{escape(word)}</text>"
        for value, word in chart.ticks
    ]


def _line(line: Line, index: int, across: _Scale, up: _Scale) -> list[str]:
    colour = _COLOURS[index]
    places = [(across.place(x), up.place(y)) for x, y in sorted(line.points)]
    path = "L".join(f"{x} {y}" for x, y in places)
    found = [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    return [*found, *(_mark(x, y, index) for x, y in places)]


def _mark(x: float, y: float, index: int) -> str:
    colour, kind = _COLOURS[index], _MARKS[index]
    if kind == "circle":
        return f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>'
    if kind == "square":
        return f'<path d="M{x - 3.2:g} {y - 3.2:g}h6.4v6.4h-6.4z" fill="{colour}"/>'
    if kind == "triangle":
        return f'<path d="M{x} {y - 4.4:g}l4.2 7.4h-8.4z" fill="{colour}"/>'
    return f'<path d="M{x} {y - 4.6:g}l4.6 4.6l-4.6 4.6l-4.6 -4.6z" fill="{colour}"/>'


def _legend(lines: Sequence[Line]) -> list[str]:
    found, y = [], HEIGHT - _BOTTOM + 52
    wide = (WIDTH - _LEFT - _RIGHT) / len(lines)
    for index, line in enumerate(lines):
        x = _LEFT + index * wide
        found.append(
            f'{_mark(x + 6, y - 4, index)}<text x="{x + 16:g}" y="{y}">{escape(line.name)}</text>'
        )
    return found
