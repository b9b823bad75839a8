"""What a handler measures is added up within bounds, and told in front of the answer."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model import metrics as model
from casemate.runner import wire
from casemate.runner.measures import MAX_NAMES, Measures
from casemate.sandbox.frames import MAX_MEASURES_BYTES, decode_measures

ANSWER = wire.pack(wire.ANSWER, b"{}", b"1")


def head_of(data: bytes) -> bytes:
    reader = wire.FrameReader(wire.KINDS_FROM_INSTANCE, 1 << 20)
    (kind, head, body), answer = reader.feed(data)
    assert (kind, body, answer) == (wire.MEASURES, b"", (wire.ANSWER, b"{}", b"1"))
    return head


def test_without_measurements_there_is_no_frame() -> None:
    assert Measures().before(ANSWER) is ANSWER


def test_measurements_add_up_and_are_told_once() -> None:
    measures = Measures()
    measures.add("orders", 3, None)
    measures.add("orders", 1, None)
    measures.add("weight", Decimal("2.5"), "kg")  # type: ignore[arg-type]
    head = head_of(measures.before(ANSWER))
    assert json.loads(head) == {
        "own": [["orders", "", 2, 4.0, 1.0, 3.0], ["weight", "kg", 1, 2.5, 2.5, 2.5]]
    }
    assert measures.before(ANSWER) is ANSWER


def test_what_is_left_of_an_invocation_is_not_the_next_one_s() -> None:
    measures = Measures()
    measures.add("orders", 3, None)
    measures.clear()
    assert measures.before(ANSWER) is ANSWER


@pytest.mark.parametrize(
    "name", ["", "Orders", "9a", "_a", "a-b", "a b", "a" * 64, "orders\n", "\u00e9", 7, None, b"a"]
)
def test_a_name_that_none_can_have_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="the name of a metric"):
        Measures().add(name, 1.0, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["a" * 17, "k g", "\n", 3])
def test_a_unit_that_none_can_have_is_refused(unit: object) -> None:
    with pytest.raises(ValueError, match="the unit of the metric"):
        Measures().add("a", 1.0, unit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 1e301, -1e301, 10**400, -(10**400)]
)
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        Measures().add("a", value, None)


@pytest.mark.parametrize("value", ["x", None, object()])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Measures().add("a", value, None)  # type: ignore[arg-type]


def test_names_and_sums_are_bounded() -> None:
    measures = Measures()
    for number in range(MAX_NAMES):
        measures.add(f"n{number}", 1e300, None)
    with pytest.raises(ValueError, match="one metric too many"):
        measures.add("more", 1, None)
    with pytest.raises(ValueError, match="adds up to more"):
        measures.add("n0", 1e300, None)
    assert len(decode_measures(head_of(measures.before(ANSWER))).own) == MAX_NAMES


def test_both_ends_have_the_same_bounds() -> None:
    assert MAX_NAMES == model.MAX_NAMES
    longest = Measures()
    for number in range(MAX_NAMES):
        name = f"n{number}".ljust(63, "x")
        for value in (-1.2345678901234567e300, 1.2345678901234567e299):
            longest.add(name, value / 3, "x" * 16)
    head = head_of(longest.before(ANSWER))
    assert len(head) < MAX_MEASURES_BYTES
    assert len(decode_measures(head).own) == MAX_NAMES


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True),
            st.floats(-1e290, 1e290),
            st.from_regex(r"(?:[A-Za-z0-9%/_.-]{1,16})?", fullmatch=True),
        ),
        max_size=MAX_NAMES,
        min_size=1,
    )
)
def test_whatever_is_taken_here_is_taken_there(added: list[tuple[str, float, str]]) -> None:
    measures = Measures()
    for name, value, unit in added:
        measures.add(name, value, unit)
    told = {one.name: one for one in decode_measures(head_of(measures.before(ANSWER))).own}
    assert set(told) == {name for name, _, _ in added}
    assert all(one.is_sound for one in told.values())
    assert sum(one.count for one in told.values()) == len(added)
