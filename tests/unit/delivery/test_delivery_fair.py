"""Slots go round fairly: by what they cost, projects first, and never all to one."""

from __future__ import annotations

import heapq
from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from casemate.delivery.fair import FairShare, Slot

CAPACITY = 16


def simulate(
    costs: dict[tuple[str, str], float],
    *,
    seconds: float = 60.0,
    capacity: int = CAPACITY,
    limit: int = 16,
    since: dict[tuple[str, str], float] | None = None,
) -> tuple[Counter[tuple[str, str]], dict[tuple[str, str], float]]:
    """Run functions that always have events; return slot seconds of each, and the longest wait."""
    fair = FairShare(capacity)
    since = since or {}
    used: Counter[tuple[str, str]] = Counter()
    waited: dict[tuple[str, str], float] = dict.fromkeys(costs, 0.0)
    last: dict[tuple[str, str], float] = {}
    ends: list[tuple[float, int, Slot, float]] = []
    starts = sorted((since.get(name, 0.0), name) for name in costs)
    now, number = 0.0, 0
    while now < seconds:
        while starts and starts[0][0] <= now:
            _, name = starts.pop(0)
            fair.want(*name, limit)
            last[name] = now
        while (slot := fair.take()) is not None:
            name = (slot.project, slot.function)
            waited[name] = max(waited[name], now - last[name])
            last[name] = now
            number += 1
            heapq.heappush(ends, (now + costs[name], number, slot, costs[name]))
        upcoming = [*(end[0] for end in ends[:1]), *(start[0] for start in starts[:1])]
        now = min(upcoming)
        while ends and ends[0][0] <= now:
            _, _, slot, cost = heapq.heappop(ends)
            used[slot.project, slot.function] += cost  # type: ignore[assignment]
            fair.give_back(slot, cost)
    return used, waited


def test_two_projects_share_evenly_whatever_the_number_of_their_functions() -> None:
    names = {("a", "f"): 0.1, **{("b", f"g{n}"): 0.1 for n in range(10)}}
    used, _ = simulate(names)
    of_a = used["a", "f"]
    of_b = sum(seconds for (project, _), seconds in used.items() if project == "b")
    # One function may hold no more than are free, so it cannot take quite its half.
    assert 0.6 <= of_a / of_b <= 1.1


def test_long_events_cost_what_they_take() -> None:
    used, _ = simulate({("a", "long"): 2.0, ("b", "short"): 0.02}, seconds=120.0)
    assert 0.7 <= used["a", "long"] / used["b", "short"] <= 1.4


def test_one_that_comes_late_finds_a_slot_at_once() -> None:
    costs = {("noisy", f"f{n}"): 10.0 for n in range(5)} | {("quiet", "q"): 0.01}
    _, waited = simulate(costs, since={("quiet", "q"): 5.0}, seconds=30.0)
    assert waited["quiet", "q"] <= 0.011, "it waits for nobody but itself"


def test_who_was_away_has_no_claim_to_what_it_did_not_use() -> None:
    used, _ = simulate({("a", "f"): 0.1, ("b", "g"): 0.1}, since={("b", "g"): 50.0}, seconds=100.0)
    assert used["b", "g"] < used["a", "f"]


def test_a_function_alone_gets_up_to_its_limit() -> None:
    for limit, wanted in ((3, 3), (100, CAPACITY // 2)):
        fair = FairShare(CAPACITY)
        fair.want("a", "f", limit)
        taken = 0
        while fair.take() is not None:
            taken += 1
        assert taken == wanted


def test_one_slot_is_enough_for_one_function() -> None:
    fair = FairShare(1)
    fair.want("a", "f", 5)
    slot = fair.take()
    assert slot is not None
    assert fair.take() is None
    fair.give_back(slot, 1.0)
    assert fair.take() is not None


def test_who_rests_gets_nothing() -> None:
    fair = FairShare(CAPACITY)
    fair.want("a", "f", 5)
    fair.rest("a", "f")
    fair.rest("a", "unknown")
    fair.rest("unknown", "f")
    assert fair.take() is None


NAMES = st.tuples(st.sampled_from("abc"), st.sampled_from("fgh"))


class FairShareMachine(RuleBasedStateMachine):
    """Against a plain account of who wants and who holds."""

    def __init__(self) -> None:
        super().__init__()
        self.fair = FairShare(CAPACITY)
        self.limits: dict[tuple[str, str], int] = {}
        self.held: list[Slot] = []

    @rule(name=NAMES, limit=st.integers(1, 20))
    def want(self, name: tuple[str, str], limit: int) -> None:
        self.limits[name] = limit
        self.fair.want(*name, limit)

    @rule(name=NAMES)
    def rest(self, name: tuple[str, str]) -> None:
        self.limits.pop(name, None)
        self.fair.rest(*name)

    @rule()
    def take(self) -> None:
        slot = self.fair.take()
        holds = Counter((held.project, held.function) for held in self.held)
        if slot is None:
            # Somebody who holds nothing and is not hindered by its project gets a free slot.
            projects = Counter(held.project for held in self.held)
            free = CAPACITY - len(self.held)
            for name in self.limits:
                assert free == 0 or holds[name] or projects[name[0]] >= 3 * free
            return
        name = (slot.project, slot.function)
        assert name in self.limits
        assert holds[name] < self.limits[name]
        self.held.append(slot)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 100), seconds=st.floats(0.0, 1000.0))
    def give_back(self, which: int, seconds: float) -> None:
        slot = self.held.pop(which % len(self.held))
        self.fair.give_back(slot, seconds)

    @invariant()
    def counts(self) -> None:
        assert self.fair.running == len(self.held) <= CAPACITY


