"""Charts: every point at its place, every text escaped, nothing drawn of what is no figure."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from bench.charts import HEIGHT, WIDTH, Chart, Line, marks_of, number, svg

CHART = Chart(
    title="p50 & more",
    x="functions",
    y="ms",
    lines=(
        Line("one", ((1, 0.5), (10, 1.0), (10_000, 2.0))),
        Line("<two>", ((1, 4.0), (100, 4.0))),
    ),
    ticks=((1, "1"), (100, "100"), (10_000, "10,000")),
    note="python -m bench.growth",
)


def changed(**changes: Any) -> Chart:
    return msgspec.structs.replace(CHART, **changes)


def circles(text: str) -> list[tuple[float, float]]:
    found = re.findall(r'<circle cx="([^"]+)" cy="([^"]+)"', text)
    # the last one is that of the legend
    return [(float(x), float(y)) for x, y in found][:-1]


@pytest.mark.parametrize("linear", [False, True])
def test_a_chart_is_well_formed_and_says_what_it_shows(linear: bool) -> None:
    root = ElementTree.fromstring(svg(changed(linear=linear)))
    texts = ["".join(found.itertext()) for found in root.iter() if found.tag.endswith("text")]
    for expected in ("p50 & more", "functions", "ms", "one", "<two>", "10,000"):
        assert expected in texts
    assert "python -m bench.growth" in texts
    assert len([found for found in root.iter() if found.tag.endswith("circle")]) == 4


def test_points_are_where_their_values_are() -> None:
    (x1, y1), (x10, y10), (x10k, y10k) = circles(svg(CHART))
    assert x10 - x1 == pytest.approx((x10k - x1) / 4, abs=0.2), "by powers"
    assert y1 - y10 == pytest.approx(y10 - y10k, abs=0.2), "each doubles"
    assert 0 < y10k < y10 < y1 < HEIGHT and 0 < x1 < x10k < WIDTH
    (_, y1), (_, y10), (_, y10k) = circles(svg(changed(linear=True)))
    assert (y10 - y10k) == pytest.approx(2 * (y1 - y10), abs=0.3)


def test_a_line_that_does_not_grow_is_still_drawn() -> None:
    assert len(circles(svg(changed(lines=(Line("flat", ((1, 5.0), (2, 5.0))),))))) == 2


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (Line("none", ()),),
        (Line("zero", ((1, 0.0),)),),
        (Line("less", ((-1, 1.0),)),),
        (Line("no number", ((1, float("nan")),)),),
        tuple(Line(str(n), ((1, 1.0),)) for n in range(5)),
    ],
)
def test_what_cannot_be_drawn_is_refused(lines: tuple[Line, ...]) -> None:
    with pytest.raises(ValueError):
        svg(changed(lines=lines))


@pytest.mark.parametrize(
    ("least", "most", "linear", "expected"),
    [
        (0.3, 0.9, False, [0.2, 0.5, 1.0]),
        (1, 1, False, [1, 2]),
        (3, 180, False, [2, 5, 10, 20, 50, 100, 200]),
        (1, 9, True, [0, 2, 4, 6, 8, 10]),
        (1, 4300, True, [0, 1000, 2000, 3000, 4000, 5000]),
    ],
)
def test_axes_are_marked_at_round_numbers(
    least: float, most: float, linear: bool, expected: list[float]
) -> None:
    assert marks_of(least, most, linear=linear) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (2.0, "2"), (20, "20"), (5000, "5,000"), (0, "0")]
)
def test_numbers_of_an_axis(value: float, text: str) -> None:
    assert number(value) == text
