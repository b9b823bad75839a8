"""What loops call of texts takes few steps, and is known as before once a sink asks."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from casemate.guard.frequent import MAX_ITEMS
from casemate.guard.generations import MAX_TEXT
from casemate.guard.notes import JOINED, PERCENT, REPLACED, Made
from casemate.guard.provenance import Provenance
from casemate.guard.quick import MAX_SHORT


@pytest.fixture
def provenance() -> Provenance:
    made = Provenance()
    made.begin()
    return made


def new(text: str) -> str:
    """Return a text with an identity of its own, as data has it."""
    return "".join(list(text))


@pytest.mark.parametrize("size", [3, MAX_SHORT])
def test_texts_that_are_joined_are_known_with_what_is_between(
    provenance: Provenance, size: int
) -> None:
    parts = [new("a" * size), new("b" * size), new("c")]
    text = provenance.joined(", ".join, parts)
    given = tuple(parts)
    parts.clear()  # as code does that uses its list again
    assert text == ", ".join(given)
    made = provenance.of(text)
    assert made == Made(text, JOINED, (given[0], ", ", given[1], ", ", given[2]), 0)
    assert all(part is one for part, one in zip(made.parts[::2], given, strict=True))


def test_what_is_joined_of_one_of_too_many_or_to_too_much_is_not_noted(
    provenance: Provenance,
) -> None:
    one, many = [new("ab")], [new("ab")] * (MAX_ITEMS + 1)
    assert provenance.joined("".join, one) is one[0]
    for parts in (one, many, [], [new("a" * MAX_TEXT), "b"]):
        text = provenance.joined("-".join, parts)
        assert text == "-".join(parts)
        assert provenance.of(text) is None


def test_a_join_of_another_kind_does_what_it_does(provenance: Provenance) -> None:
    class Own:
        def join(self, *given: Any, **named: Any) -> Any:
            return given, named

    assert provenance.joined(Own().join, 1, a=2) == ((1,), {"a": 2})
    data = provenance.joined(b"-".join, [b"ab", b"cd"])
    made = provenance.of(data)
    assert made is not None and made.parts == (b"ab", b"-", b"cd")
    with pytest.raises(TypeError):
        provenance.joined("".join, 3)


def test_a_template_is_known_with_its_values(provenance: Provenance) -> None:
    name = new("Ada")
    for template, given in (("%s: %d", (name, 3)), ("<%s>", name), ("%(n)s!", {"n": name})):
        text = provenance.percent(template, given)
        assert text == template % given
        assert provenance.of(text) == Made(text, PERCENT, (template, given), 0)
    assert provenance.of(provenance.percent("%s", (object(),))) is None
    long = provenance.percent("%s" * 2, (name * MAX_SHORT, name))
    assert provenance.of(long) is not None
    assert provenance.percent(7, 4) == 3


def test_what_is_replaced_is_known(provenance: Provenance) -> None:
    text = new("a-b-c")
    made = provenance.replaced(text.replace, "-", "+")
    assert provenance.of(made) == Made(made, REPLACED, (text, "-", "+"), 0)
    assert provenance.replaced(text.replace, "x", "y") is text
    assert provenance.of(text) is None, "of what is not in it nothing is made"
    new_text = new("whole")
    assert provenance.replaced(text.replace, text, new_text) == "whole"
    assert provenance.of(provenance.replaced((text * MAX_SHORT).replace, "-", "+")) is not None
    day = datetime.date(2026, 11, 29)
    assert provenance.replaced(day.replace, 2025, 1) == datetime.date(2025, 1, 29)


def _steps(run: Callable[[], object]) -> int:
    """Count the functions of Python that are begun: they take the time, on any machine."""
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counted)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def test_each_takes_one_step_of_python(provenance: Provenance) -> None:
    parts, text = ["a", "bc", "d"], "a,b,c"
    runs: tuple[Callable[[], object], ...] = (
        lambda: provenance.joined(", ".join, parts),
        lambda: provenance.percent("%s-%d", ("a", 3)),
        lambda: provenance.replaced(text.replace, ",", ";"),
    )
    assert [_steps(run) for run in runs] == [2, 2, 2]  # with the one that asks
    assert _steps(lambda: provenance.given(text.split, ",")) <= 6