TestFairShareMachine = FairShareMachine.TestCase
TestFairShareMachine.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(NAMES, st.floats(0.05, 2.0), min_size=2, max_size=6))
@example(
    {
        ("a", "f"): 0.091, ("b", "f"): 1.87, ("b", "g"): 0.99, ("b", "h"): 1.1,
        ("c", "g"): 0.98, ("c", "h"): 1.59,
    }
)  # fmt: skip
def test_no_project_gets_less_than_two_fifths_of_its_even_share(
    costs: dict[tuple[str, str], float],
) -> None:
    # One function holds at most what is free, and so does each of the others: of six, a project
    # that has one beside others with two and three gets half an even share, and no more.
    used, _ = simulate(costs, seconds=100.0)
    projects: Counter[str] = Counter()
    for (project, _), seconds in used.items():
        projects[project] += seconds  # type: ignore[assignment]
    fair = sum(projects.values()) / len(projects)
    assert min(projects.values()) >= fair * 0.4 - 2 * max(costs.values())


_NAMES = [("a", "f"), ("a", "g"), ("b", "f")]


def _state(fair: FairShare) -> object:
    """Return all that decides whose turn it is."""
    projects = fair._projects
    return fair.running, {
        project: (
            *(outer.virtual, outer.cost, outer.running, bool(outer.entry), projects.clock),
            outer.functions.clock,
            {
                name: (s.virtual, s.cost, s.running, s.limit, s.wanting, bool(s.entry))
                for name, s in outer.functions.shares.items()
            },
        )
        for project, outer in projects.shares.items()
    }


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("want"), st.sampled_from(_NAMES), st.integers(1, 6)),
            st.tuples(st.just("rest"), st.sampled_from(_NAMES), st.just(0)),
            st.tuples(st.just("take"), st.just(("", "")), st.just(0)),
            st.tuples(st.just("end"), st.just(("", "")), st.integers(0, 1000)),
        ),
        max_size=60,
    )
)
@settings(max_examples=300, deadline=None)
@example([("want", ("a", "f"), 1), ("take", ("", ""), 0), ("end", ("", ""), 7)])
def test_a_slot_that_is_passed_on_is_one_given_back_and_taken(
    acts: list[tuple[str, tuple[str, str], int]],
) -> None:
    short, long = FairShare(6), FairShare(6)
    held: list[tuple[Slot, Slot]] = []
    for act, (project, function), number in acts:
        if act == "want":
            for fair in (short, long):
                fair.want(project, function, number)
        elif act == "rest":
            for fair in (short, long):
                fair.rest(project, function)
        elif act == "take":
            one, other = short.take(), long.take()
            assert one == other
            if one is not None and other is not None:
                held.append((one, other))
        elif held:
            one, other = held.pop(number % len(held))
            passed = short.pass_on(one, number / 100)
            if passed is None:
                short.give_back(one, number / 100)
            long.give_back(other, number / 100)
            if passed is not None:
                taken = long.take()
                assert taken == passed
                held.append((passed, taken))
        assert _state(short) == _state(long)


def test_a_slot_is_not_passed_on_where_another_one_waits() -> None:
    fair = FairShare(2)
    fair.want("a", "f", 1)
    first = fair.take()
    assert first is not None
    passed = fair.pass_on(first, 0.1)
    assert passed is not None and fair.running == 1
    fair.want("b", "f", 1)
    assert fair.pass_on(passed, 0.1) is None
