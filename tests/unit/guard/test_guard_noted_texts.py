"""Of many noted texts exactly those are looked at that may stand in another one, in few steps."""

from __future__ import annotations

import random
import sys
from types import FrameType
from typing import Any

from casemate.guard.batches import lowered
from casemate.guard.known import MIN_SEARCHED
from casemate.guard.noted_texts import NotedTexts
from casemate.guard.notes import DERIVED


def notes_of(values: list[Any]) -> list[tuple[Any, ...]]:
    return [(value, DERIVED, (), 0) for value in values]


def one_by_one(values: list[Any], text: str) -> list[str]:
    """Return those that a comparison with each of them finds, words alone left out."""
    found = []
    for value in values:
        if type(value) is not str or len(value) < MIN_SEARCHED or value.isalnum():
            continue
        part = value if value in text else value.strip()
        if len(part) >= MIN_SEARCHED and lowered(part) in lowered(text):
            found.append(value)
    return found


def test_it_finds_what_a_look_at_each_finds_and_in_the_same_order() -> None:
    chance = random.Random(20261129)
    signs = "ab'; İΣ\n-"
    for _ in range(400):
        values: list[Any] = [
            "".join(chance.choice(signs) for _ in range(chance.randrange(1, 14)))
            for _ in range(chance.randrange(1, 40))
        ]
        values += [b"a';b", values[0]]
        text = "".join(chance.choice(signs) for _ in range(chance.randrange(60)))
        text += chance.choice([value for value in values if type(value) is str])
        noted = NotedTexts()
        noted.add(notes_of(values[:7]))
        noted.add(notes_of(values[7:]))
        expected = one_by_one(values, text)
        # More may be looked at: who asks compares each again.
        among = [value for value in noted.find(lowered(text)) if value in expected]
        assert among == expected


def _steps(noted: NotedTexts, text: str) -> int:
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        noted.find(text)
    finally:
        sys.setprofile(None)
    return count


def test_ten_times_as_many_that_begin_alike_take_hardly_more_steps() -> None:
    text = "insert into notes values (17, 'it''s no. 17')"
    taken = []
    for many in (800, 8000):
        noted = NotedTexts()
        noted.add(notes_of([f"it''s no. {n}" for n in range(many)]))
        assert noted.find(text) == ["it''s no. 1", "it''s no. 17"]
        taken.append(_steps(noted, text))
    assert taken[1] < taken[0] + 50


def test_those_that_begin_alike_at_every_place_take_no_more_than_one_look_at_each() -> None:
    noted = NotedTexts()
    noted.add(notes_of(["';" * n + "x" for n in range(3, 2000)]))
    text = "';" * 2000
    assert noted.find(text) == []
    assert _steps(noted, text) < 10_000
