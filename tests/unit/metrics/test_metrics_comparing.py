"""Whether a version does worse than another: what is chance, and what is not."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest

from casemate.metrics.comparing import LEAST_CALLS, Verdict, by_chance, compare
from casemate.metrics.figures import Figures, VersionFigures
from casemate.model.invocation import Outcome
from casemate.model.metrics import VersionMetrics


def figures(calls: int, failed: int, seconds: float = 0.003, slow: int = 0) -> VersionFigures:
    found = VersionFigures()
    for number in range(calls):
        outcome = Outcome.HANDLER_ERROR if number < failed else Outcome.OK
        found.ended(outcome, 200, 0.4 if number < slow else seconds)
    return found


def verdict(old: VersionFigures, new: VersionFigures, *, at_end: bool = True) -> Verdict:
    return compare(old.told(1), new.told(2), at_end=at_end).verdict


def test_the_chance_is_that_of_enumeration() -> None:
    for of, other in product(range(7), repeat=2):
        for bad, other_bad in product(range(of + 1), range(other + 1)):
            total, all_bad = of + other, bad + other_bad
            exact = sum(
                math.comb(all_bad, n) * math.comb(total - all_bad, of - n)
                for n in range(bad, min(all_bad, of) + 1)
            ) / math.comb(total, of)
            assert by_chance(bad, of, other_bad, other) == pytest.approx(exact)


def test_large_counts_are_quick_and_finite() -> None:
    for bad in (0, 1, 50_000, 999_999, 1_000_000):
        assert 0.0 <= by_chance(bad, 1_000_000, 100_000, 9_000_000) <= 1.0


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ((180, 0), (20, 0), Verdict.NOT_WORSE),
        ((180, 0), (20, 1), Verdict.NOT_WORSE),  # one of twenty may be chance
        ((180, 0), (20, 3), Verdict.WORSE),
        ((180, 90), (20, 10), Verdict.NOT_WORSE),
        ((180, 90), (20, 0), Verdict.NOT_WORSE),
        ((180, 0), (LEAST_CALLS - 1, 0), Verdict.TOO_FEW),
        ((LEAST_CALLS - 1, 0), (180, 0), Verdict.TOO_FEW),
        ((0, 0), (180, 180), Verdict.TOO_FEW),
        ((100, 0), (5, 5), Verdict.WORSE),  # few, and clear all the same
        ((100_000, 100), (100_000, 150), Verdict.NOT_WORSE),  # sure, and too little to matter
        ((100_000, 100), (100_000, 400), Verdict.WORSE),
    ],
)
def test_failures(old: tuple[int, int], new: tuple[int, int], expected: Verdict) -> None:
    assert verdict(figures(*old), figures(*new)) is expected


def test_durations() -> None:
    old = figures(180, 0)
    assert verdict(old, figures(20, 0, 0.0031)) is Verdict.NOT_WORSE
    assert verdict(old, figures(20, 0, 0.03)) is Verdict.WORSE
    assert verdict(old, figures(20, 0, 0.006)) is Verdict.NOT_WORSE  # less than 5 ms longer
    assert verdict(old, figures(20, 0, slow=1)) is Verdict.NOT_WORSE
    assert verdict(old, figures(20, 0, slow=4)) is Verdict.WORSE
    assert verdict(figures(180, 0, 60.0), figures(20, 0, 90.0)) is Verdict.NOT_WORSE
    assert verdict(figures(180, 0, 0.003), figures(20, 0, 0.0001)) is Verdict.NOT_WORSE


def test_before_the_end_only_what_is_all_but_certain() -> None:
    old = figures(180, 0)
    assert verdict(old, figures(20, 2)) is Verdict.WORSE
    assert verdict(old, figures(20, 2), at_end=False) is Verdict.NOT_WORSE
    assert verdict(old, figures(20, 12), at_end=False) is Verdict.WORSE
    assert verdict(old, figures(3, 1), at_end=False) is Verdict.TOO_FEW


def test_the_reason_is_in_words() -> None:
    worse = compare(figures(180, 0).told(7), figures(20, 12).told(8), at_end=False)
    assert worse.reason == "12 of 20 calls failed, of version 7 0 of 180"
    few = compare(figures(180, 0).told(7), figures(3, 0).told(8), at_end=True)
    assert few.reason == "version 8 had 3 calls, and 20 are needed"
    well = compare(
        VersionMetrics(version=7, calls=20), VersionMetrics(version=8, calls=20), at_end=True
    )
    assert "p95 -, and -" in well.reason


def test_how_often_equal_versions_are_called_worse_is_bounded() -> None:
    chance = random.Random(7)
    wrong = 0
    for _ in range(400):
        old, new = VersionFigures(), VersionFigures()
        for _ in range(150):
            one = new if chance.random() < 0.2 else old
            outcome = Outcome.TIMEOUT if chance.random() < 0.05 else Outcome.OK
            one.ended(outcome, 200, chance.expovariate(1 / 0.02))
        wrong += verdict(old, new) is Verdict.WORSE
    assert wrong <= 40  # two questions at 5 % each


def test_what_counts_as_a_failure() -> None:
    found = VersionFigures()
    for outcome in Outcome:
        found.ended(outcome, 200, 0.0)
    found.ended(Outcome.OK, 503, 0.001)
    found.ended(Outcome.OK, 404, 0.001)
    refused = 5  # invalid, denied, not found, throttled, unavailable
    assert found.calls == len(Outcome) - refused + 2
    assert found.failed == len(Outcome) - refused - 1 + 1
    assert found.run.told().count == 2


def test_versions_are_counted_only_while_they_share() -> None:
    one = Figures("t", "f")
    one.share([1])
    assert one.told().versions == ()
    one.share([1, 2])
    one.versions[2].ended(Outcome.OK, 200, 0.1)
    assert [(v.version, v.calls) for v in one.told().versions] == [(1, 0), (2, 1)]
    one.share([1, 2])  # another trial counts anew
    assert [v.calls for v in one.told().versions] == [0, 0]
