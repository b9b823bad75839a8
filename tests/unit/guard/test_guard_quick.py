"""Notes of the most frequent calls wait in a ring, and are known as soon as somebody asks."""

from __future__ import annotations

import ast
import tracemalloc
from typing import Any

import pytest

from casemate.guard.calls import MAX_ITEMS
from casemate.guard.generations import (
    MAX_CHARACTERS,
    MAX_HELD,
    MAX_OBJECTS,
    MAX_PENDING,
    MAX_TEXT,
)
from casemate.guard.notes import DERIVED, JOINED, Made
from casemate.guard.provenance import Provenance
from casemate.guard.quick import MAX_CUT_FROM, MAX_SHORT, MAX_WAITING
from casemate.guard.rewriting import rewrite


@pytest.fixture
def provenance() -> Provenance:
    made = Provenance()
    made.begin()
    return made


def test_each_is_known_when_it_is_asked_for(provenance: Provenance) -> None:
    name = "".join(["Ada ", "Lovelace "])
    trimmed = provenance.called(name.strip)
    padded = provenance.given(trimmed.rjust, 20)
    cut = provenance.cut(padded, 12, None, None)
    joined = provenance.join(0b01, "by ", cut)
    added = provenance.add(0b10, joined, ".")
    assert provenance.of(trimmed) == Made(trimmed, DERIVED, (name,), 1)
    assert provenance.of(padded) == Made(padded, DERIVED, (trimmed, 20), 0)
    assert provenance.of(cut) == Made(cut, DERIVED, (padded,), 1)
    assert provenance.of(joined) == Made(joined, JOINED, ("by ", cut), 0b01)
    assert provenance.of(added) == Made(added, JOINED, (joined, "."), 0b10)


