"""Folding: nothing is lost from the counts, and no kind hides another."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import GrantUsed, InvocationEnded, SignedIn
from casemate.recorder.folding import MAX_DIFFERENT, MAX_OF_NODE, MAX_OF_ONE, OTHERS, Folding


def denial(**changes: Any) -> Denial:
    plain = Denial(
        at=1.0,
        by="anonymous:public",
        project="shop",
        kind=DenialKind.AUTHENTICATION,
        action="GET api",
        resource="node",
        reason="no token",
    )
    return msgspec.structs.replace(plain, **changes)


def test_the_first_is_recorded_at_once_and_those_alike_are_counted() -> None:
    folding = Folding()
    assert [folding.passes(denial(at=float(n))) for n in range(5)] == [True] + [False] * 4
    assert [(fact.at, count) for fact, count in folding.close_window()] == [(0.0, 4)]
    assert list(folding.close_window()) == []
    assert folding.passes(denial())


def test_what_differs_is_recorded_each() -> None:
    folding = Folding()
    for change in ({"by": "user:ada"}, {"reason": "another"}, {"remote_address": "192.0.2.1"}):
        assert folding.passes(denial(**change))
    assert list(folding.close_window()) == []


def test_sign_ins_are_never_folded() -> None:
    folding = Folding()
    fact = SignedIn(at=1.0, by="user:ada", method="password")
    assert all(folding.passes(fact) for _ in range(1000))


def test_a_flood_of_one_kind_leaves_room_for_another() -> None:
    folding = Folding()
    for n in range(10 * MAX_OF_NODE):
        folding.passes(denial(resource=f"function:shop/{n}"))
    assert folding.passes(denial(kind=DenialKind.INJECTION))
    assert folding.passes(GrantUsed(at=1.0, grant="bucket:read", action="bucket:read"))
    [(others, count)] = list(folding.close_window())
    assert isinstance(others, Denial)
    assert (others.by, others.resource, count) == (OTHERS, OTHERS, 9 * MAX_OF_NODE)
    assert others.kind is DenialKind.AUTHENTICATION


def test_one_function_s_flood_hides_nothing_of_another_function() -> None:
    folding = Folding()
    for n in range(5 * MAX_DIFFERENT):
        folding.passes(
            denial(function="loud", kind=DenialKind.EGRESS, resource=f"host:{n}.example:443")
        )
    quiet = denial(function="quiet", kind=DenialKind.EGRESS, resource="host:169.254.169.254:80")
    assert folding.passes(quiet)
    [(others, count)] = list(folding.close_window())
    assert (others.function, count) == ("loud", 5 * MAX_DIFFERENT - MAX_OF_ONE)


def test_what_is_told_of_many_together_is_said_of_none_of_them() -> None:
    folding = Folding()
    for n in range(2 * MAX_DIFFERENT):
        folding.passes(denial(project="shop", function=f"f{n}"))
    [(others, count)] = list(folding.close_window())
    assert (others.project, others.function, count) == ("", "", MAX_DIFFERENT)


@given(
    st.lists(
        st.one_of(
            st.builds(
                denial,
                kind=st.sampled_from(DenialKind),
                by=st.sampled_from(["a", "b", "c"]),
                count=st.integers(1, 5),
            ),
            st.builds(
                InvocationEnded,
                at=st.just(1.0),
                outcome=st.sampled_from(["ok", "timeout"]),
            ),
        ),
        max_size=60,
    )
)
def test_counts_add_up(facts: list[Any]) -> None:
    folding = Folding()
    expected: Counter[type] = Counter()
    found: Counter[type] = Counter()
    for fact in facts:
        expected[type(fact)] += getattr(fact, "count", 1)
        if folding.passes(fact):
            found[type(fact)] += getattr(fact, "count", 1)
    for fact, count in folding.close_window():
        found[type(fact)] += count
    assert found == expected
