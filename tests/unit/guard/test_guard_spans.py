"""Where parts of an event stand in what was made of it."""

from __future__ import annotations

import posixpath
import time
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard import act_events, own_files
from casemate.guard.acts import Acts
from casemate.guard.origin import Origin, Span
from casemate.guard.spans import (
    MAX_ESCAPED,
    Cover,
    apart,
    chance,
    cutting,
    escaped_again,
    folder_before,
    merged,
    within,
)

PART = "<a&b>"
INSIDE = [Span(0, len(PART), Origin("event", "/v"), exact=True)]


def test_parts_are_found_where_they_stand_escaped() -> None:
    assert escaped_again("<p>&lt;a&amp;b&gt;</p>", PART, INSIDE) == [(3, 18)]


def test_more_places_than_are_told_are_none() -> None:
    """Of some alone, the others would pass for the code's."""
    assert len(escaped_again("&lt;a&amp;b&gt;" * MAX_ESCAPED, PART, INSIDE)) == MAX_ESCAPED
    assert escaped_again("&lt;a&amp;b&gt;" * (MAX_ESCAPED + 1), PART, INSIDE) == []


_PLACES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 9)).map(lambda p: (p[0], p[0] + p[1])), max_size=12
)


def _spans(places: list[tuple[int, int]]) -> list[Span]:
    return [Span(start, end, INSIDE[0].origin, exact=True) for start, end in places]


@given(_PLACES, _PLACES)
def test_parts_are_apart_that_none_holds(
    found: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    left = [o for o in others if not any(s <= o[0] and o[1] <= e for s, e in found)]
    expected = merged(_spans(found) + _spans(left)) if left else _spans(found)
    assert apart(_spans(found), _spans(others)) == expected


@given(_PLACES, _PLACES)
def test_a_part_is_there_by_chance_where_a_longer_one_holds_it(
    standing: list[tuple[int, int]], parts: list[tuple[int, int]]
) -> None:
    for start, end in parts:
        longer = any(s <= start and end <= e and e - s > end - start for s, e in standing)
        [span] = _spans([(start, end)])
        assert (chance(span, Cover(standing)) != "") is longer


@given(_PLACES, st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_parts_of_a_text_are_cut_as_they_are_one_by_one(
    places: list[tuple[int, int]], sizes: list[int]
) -> None:
    spans = merged(_spans(places))
    cut, start = cutting(spans), 0
    for size in sizes:
        assert cut(start, size) == within(spans, start, size)
        start += size


def test_thousands_of_parts_are_looked_at_in_linear_time() -> None:
    many = _spans([(place, place + 3) for place in range(0, 160_000, 4)])
    begun = time.process_time()
    assert len(apart(many, many)) == len(many)
    cover, cut = Cover((s.start, s.end) for s in many), cutting(many)
    assert not any(chance(span, cover) for span in many)
    assert sum(len(cut(place, 4)) for place in range(0, 160_000, 4)) == len(many)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("text", "whole", "start", "begins"),
    [
        ("/srv/home/b", "/srv/home/a/../b", 10, 10),
        ("/srv/b", "/srv/home/../b", 10, 0),
        ("/srv/home-2/b", "/srv/home/../home-2/b", 10, 0),
        ("/etc/passwd", "/srv/../../etc/passwd", 5, 0),
        ("/etc/passwd", "/etc/../etc/passwd", 0, 0),
        ("/a/b", "/a/./b", 1, 0),
        ("home/b", "home/a/../b", 5, 0),
        ("/srv/home/", "/srv/home/a/..", 10, 0),
    ],
)
def test_a_folder_stands_before_what_is_resolved_in_it(
    text: str, whole: str, start: int, begins: int
) -> None:
    first = Span(start, len(whole), Origin("event", "/v"), exact=True)
    assert folder_before(text, whole, first) == begins


def test_what_the_guard_resolves_itself_is_not_followed() -> None:
    """It would be found as made of the event, wherever the same path is met again."""
    before = posixpath.normpath
    try:
        posixpath.normpath = None  # type: ignore[assignment]
        acts = SimpleNamespace(deps="/function/deps/")
        assert not act_events._is_read_by_all(cast(Acts, acts), "data/../other")
        own_files.opened({}, "/function/code/", "a/../b")
    finally:
        posixpath.normpath = before
