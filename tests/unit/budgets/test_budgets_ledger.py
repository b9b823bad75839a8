"""Reserved, settled, begun anew: a hard budget is never exceeded by what it knows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.budgets.ledger import Ledger, window
from casemate.model.budget import Budget, BudgetPer, BudgetUnit

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def ledger(per: BudgetPer = BudgetPer.DAY, amount: float = 10.0, *, hard: bool = True) -> Ledger:
    budget = Budget(
        project="t", name="b", amount=amount, unit=BudgetUnit.REQUESTS, per=per, hard=hard
    )
    return Ledger(budget, NOON)


def room(book: Ledger, least: float, now: float) -> bool:
    """Tell whether one more call may begin."""
    reserved = book.reserve(least, now)
    if reserved is not None:
        book.release(reserved)
    return reserved is not None


def used(book: Ledger, amount: float, now: float = NOON, least: float = 1.0) -> None:
    """Have a call begin and end."""
    reserved = book.reserve(least, now)
    assert reserved is not None
    book.settle(reserved, amount, now)


@given(st.lists(st.sampled_from(["begin", "end", "drop"]), max_size=200))
def test_no_more_calls_than_there_are_whatever_their_order(steps: list[str]) -> None:
    book, running, ran = ledger(), [], 0
    for step in steps:
        if step == "begin" and (reserved := book.reserve(1.0, NOON)) is not None:
            running.append(reserved)
        elif step == "end" and running:
            book.settle(running.pop(), 1.0, NOON)
            ran += 1
        elif step == "drop" and running:
            book.release(running.pop())
        assert book.used == ran and book.reserved == len(running)
        assert ran + len(running) <= 10


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60), st.integers(1, 8))
def test_what_is_beyond_is_at_most_what_was_in_flight(costs: list[float], at_once: int) -> None:
    """Whatever calls cost, and nobody knows before: only those that ran already go beyond."""
    book, running, dear = ledger(amount=10.0), [], max(costs)
    for cost in costs:
        if len(running) >= at_once:
            book.settle(*running.pop(0), NOON)
        if (reserved := book.reserve(0.0, NOON)) is not None:
            running.append((reserved, cost))
    for each in running:
        book.settle(*each, NOON)
    assert book.used <= 10.0 + at_once * dear + 1e-6


def test_a_soft_one_holds_nobody_back() -> None:
    book = ledger(hard=False)
    for _ in range(50):
        assert room(book, 1.0, NOON)
        used(book, 1.0)
    assert book.percent == 500.0


def test_thresholds_are_told_once() -> None:
    book, told = ledger(amount=100.0), []
    for _ in range(100):
        used(book, 1.0)
        if percent := book.reached():
            book.told = percent
            told.append((percent, book.used))
    assert told == [(50, 50.0), (80, 80.0), (100, 100.0)]
    book.tick(NOON + DAY)
    assert book.used == 0.0 and book.told == 0


def test_days_and_months_are_those_of_utc() -> None:
    assert window(BudgetPer.DAY, NOON) == (NOON - DAY / 2, NOON + DAY / 2)
    begins, ends = window(BudgetPer.MONTH, NOON)
    assert datetime.fromtimestamp(begins, UTC) == datetime(2026, 11, 1, tzinfo=UTC)
    assert datetime.fromtimestamp(ends or 0.0, UTC) == datetime(2026, 12, 1, tzinfo=UTC)


def test_a_rolling_hour_gives_back_minute_by_minute() -> None:
    book = ledger(BudgetPer.HOUR)
    for minute in range(10):
        assert room(book, 1.0, NOON + 60 * minute)
        used(book, 1.0, NOON + 60 * minute)
    assert not room(book, 1.0, NOON + 600)
    assert 2900 < book.wait(NOON + 600) <= 3060
    assert not room(book, 1.0, NOON + 3599)
    assert room(book, 1.0, NOON + 3600) and book.used == 9.0
    assert room(book, 1.0, NOON + 2 * 3600) and book.used == 0.0


@pytest.mark.parametrize("per", list(BudgetPer))
def test_a_clock_that_goes_back_gives_nothing_back(per: BudgetPer) -> None:
    book = ledger(per)
    for _ in range(10):
        used(book, 1.0)
    for now in (NOON - 40 * DAY, NOON - 3600, 0.0, NOON):
        assert not room(book, 1.0, now)


def test_lifted_for_a_while() -> None:
    book = ledger(amount=1.0)
    used(book, 1.0)
    book.lifted_until = NOON + 60
    assert room(book, 1.0, NOON + 59) and not room(book, 1.0, NOON + 60)


def test_it_is_reserved_for_what_calls_use_lately() -> None:
    book = ledger(amount=1000.0)
    for _ in range(60):
        used(book, 5.0, least=0.0)
    assert 4.9 < book.guess(0.0) <= 5.0 and book.guess(7.0) == 7.0


def test_what_ends_after_the_clock_was_set_back_counts_from_the_latest_that_it_has_told() -> None:
    book = ledger(BudgetPer.HOUR)
    reserved = book.reserve(1.0, NOON + 3000)
    assert reserved is not None
    book.settle(reserved, 10.0, NOON - 600)
    assert not room(book, 1.0, NOON + 3000 + 3599) and room(book, 1.0, NOON + 3000 + 3600)


def test_one_that_has_no_room_is_told_once_in_a_rolling_hour() -> None:
    book = ledger(BudgetPer.HOUR, amount=1.5)
    used(book, 1.0)
    book.told = 100
    for _ in range(3):
        assert not room(book, 1.0, NOON + 1) and book.told == 100
    assert room(book, 1.0, NOON + 3600) and book.told == 0