@pytest.mark.parametrize("size", [MAX_SHORT, MAX_SHORT + 1, MAX_CUT_FROM + 50])
def test_long_texts_are_known_as_well(provenance: Provenance, size: int) -> None:
    whole = "ab" * size
    assert provenance.of(provenance.cut(whole, 1, size, None)) is not None or size > MAX_CUT_FROM
    assert provenance.of(provenance.cut(whole, 1, 9, None)) is not None
    half = "x" * (min(size, MAX_CUT_FROM) // 2)
    for text in (provenance.join(0, half, half), provenance.add(0, half, half)):
        assert provenance.of(text) is not None


def test_what_is_cut_twice_is_known_as_cut_from_the_whole(provenance: Provenance) -> None:
    whole = "".join(map(str, range(30_000)))
    for size in (9, 2000):
        text = provenance.cut_again(whole, 100, None, 0, size)
        assert text == whole[100:][:size]
        assert provenance.of(text) == Made(text, DERIVED, (whole,), 1)
    assert provenance.cut_again([1, 2, 3], 1, None, None, 1) == [2]


def test_texts_of_a_list_are_known(provenance: Provenance) -> None:
    line = "".join(["Ada Lovelace,", "x' OR 1,", "b"])
    fields = provenance.given(line.split, ",")
    assert provenance.made_from(fields) == (line, ",")
    assert [provenance.of(field) for field in fields[:2]] == [
        Made(field, DERIVED, (line, ",")) for field in fields[:2]
    ]


def test_what_is_not_asked_for_is_bounded(provenance: Provenance) -> None:
    texts = [provenance.join(0, "a" * 200, str(n)) for n in range(MAX_WAITING + 100)]
    provenance.given(("a," * 900 + "b").split, ",")
    assert len(provenance._waiting) <= MAX_WAITING
    assert MAX_WAITING * MAX_SHORT <= MAX_CHARACTERS
    assert provenance.of(texts[0]) is None
    assert provenance.of(texts[-1]) is not None
    for _ in range(100):
        provenance.given(("a," * 900 + "b").split, ",")
    assert provenance._listed <= MAX_WAITING


@pytest.mark.parametrize(("size", "count"), [(100_000, 800), (30_000, 2000), (900, 40_000)])
def test_what_is_held_for_what_was_cut_from_it_is_bounded(
    provenance: Provenance, size: int, count: int
) -> None:
    """Thousands of long texts, of each of which an honest program takes the beginning."""
    tracemalloc.start()
    try:
        for number in range(count):
            text = "x" * size + str(number)
            provenance.cut(text, 0, 100, None)
            provenance.called(provenance.given(text.ljust, 9).strip)
        first = provenance.cut(text, 0, 100, None)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * MAX_HELD + (48 << 20)
    assert provenance.of(first) == Made(first, DERIVED, (text,), 1)


def test_lists_that_calls_made_are_bounded(provenance: Provenance) -> None:
    for number in range(3 * MAX_OBJECTS):
        line = f"{number},Ada,Lovelace"
        fields = provenance.given(line.split, ",")
    assert len(provenance.objects) + len(provenance._objects_before) <= 2 * MAX_OBJECTS
    assert provenance.made_from(fields) == (line, ",")
    assert provenance.made_from(list(fields)) is None
    text = "y" * (2 * MAX_HELD)
    cuts = [provenance.cut(text, place, place + 9, None) for place in range(50)]
    assert all(provenance.of(cut) is not None for cut in cuts)


def test_without_an_invocation_nothing_is_known(provenance: Provenance) -> None:
    provenance.end()
    text = provenance.join(0, "ab", "cd")
    assert provenance.of(text) is None
    provenance.begin()
    assert provenance.of(text) is None


def test_a_value_found_among_the_codes_own_texts_is_vouched_for(provenance: Provenance) -> None:
    assert provenance.found("name", ("name", "email"))
    assert provenance.check_of("name") == ("member", ("name", "email"))
    assert provenance.found(7, ("name",))
    assert provenance.check_of("email") == ("", None)


@pytest.mark.parametrize(
    ("source", "rewritten"),
    [
        (
            "x in ('a', 'b')",
            "x in ('a', 'b') and (x in __casemate_known__ or __casemate_found__(x, ('a', 'b')))",
        ),
        (
            "r['k'] in {'a'}",
            "r['k'] in {'a'} and "
            "(r['k'] in __casemate_known__ or __casemate_found__(r['k'], ('a',)))",
        ),
        (
            "x not in ['a']",
            "not (x in ['a'] and (x in __casemate_known__ or __casemate_found__(x, ('a',))))",
        ),
        ("f() in ('a',)", "__casemate_member__(f(), ('a',))"),
        ("x in ('a', y)", "__casemate_member__(x, ('a', y))"),
        ("x[a:][:9]", "__casemate_cut_again__(x, a, None, None, 9)"),
        ("x['body'][a:][:9]", "__casemate_cut_again__(x['body'], a, None, None, 9)"),
        ("x[::2][:9]", "__casemate_cut__(__casemate_cut__(x, None, None, 2), None, 9, None)"),
        ("x[1:][: f()]", "__casemate_cut__(__casemate_cut__(x, 1, None, None), None, f(), None)"),
        ("x.strip()", "__casemate_called__(x.strip)"),
        ("x.strip('/')", "__casemate_given__(x.strip, '/')"),
        ("x.strip(*y)", "__casemate_call__(x.strip, *y)"),
        ("x.format_map(y)", "__casemate_watched__('format', x.format_map, y)"),
    ],
)
def test_the_most_frequent_are_written_in_the_fewest_steps(source: str, rewritten: str) -> None:
    assert ast.unparse(rewrite(ast.parse(source))) == rewritten


def test_a_slice_of_a_slice_of_an_item_is_one_cut_in_functions_too() -> None:
    made = ast.unparse(rewrite(ast.parse("def f(x, a):\n    return x['body'][a:][:9]")))
    assert "__casemate_cut_again__(x['body'], a, None, None, 9)" in made


def test_a_number_that_grows_is_left_alone() -> None:
    source = (
        "def f(prices):\n    t = 0.0\n    for p in prices:\n        t = t + p / 2\n    return t"
    )
    assert "casemate" not in ast.unparse(rewrite(ast.parse(source)))


def test_longer_texts_wait_as_well_and_are_bounded(provenance: Provenance) -> None:
    texts = [provenance.join(1, "a", "b" * 4000 + str(n)) for n in range(200)]
    assert len(provenance._waiting) == len(texts)
    assert provenance._made == {}
    texts += [provenance.join(1, "a", "b" * 4000 + str(n)) for n in range(3000)]
    assert sum(len(note[0]) for note in provenance._waiting) <= 2 * MAX_PENDING
    assert provenance.of(texts[-1]) is not None
    assert sum(len(note[0]) for note in provenance._made.values()) <= MAX_CHARACTERS + 4001


def test_what_is_too_long_to_be_noted_has_nobody_go_through_the_others(
    provenance: Provenance,
) -> None:
    lines = [provenance.join(1, "a", str(n)) for n in range(5000)]
    provenance.joined("\n".join, [*lines, "x" * MAX_TEXT])
    provenance.add(0, "x" * MAX_TEXT, "y")
    assert len(provenance._waiting) == len(lines)
    assert provenance._made == {}


def test_notes_of_any_length_stay_in_order(provenance: Provenance) -> None:
    first = provenance.join(1, "a", "b" * 1000)
    second = provenance.called(first.upper)
    third = provenance.join(0, second, "!")
    for text, kind in ((third, JOINED), (second, DERIVED), (first, JOINED)):
        made = provenance.of(text)
        assert made is not None
        assert made.kind == kind


def test_rows_are_noted_as_one_value_after_the_other_would_be(provenance: Provenance) -> None:
    text = "".join(["rows of ", "an event"])
    rows = [{"a": new_text(n), "b": n, "c": None, "d": [new_text(n)]} for n in range(9)]
    rows += [{"a": new_text(n), "b": new_text(n)} for n in range(10, 90)]
    rows += [{str(n): n for n in range(MAX_ITEMS)}]
    rows += [{"a": new_text(n), "b": 1.5} for n in range(90, 99)]
    made = provenance.call(lambda _: rows, text)
    assert made is rows
    room, todo, expected = MAX_ITEMS, [rows], []
    while todo and room:  # as it was before whole rows were taken
        item: Any = todo.pop()
        room -= 1
        if isinstance(item, str):
            expected.append(item)
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
            assert provenance.made_from(item) == (text,)
        elif isinstance(item, list):
            todo += item[:MAX_ITEMS]
    notes = provenance._waiting
    assert {sources for _, _, sources, _ in notes} == {(text,)}
    texts = [each for *_, several in notes for each in several if isinstance(each, str)]
    assert texts == expected


def new_text(number: int) -> str:
    return "".join(["a;", str(number)])
