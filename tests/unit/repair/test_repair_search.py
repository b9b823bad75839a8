"""Smallest sets and steps, held against trying everything."""

from __future__ import annotations

import itertools
import random

import pytest

from casemate.repair.search import (
    Questions,
    TooManyQuestionsError,
    smallest_sets,
    smallest_steps,
)
from casemate.repair.steps import Step, costs_of, step_of

THINGS = "abcdefgh"


@pytest.mark.parametrize("seed", range(40))
def test_all_smallest_sets_are_found_and_no_other(seed: int) -> None:
    rng = random.Random(seed)
    together = [frozenset(rng.sample(THINGS, rng.randint(1, 3))) for _ in range(rng.randint(1, 6))]
    questions = Questions(lambda kept: not any(bad <= kept for bad in together), most=10_000)
    found = list(smallest_sets(THINGS, questions))
    every = (frozenset(c) for n in range(9) for c in itertools.combinations(THINGS, n))
    fine = [dropped for dropped in every if all(bad & dropped for bad in together)]
    least = min(map(len, fine))
    assert sorted(map(sorted, found)) == sorted(sorted(one) for one in fine if len(one) == least)


def test_nothing_is_found_where_not_even_nothing_can_be_kept() -> None:
    assert list(smallest_sets(THINGS, lambda kept: False)) == []
    assert list(smallest_sets(THINGS, lambda kept: True)) == [frozenset()]


def test_few_questions_are_asked_of_many_things() -> None:
    things = [f"p{number:03}" for number in range(300)]
    bad = [{"p007"}, {"p100", "p200"}, {"p200", "p250"}]
    questions = Questions(lambda kept: not any(each <= kept for each in bad))
    assert next(smallest_sets(things, questions, likely=["p007"])) == {"p007", "p200"}
    assert questions.asked < 60


@pytest.mark.parametrize("seed", range(40))
def test_steps_have_the_least_sum(seed: int) -> None:
    rng = random.Random(seed)
    names = "xyz"[: rng.randint(1, 3)]
    costs = {
        name: sorted((rng.randint(0, 2), rng.randint(0, 5)) for _ in range(rng.randint(1, 5)))
        for name in names
    }
    every = list(itertools.product(*(range(len(costs[name])) for name in names)))
    corners = rng.sample(every, min(len(every), rng.randint(0, 3)))

    def holds(steps: object) -> bool:
        mine = [steps[name] for name in names]  # type: ignore[index]
        return any(all(m >= c for m, c in zip(mine, corner, strict=True)) for corner in corners)

    def total(chosen: tuple[int, ...]) -> tuple[int, ...]:
        parts = [costs[name][step] for name, step in zip(names, chosen, strict=True)]
        return tuple(map(sum, zip(*parts, strict=True)))

    found = smallest_steps(costs, holds)
    if not corners:
        assert found is None
        return
    assert found is not None
    best = min(total(one) for one in every if holds(dict(zip(names, one, strict=True))))
    assert total(tuple(found[name] for name in names)) == best


def test_a_question_is_asked_once_and_there_is_an_end() -> None:
    asked: list[int] = []
    now = 0.0
    questions = Questions(lambda n: asked.append(n) or n, most=3, seconds=5, clock=lambda: now)  # type: ignore[func-returns-value]
    assert [questions(1), questions(1), questions(2)] == [1, 1, 2]
    assert asked == [1, 2]
    questions(3)
    with pytest.raises(TooManyQuestionsError):
        questions(4)
    assert questions(3) == 3
    late = Questions(lambda n: n, seconds=5, clock=lambda: now)
    now = 6.0
    with pytest.raises(TooManyQuestionsError):
        late(1)


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        ("1.0", "1.0.1", Step.PATCH),
        ("1.0", "1.1", Step.MINOR),
        ("1.9", "2.0", Step.MAJOR),
        ("0.4.1", "0.5", Step.MAJOR),
        ("0.4.1", "0.4.9", Step.PATCH),
        ("1.0", "1!1.0", Step.MAJOR),
        ("2024.1", "2024.2.1", Step.MINOR),
        ("1.0", "1.0.post1", Step.PATCH),
        ("1.0", "none", Step.MAJOR),
    ],
)
def test_what_of_a_version_changes(old: str, new: str, step: Step) -> None:
    assert step_of(old, new) is step


def test_costs_never_fall_on_the_way() -> None:
    up = costs_of("1.0", ["1.0.1", "1.1", "1.2", "2.0", "2.0.1", "3.0"])
    assert up == sorted(up)
    down = costs_of("2.0", ["1.9", "1.8", "1.0"])
    assert down == sorted(down)
    assert down[1] > up[-1]
