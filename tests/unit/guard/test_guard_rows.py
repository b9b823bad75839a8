"""Rows that a call returned are known alike whether they are gone through at once or when asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard import rows
from casemate.guard.frequent import MAX_ITEMS
from casemate.guard.generations import MAX_OBJECTS
from casemate.guard.provenance import Provenance
from casemate.guard.quick import MAX_WAITING

PLAIN = st.one_of(st.text(max_size=3), st.integers(), st.floats(allow_nan=False), st.none())
ROW = st.dictionaries(st.sampled_from(("a", "bc", "d;", "'e")), PLAIN, max_size=4)
NESTED = st.one_of(ROW, st.dictionaries(st.just("in"), st.one_of(ROW, st.lists(PLAIN, max_size=3))))
VALUES = st.recursive(
    st.one_of(st.lists(ROW, max_size=9), st.lists(NESTED, max_size=9), st.lists(PLAIN, max_size=4)),
    lambda inner: st.dictionaries(st.sampled_from(("k", "rows")), inner, max_size=2),
    max_leaves=4,
)


def _objects(value: Any) -> list[Any]:
    found, todo = [], [value]
    while todo:
        item = todo.pop()
        found.append(item)
        if isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            todo += item
    return found


def _noted(value: Any) -> tuple[Provenance, str]:
    notes = Provenance()
    notes.begin()
    text = json.dumps(value) + " "
    notes._spread(value, (text,))
    return notes, text


def _told(notes: Provenance, objects: list[Any]) -> list[Any]:
    found = []
    for each in objects:
        if isinstance(each, (dict, list)):
            found.append(notes.made_from(each) is not None)
        else:
            made = notes.of(each)
            found.append(None if made is None else (made.kind, made.parts))
    return found


@settings(deadline=None, max_examples=200)
@given(VALUES, st.integers(0, 3))
def test_the_same_is_told_of_rows(value: Any, most: int) -> None:
    value = json.loads(json.dumps(value))
    if most and isinstance(value, list):
        value *= most * 40  # more than are looked at
    objects = _objects(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "MIN_ROWS", 1 << 40)
        one_by_one = _told(_noted(value)[0], objects)
    assert _told(_noted(value)[0], objects) == one_by_one


def test_what_code_changes_in_a_row_is_known_as_it_was() -> None:
    value = json.loads('[{"name": "x; y"}, {"name": "z"}, {"name": "q r"}, {"name": "v;v"}]')
    before = [row["name"] for row in value]
    notes, text = _noted(value)
    first = value[0]
    for row in value:
        row.clear()
    value.clear()
    made = [notes.of(each) for each in before if len(each) > 1]
    assert [m.parts if m is not None else None for m in made] == [(text,)] * 3
    assert notes.made_from(first) == (text,)


def test_rows_of_many_calls_wait_within_bounds() -> None:
    notes = Provenance()
    notes.begin()
    last: Any = None
    for number in range(4 * MAX_OBJECTS // 50):
        last = [{} for _ in range(50)] + [{"a": f"{number};"}]
        notes._spread(last, ("[...]" * 3,))
    held = [note for note in notes._waiting if type(note[3]) is rows.Rows]
    assert sum(len(note[3].rows) for note in held) <= MAX_WAITING + MAX_ITEMS
    assert len(notes._objects) <= MAX_OBJECTS + MAX_ITEMS
    assert notes.of(last[-1]["a"]) is not None
    assert notes.made_from(last[0]) is not None


def test_the_last_of_too_many_texts_in_rows_are_known() -> None:
    notes = Provenance()
    notes.begin()
    values = []
    for number in range(200):
        value = [{"n": n, "a": f"{number}-{n};"} for n in range(100)]
        notes._spread(value, ("[]",))
        values.append(value)
    assert notes.of(values[-1][-1]["a"]) is not None
    assert notes.of(values[0][-1]["a"]) is None
