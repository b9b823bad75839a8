"""Where parts of an event stand in what was made of it."""

from __future__ import annotations

from casemate.guard.origin import Origin, Span
from casemate.guard.spans import MAX_ESCAPED, escaped_again

PART = "<a&b>"
INSIDE = [Span(0, len(PART), Origin("event", "/v"), exact=True)]


def test_parts_are_found_where_they_stand_escaped() -> None:
    assert escaped_again("<p>&lt;a&amp;b&gt;</p>", PART, INSIDE) == [(3, 18)]


def test_more_places_than_are_told_are_none() -> None:
    """Of some alone, the others would pass for the code's."""
    assert len(escaped_again("&lt;a&amp;b&gt;" * MAX_ESCAPED, PART, INSIDE)) == MAX_ESCAPED
    assert escaped_again("&lt;a&amp;b&gt;" * (MAX_ESCAPED + 1), PART, INSIDE) == []
