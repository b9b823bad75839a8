"""How many recordings there are, of whom, and how fast they come: each bound, and who pays."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.model.invocation import Outcome
from casemate.model.recording import RecordingSummary
from casemate.recordings import index as bounds
from casemate.recordings.index import Index
from casemate.recordings.pace import BURST, MAX_FUNCTIONS, Pace

MIB = 1024 * 1024


def summary(number: int, **changed: Any) -> RecordingSummary:
    fields = {"project": "shop", "function": "f", "size": 1000, "expires_at": 100.0}
    return RecordingSummary(
        id=f"inv_{number:024x}",
        version=1,
        trigger="invoke",
        outcome=Outcome.HANDLER_ERROR,
        at=float(number),
        **{**fields, **changed},
    )


def added(index: Index, new: RecordingSummary, most: int = 64 * MIB) -> list[str]:
    """Add one, and drop what has to go."""
    index.add(new)
    gone = index.beyond(new, most)
    for identity in gone:
        index.drop(identity)
    return gone


def test_a_function_has_so_many_and_the_oldest_goes() -> None:
    index = Index()
    for number in range(bounds.MAX_OF_FUNCTION):
        assert added(index, summary(number)) == []
    assert added(index, summary(999)) == [summary(0).id]
    assert len(index) == bounds.MAX_OF_FUNCTION


def test_a_function_has_so_many_bytes() -> None:
    index = Index()
    for number in range(20):
        added(index, summary(number, size=MIB), 4 * MIB)
    assert [each.at for each in index.newest("shop", "f")] == [19.0, 18.0, 17.0, 16.0]


def test_one_that_is_larger_than_all_may_be_is_not_kept() -> None:
    index = Index()
    new = summary(1, size=5 * MIB)
    assert added(index, new, 4 * MIB) == [new.id]


def test_a_project_has_so_many_bytes_and_no_other_pays() -> None:
    index = Index()
    added(index, summary(1, project="mail"))
    for number in range(2, 102):
        added(index, summary(number, function=f"f{number}", size=MIB))
    assert sum(each.size for each in index.newest("shop", None)) <= bounds.MAX_OF_PROJECT_BYTES
    assert [each.id for each in index.newest("mail", None)] == [summary(1).id]


def test_a_node_has_so_many_and_the_largest_project_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_OF_NODE", 10)
    index = Index()
    for number in range(9):
        added(index, summary(number, project="loud", function=f"f{number}"))
    for number in range(9, 14):
        added(index, summary(number, project=f"p{number}"))
    assert len(index) == 10
    assert len(list(index.newest("loud", None))) == 5
    assert all(list(index.newest(f"p{number}", None)) for number in range(9, 14))


def test_many_small_ones_push_out_no_large_ones_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What attackers want gone is what a victim's calls were: they let their own fail instead."""
    monkeypatch.setattr(bounds, "MAX_OF_NODE", 100)
    index = Index()
    for number in range(10):
        assert added(index, summary(number, project="victim", size=MIB)) == []
    for number in range(10, 300):
        gone = added(index, summary(number, project="eve", function=f"f{number % 60}", size=10))
        assert not {summary(old).id for old in range(10)}.intersection(gone)
    assert len(index) == 100


def test_few_large_ones_push_out_no_small_ones_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_OF_NODE_BYTES", 8 * MIB)
    index = Index()
    for number in range(200):
        assert added(index, summary(number, project="victim", function=f"f{number % 9}")) == []
    for number in range(200, 240):
        added(index, summary(number, project=f"eve{number % 5}", size=MIB))
        kept = list(index.newest(None, None))
        assert sum(each.size for each in kept) <= 8 * MIB, "not one for each, but until it fits"
        assert sum(each.project == "victim" for each in kept) == 200


def test_what_is_over_is_told() -> None:
    index = Index()
    index.add(summary(1, expires_at=50.0))
    index.add(summary(2, expires_at=60.0))
    assert index.expired(49.0) == []
    assert index.expired(50.0) == [summary(1).id]


def test_a_flood_is_recorded_a_few_times_and_then_once_a_second() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert sum(pace.allows("shop", "f") for _ in range(1000)) == BURST
    assert pace.allows("shop", "g") and pace.allows("mail", "f")
    now = 3.0
    assert sum(pace.allows("shop", "f") for _ in range(1000)) == 3
    now = -100.0
    assert not pace.allows("shop", "f"), "a clock that goes back gives nothing"


def test_functions_that_are_paced_are_bounded() -> None:
    pace = Pace(lambda: 0.0)
    for number in range(3 * MAX_FUNCTIONS):
        pace.allows("shop", f"f{number}")
    assert len(pace._left) <= MAX_FUNCTIONS
