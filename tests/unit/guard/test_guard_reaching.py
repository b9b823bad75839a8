"""What cannot have come from outside is told by notes, and not looked through piece by piece."""

from __future__ import annotations

import pytest

from casemate.guard.core import Guard
from casemate.guard.reaching import Reach
from casemate.guard.taint import Taint

STEPS = 5


def page_of(guard: Guard, number: int, outside: str = "") -> str:
    """Return a page of rows that were changed some times each, all of which is noted."""
    rows = []
    for at in range(number):
        text = "".join(("line ", str(at), ' <of> "the" code; & more'))
        if at == number // 2 and outside:
            text = outside
        for step in range(STEPS):
            changed = text.replace(f" {step}x", "") + f" <{step}>"
            guard.provenance.joins(changed, (text, f" <{step}>"))
            text = changed
        rows.append(text)
    page = "".join(rows)
    guard.provenance.joins(page, tuple(rows))
    return page


def begun(event: object) -> Guard:
    guard = Guard("/nowhere")
    guard.begin(event)
    return guard


@pytest.mark.parametrize("number", [200, 900])
def test_texts_of_the_code_are_searched_once_each(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    searched = 0
    search = Taint.search

    def counted(taint: Taint, text: str) -> object:
        nonlocal searched
        searched += 1
        return search(taint, text)

    monkeypatch.setattr(Taint, "search", counted)
    guard = begun({"name": "a <b> of; 'c'"})
    assert guard.spans(page_of(guard, number)) == []
    assert searched <= 4 * number  # it was up to twenty times that number


@pytest.mark.parametrize("number", [70, 900])
def test_one_text_of_the_event_among_many_is_found(number: int) -> None:
    event = {"name": "x<script>alert(1)</script>"}
    guard = begun(event)
    page = page_of(guard, number, event["name"])
    [span] = guard.spans(page)
    assert page[span.start : span.end] == event["name"]


def test_a_text_of_the_event_that_came_another_way_is_found() -> None:
    """Nobody saw how the code came to it, and it is equal to what the event has."""
    event = {"name": "x<script>alert(1)</script>"}
    guard = begun(event)
    page = page_of(guard, 100, "".join(list(event["name"])))
    assert [page[s.start : s.end] for s in guard.spans(page)] == [event["name"]]


def test_in_a_short_text_few_are_asked_what_they_came_of(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = begun({"names": [f"Ada {n} of; London" for n in range(600)]})
    joined = guard.provenance.join
    made = [joined(0b01, f"label {n}; ", "x") for n in range(600)]
    asked = 0
    may_hold = Reach.may_hold

    def counted(reach: Reach, value: object, depth: int = 0) -> bool:
        nonlocal asked
        asked += 1
        return may_hold(reach, value, depth)

    monkeypatch.setattr(Reach, "may_hold", counted)
    assert guard.spans("".join(["/tmp/", "export-1.xlsx"])) == []
    assert asked < 10
    outside = joined(0b01, "for ", guard.provenance.called("  Ada 7 of; London ".strip))
    assert len(guard.spans("".join(["/tmp/", *outside]))) >= 1
    assert made
