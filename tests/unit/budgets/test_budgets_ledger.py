"""Reserved, settled, begun anew: a hard budget is never exceeded by what it knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.budgets.ledger import Expected, Ledger, window
from casemate.model.budget import Budget, BudgetPer, BudgetUnit

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def ledger(per: BudgetPer = BudgetPer.DAY, amount: float = 10.0, *, hard: bool = True) -> Ledger:
    budget = Budget(
        project="t", name="b", amount=amount, unit=BudgetUnit.REQUESTS, per=per, hard=hard
    )
    return Ledger(budget, NOON)


def of(book: Ledger, function: str = "f", most: float = 0.0) -> Expected:
    """What calls of a function are expected to use, each of which can use `most`."""
    return book.expected(function, most)


def room(book: Ledger, least: float, now: float) -> bool:
    """Tell whether one more call may begin."""
    reserved = book.reserve(least, of(book), now)
    if reserved is not None:
        book.release(reserved)
    return reserved is not None


def used(book: Ledger, amount: float, now: float = NOON, least: float = 1.0) -> None:
    """Have a call begin and end."""
    reserved = book.reserve(least, of(book), now)
    assert reserved is not None
    book.settle(reserved, amount, of(book), now)


@given(st.lists(st.sampled_from(["begin", "end", "drop"]), max_size=200))
def test_no_more_calls_than_there_are_whatever_their_order(steps: list[str]) -> None:
    book, running, ran = ledger(), [], 0
    for step in steps:
        if step == "begin" and (reserved := book.reserve(1.0, of(book), NOON)) is not None:
            running.append(reserved)
        elif step == "end" and running:
            book.settle(running.pop(), 1.0, of(book), NOON)
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
            book.settle(*running.pop(0), of(book), NOON)
        if (reserved := book.reserve(0.0, of(book), NOON)) is not None:
            running.append((reserved, cost))
    for each in running:
        book.settle(*each, of(book), NOON)
    assert book.used <= 10.0 + at_once * dear + 1e-6


COSTS: dict[str, Callable[[Random], float]] = {
    "alike": lambda random: random.uniform(0.5, 3.0),
    "exponential": lambda random: random.expovariate(1.0),
    "one in a hundred ten times as dear": lambda random: 10.0 if random.random() < 0.01 else 1.0,
    "lognormal": lambda random: random.lognormvariate(0.0, 1.0),
}


@pytest.mark.parametrize("at_once", [64, 256])
@pytest.mark.parametrize("kind", COSTS)
def test_a_thousandth_at_most_is_beyond_at_full_load(kind: str, at_once: int) -> None:
    """Many connections that ask again at once; readings of use come for fifty calls together."""
    random, book, running, stopped_at = Random(15), ledger(amount=10_000.0), [], 0.0
    while running or book.used < 9980.0:
        while len(running) < at_once:
            reserved = book.reserve(0.0, of(book), NOON)
            if reserved is None:
                stopped_at = stopped_at or book.used
                break
            running.append((reserved, COSTS[kind](random)))
        for each in running[:50]:
            book.settle(*each, of(book), NOON)
        del running[:50]
    assert 9980.0 <= book.used <= 10_010.0
    assert stopped_at > 8000.0, "with much left nobody is refused"


def test_a_dear_function_is_not_taken_for_a_cheap_one_of_its_budget() -> None:
    book = ledger(amount=1000.0)
    for function, cost in (("dear", 50.0), *(("cheap", 1.0),) * 850):
        reserved = book.reserve(0.0, of(book, function), NOON)
        assert reserved is not None
        book.settle(reserved, cost, of(book, function), NOON)
    running = [book.reserve(0.0, of(book, "dear"), NOON) for _ in range(64)]
    assert [each for each in running if each] == [50.0, 50.0]


def test_of_a_function_that_has_not_run_yet_few_run_at_once_near_the_end() -> None:
    def running(part: float, most: float) -> int:
        book = ledger(amount=640.0)
        book.count(640.0 * part)
        new = of(book, "new", most)
        return sum(book.reserve(0.0, new, NOON) is not None for _ in range(100))

    assert running(0.0, 1e6) == 100
    assert running(0.9, 1e6) == 6
    assert running(0.9, 1.0) == 64, "one cannot use more"


def test_one_dear_call_holds_nobody_back_while_much_is_left() -> None:
    book = ledger(amount=1000.0)
    used(book, 300.0, least=0.0)
    for _ in range(100):
        used(book, 1.0, least=0.0)
    assert sum(book.reserve(0.0, of(book), NOON) is not None for _ in range(64)) == 64


def test_what_may_not_be_enough_is_used_by_one_call_after_the_other() -> None:
    book, alone = ledger(amount=1000.0), 0
    for cost in (*(1.0,) * 500, 380.0):
        used(book, cost, least=0.0)
    while (reserved := book.reserve(0.0, of(book), NOON)) is not None:
        alone += not room(book, 0.0, NOON)
        book.settle(reserved, 1.0, of(book), NOON)
    assert 60 < alone <= 125
    assert 995.0 < book.used <= 1000.0
    assert not book.waits_for_calls(0.0, of(book))


def test_what_runs_is_waited_for_if_it_may_leave_something() -> None:
    book = ledger(amount=100.0)
    for cost in (4.0, *(1.0,) * 89):
        used(book, cost, least=0.0)
    running = []
    while (reserved := book.reserve(0.0, of(book), NOON)) is not None:
        running.append(reserved)
    assert running and sum(running) <= 7.0 and book.waits_for_calls(0.0, of(book))
    for each in running:
        book.settle(each, 1.0, of(book), NOON)
    assert room(book, 0.0, NOON)


def test_functions_that_are_told_apart_are_bounded() -> None:
    book = ledger()
    assert len({id(book.expected(f"f{number}", 1.0)) for number in range(1000)}) == 65


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


class Clocks:
    """One that is set, and one that only goes forward."""

    def __init__(self) -> None:
        self.off = self.passed = 0.0

    @property
    def now(self) -> float:
        return NOON + self.passed + self.off

    def ledger(self, per: BudgetPer, amount: float = 10.0) -> Ledger:
        budget = Budget(
            project="t", name="b", amount=amount, unit=BudgetUnit.REQUESTS, per=per, hard=True
        )
        return Ledger(budget, self.now, steady=lambda: 5.0 + self.passed)

    def calls(self, book: Ledger) -> int:
        """Make as many calls as it lets begin."""
        made = 0
        while room(book, 1.0, self.now):
            used(book, 1.0, self.now)
            made += 1
        assert book.used >= 0.0 and book.wait(self.now) >= 1
        return made


def test_a_rolling_hour_gives_back_minute_by_minute() -> None:
    clocks = Clocks()
    book = clocks.ledger(BudgetPer.HOUR)
    for minute in range(10):
        clocks.passed = 60.0 * minute
        assert room(book, 1.0, clocks.now)
        used(book, 1.0, clocks.now)
    clocks.passed = 600.0
    assert not room(book, 1.0, clocks.now) and 2900 < book.wait(clocks.now) <= 3060
    clocks.passed = 3590.0
    assert not room(book, 1.0, clocks.now)
    clocks.passed = 3600.0
    assert room(book, 1.0, clocks.now) and book.used == 9.0
    clocks.passed = 2 * 3600.0
    assert room(book, 1.0, clocks.now) and book.used == 0.0


@pytest.mark.parametrize("per", list(BudgetPer))
def test_a_clock_that_goes_back_gives_nothing_back(per: BudgetPer) -> None:
    book = ledger(per)
    for _ in range(10):
        used(book, 1.0)
    for now in (NOON - 40 * DAY, NOON - 3600, 0.0, NOON):
        assert not room(book, 1.0, now)


@pytest.mark.parametrize("off", [-3650 * DAY, -40 * DAY, -3600.0, 3600.0, 40 * DAY, 3650 * DAY])
def test_a_rolling_hour_knows_of_no_clock_that_is_set(off: float) -> None:
    clocks = Clocks()
    book = clocks.ledger(BudgetPer.HOUR)
    assert clocks.calls(book) == 10
    clocks.off = off
    assert clocks.calls(book) == 0
    clocks.off = 0.0
    assert clocks.calls(book) == 0
    clocks.passed = 3601.0
    assert clocks.calls(book) == 10


@pytest.mark.parametrize("per", [BudgetPer.DAY, BudgetPer.MONTH])
@pytest.mark.parametrize("hours", [1.0, 13.0, 24.0 * 40])
def test_a_day_or_month_has_its_budget_once_however_often_the_clock_is_set(
    per: BudgetPer, hours: float
) -> None:
    """Forward over its end and back: what was used of the next one counts when it comes."""
    clocks = Clocks()
    book = clocks.ledger(per)
    used: dict[float | None, int] = {}
    for off in [0.0, 3600 * hours] * 20:
        clocks.off = off
        made = clocks.calls(book)
        used[book.resets_at] = used.get(book.resets_at, 0) + made
    assert set(used.values()) == {10}
    # Once the time has come for which it was set, nothing of that is left; after it there is.
    clocks.off, clocks.passed = 0.0, 3600 * hours
    assert clocks.calls(book) == 0
    clocks.passed += 32 * DAY
    assert clocks.calls(book) == 10


def test_what_is_in_flight_when_the_clock_is_set_is_not_spent_again() -> None:
    clocks = Clocks()
    book, let_begin = clocks.ledger(BudgetPer.DAY), 0
    for off in [0.0, 13 * 3600.0] * 10:
        clocks.off = off
        running = 0
        while book.reserve(1.0, of(book), clocks.now) is not None:
            running += 1
        let_begin += running
        clocks.off = 13 * 3600.0 - off  # before any of them has ended
        for _ in range(running):
            book.settle(1.0, 1.0, of(book), clocks.now)
    assert let_begin <= 20


@pytest.mark.parametrize("per", [BudgetPer.DAY, BudgetPer.MONTH])
def test_a_clock_that_was_years_ahead_for_a_moment_locks_nobody_out(per: BudgetPer) -> None:
    clocks = Clocks()
    book = clocks.ledger(per)
    assert clocks.calls(book) == 10
    clocks.off = 3650 * DAY
    clocks.calls(book)
    clocks.off = 0.0
    assert clocks.calls(book) == 0 and not book.is_recount_due
    clocks.passed = 32 * DAY
    assert clocks.calls(book) == 10


def test_set_back_to_before_it_was_counted_what_was_used_since_counts_on() -> None:
    clocks = Clocks()
    clocks.off = 40 * DAY
    book = clocks.ledger(BudgetPer.DAY)
    assert clocks.calls(book) == 10
    clocks.off = 0.0
    assert clocks.calls(book) == 0 and book.is_recount_due


def test_so_many_days_are_known_and_no_more() -> None:
    clocks = Clocks()
    book = clocks.ledger(BudgetPer.DAY)
    for day in range(1000):
        clocks.passed = day * DAY
        assert clocks.calls(book) == 10
    assert len(book._known) == 8


@pytest.mark.parametrize("off", [0.0, -3600.0, -40 * DAY])
def test_lifted_for_a_while_and_for_no_longer_by_a_clock_set_back(off: float) -> None:
    clocks = Clocks()
    book = clocks.ledger(BudgetPer.DAY, 1.0)
    assert clocks.calls(book) == 1
    book.lift(NOON, NOON + 60, NOON)
    clocks.off, clocks.passed = off, 59.0
    assert room(book, 1.0, clocks.now)
    book.lift(NOON, NOON + 60, clocks.now)  # read again: it is the same
    clocks.passed = 60.0
    assert not room(book, 1.0, clocks.now)


def test_once_nothing_runs_nothing_is_reserved() -> None:
    """Sums of parts leave something behind."""
    book, parts = ledger(amount=1e9), [0.1 * n / 7 for n in range(1, 400)]
    for part in parts:
        assert book.reserve(part, of(book), NOON) is not None
    for part in parts:
        assert book.reserved > 0.0
        book.release(part)
    assert book.reserved == 0.0


def test_it_is_reserved_for_what_calls_use_lately() -> None:
    book = ledger(amount=1000.0)
    for _ in range(60):
        used(book, 5.0, least=0.0)
    assert 4.9 < (book.reserve(0.0, of(book), NOON) or 0.0) <= 5.0
    assert book.reserve(7.0, of(book), NOON) == 7.0


def test_one_that_has_no_room_is_told_once_in_a_rolling_hour() -> None:
    clocks = Clocks()
    book = clocks.ledger(BudgetPer.HOUR, 1.5)
    used(book, 1.0, clocks.now)
    book.told = 100
    for _ in range(3):
        assert not room(book, 1.0, clocks.now) and book.told == 100
    clocks.passed = 3600.0
    assert room(book, 1.0, clocks.now) and book.told == 0


def test_what_was_to_be_counted_again_is_not_once_the_clock_is_right() -> None:
    """It was, beside what was known, and the budget was shut for the rest of the month."""
    clocks = Clocks()
    book = clocks.ledger(BudgetPer.MONTH)
    for _ in range(4):
        used(book, 1.0, clocks.now)
    clocks.off = -40 * DAY
    used(book, 1.0, clocks.now)
    assert book.is_recount_due
    clocks.off = 0.0
    book.tick(clocks.now)
    assert book.used == 4.0 and not book.is_recount_due
    clocks.off = -40 * DAY
    book.tick(clocks.now)
    assert book.is_recount_due, "nobody has counted that month yet"
