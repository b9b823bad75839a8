"""Percentiles, medians and ratios."""

import statistics

import pytest
from bench.figures import median, p99, percentile, ratio_by_round, rotated
from hypothesis import given
from hypothesis import strategies as st

SAMPLES = st.lists(st.floats(0, 1e6), min_size=1, max_size=300)


def test_percentiles_of_one_to_hundred() -> None:
    samples = [float(n) for n in range(100, 0, -1)]
    assert percentile(samples, 0.5) == 50
    assert percentile(samples, 0.99) == 99
    assert percentile(samples, 1.0) == 100


@given(SAMPLES, st.floats(0.01, 1))
def test_percentile_is_the_smallest_sample_with_that_share_below(
    samples: list[float], share: float
) -> None:
    found = percentile(samples, share)
    assert found in samples
    below = [s for s in samples if s < found]
    assert len([s for s in samples if s <= found]) >= share * len(samples) - 1e-6
    assert len(below) < share * len(samples) + 1e-6


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_percentile_refuses_other_shares(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], share)


def test_percentile_refuses_no_samples() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 0.5)


def test_no_p99_of_few_samples() -> None:
    assert p99([1.0] * 99) is None
    assert p99([1.0] * 100) == 1.0


def test_median_leaves_out_what_is_missing() -> None:
    assert median([3.0, None, 1.0, 2.0]) == 2.0
    assert median([None]) is None
    assert median([]) is None


def test_ratio_is_taken_within_rounds() -> None:
    # the machine was twice as slow in round 1: the ratio of the medians would be misled
    ours = {0: 100.0, 1: 50.0, 2: 110.0}
    theirs = {0: 10.0, 1: 5.0, 2: 10.0}
    assert ratio_by_round(ours, theirs) == 10.0


def test_ratio_leaves_out_rounds_without_a_pair() -> None:
    ours: dict[int, float | None] = {0: 100.0, 1: None, 2: 30.0, 3: 7.0}
    theirs: dict[int, float | None] = {0: None, 1: 5.0, 2: 10.0, 3: 0.0}
    assert ratio_by_round(ours, theirs) == 3.0
    assert ratio_by_round({0: 1.0}, {1: 1.0}) is None
    assert ratio_by_round({}, {}) is None


@given(st.dictionaries(st.integers(0, 9), st.floats(0.1, 1e3), min_size=1))
def test_ratio_to_itself_is_one(values: dict[int, float | None]) -> None:
    assert ratio_by_round(values, values) == pytest.approx(1.0)


@given(st.lists(st.integers()), st.integers(0, 50))
def test_rotation_keeps_everything(items: list[int], by: int) -> None:
    found = rotated(items, by)
    assert sorted(found) == sorted(items)
    if items:
        assert found[0] == items[by % len(items)]


@given(SAMPLES)
def test_median_agrees_with_the_standard_library(samples: list[float]) -> None:
    assert median(samples) == statistics.median(samples)
