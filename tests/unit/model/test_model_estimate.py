"""Estimates from samples: their error is as often too small as it says, and hardly more."""

from __future__ import annotations

import random
from statistics import mean as average
from statistics import stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.model.estimate import Batches, Estimate, mean, ratio


def of(values: list[int]) -> Estimate:
    found = mean(len(values), sum(values), sum(each * each for each in values))
    assert found is not None
    return found


def batches(pairs: list[tuple[int, int]]) -> Batches:
    return Batches(
        len(pairs),
        sum(n for n, _ in pairs),
        sum(us for _, us in pairs),
        sum(n * n for n, _ in pairs),
        sum(n * us for n, us in pairs),
        sum(us * us for _, us in pairs),
    )


def test_nothing_is_told_of_nothing_and_no_error_of_one() -> None:
    assert mean(0, 0, 0) is None
    assert of([7]) == Estimate(1, 7.0)
    assert ratio(batches([])) is None
    assert ratio(batches([(4, 10)])) == Estimate(4, 2.5)


@given(st.lists(st.integers(0, 1 << 24), min_size=2, max_size=200))
def test_sums_say_what_the_values_do(values: list[int]) -> None:
    found = of(values)
    assert found.us_per_request == pytest.approx(average(values), abs=0.001)
    assert found.error_us is not None
    # By Student's t, which lies between that of one degree of freedom and of very many.
    least = 1.95 * stdev(values) / len(values) ** 0.5
    assert least - 0.001 <= found.error_us <= 6.6 * least + 0.001


def test_a_sum_at_its_bound_claims_no_certainty() -> None:
    found = mean(100, 100 * 1000, 5)
    assert found is not None and found.error_us == found.us_per_request == 1000.0


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 8, 64]))
def test_a_full_measurement_is_within_the_error(seed: int, one_in: int) -> None:
    """All of 4,000 calls are measured, and of 200 draws of one in so many 95 % are to hold."""
    chance = random.Random(seed)
    everything = [int(chance.gammavariate(4, 10)) for _ in range(4000)]
    truth = average(everything)
    held = 0
    for _ in range(200):
        found = of([each for each in everything if chance.random() * one_in < 1] or [0])
        held += abs(found.us_per_request - truth) <= (found.error_us or 0.0)
    assert held >= 175


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32))
def test_what_all_batches_took_is_within_the_error(seed: int) -> None:
    """Small batches cost a request more: a mean of their ratios would be off by far."""
    chance = random.Random(seed)
    everything = []
    for _ in range(3000):
        n = chance.randint(1, 60)
        everything.append((n, 300 + 20 * n + int(chance.expovariate(0.01))))
    truth = sum(us for _, us in everything) / sum(n for n, _ in everything)
    held = 0
    for _ in range(200):
        found = ratio(batches([each for each in everything if chance.random() * 16 < 1]))
        assert found is not None and found.error_us is not None
        held += abs(found.us_per_request - truth) <= found.error_us
    assert held >= 175
