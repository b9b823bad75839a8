"""How a text was made is told alike whether notes are looked through first or sorted in."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard import generations
from casemate.guard.provenance import Provenance

STEPS = ("join", "add", "strip", "encode", "split", "together", "turned", "loads", "replace")


def step(name: str, held: list[Any], chance: random.Random, notes: Provenance) -> list[Any]:
    """Do a step of a program with what it holds; return what it made."""
    texts = [each for each in held if type(each) is str]
    a, b = chance.choice(texts), chance.choice(texts)
    match name:
        case "join":
            return [notes.join(0b01, "x", a)]
        case "add":
            return [notes.add(0, a, b)]
        case "strip":
            return [notes.called(a.strip)]
        case "encode":
            return [notes.called(a.encode)]
        case "split":
            parts = notes.given(a.split, " ")
            return [parts, *parts]
        case "together":
            return [notes.joined_by(",", [a, b])]
        case "turned":
            value = a.strip().upper()
            notes.note((value, a, ("strip",)))
            return [value]
        case "loads":
            found = notes.given(_read, a)
            return [found, *found.values()]
        case _:
            return [notes.replaced(a.replace, "a", b)]


def _read(text: str) -> dict[str, Any]:
    return {"k": text[:3], "n": 1}


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(STEPS), max_size=90), st.integers(0, 2**32))
def test_the_same_is_told_of_each_text(steps: list[str], seed: int) -> None:
    chance = random.Random(seed)
    notes = Provenance()
    notes.begin()
    held: list[Any] = ["a b' ", " ca", "é\u4e00", "x" * 300]
    for name in steps:
        held += step(name, held, chance, notes)
        held += [each.encode() for each in held[-1:] if type(each) is str]  # nobody saw that
    asked = chance.sample(held, min(len(held), 8))
    none = [each for each in asked if isinstance(each, (str, bytes)) and notes.has_none(each)]
    quick = [notes.of(each) for each in asked]
    notes._settle()
    for each in none:
        assert notes.of(each) is None
        assert all(type(note[0]) is not type(each) or note[0] != each for note in notes.noted())
    assert quick == [notes.of(each) for each in asked]
    notes.end()


def test_what_a_framework_made_has_nothing_sorted_in() -> None:
    notes = Provenance()
    notes.begin()
    made = notes.join(0b01, "a ", "b")
    assert notes.of(b'{"a": 1}') is None
    assert len(notes._waiting) == 1
    assert notes.of(made) is not None
    assert not notes._waiting
    for number in range(generations._FEW + 1):
        notes.join(0b01, "a ", str(number))
    assert notes.of(b'{"a": 1}') is None
    assert not notes._waiting, "of many it is quicker to have them sorted"
