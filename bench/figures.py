"""The arithmetic: percentiles, medians, ratios by round."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

MIN_FOR_P99 = 100
"""With fewer samples a 99th percentile is just the slowest one, and is not given."""


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest sample with `share` of all at or below.

    `share` is within (0, 1]. Raises ValueError without samples or with another share.
    """
    if not samples:
        raise ValueError("no samples: at least one is expected")
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}: more than 0 and at most 1 is expected")
    # rounded first: 0.99 * 100 is a little more than 99 in floating point
    rank = math.ceil(round(share * len(samples), 9))
    return sorted(samples)[rank - 1]


def p99(samples: Sequence[float]) -> float | None:
    """Return the 99th percentile, or None with too few samples to tell."""
    return percentile(samples, 0.99) if len(samples) >= MIN_FOR_P99 else None


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are there, or None if there are none."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def ratio_by_round(
    upper: Mapping[int, float | None], lower: Mapping[int, float | None]
) -> float | None:
    """Return the median over the rounds of `upper / lower`, each taken within one round.

    A round in which one of the two is missing or the lower one is zero does not count.
    """
    ratios: list[float | None] = []
    for number, above in upper.items():
        below = lower.get(number)
        if above is not None and below:
            ratios.append(above / below)
    return median(ratios)


def rotated(items: Sequence[T], by: int) -> list[T]:
    """Return the items beginning with another one, so that no target always comes first."""
    shift = by % len(items) if items else 0
    return [*items[shift:], *items[:shift]]


def interval_of_median(samples: Sequence[float], certainty: float = 0.95) -> tuple[float, float]:
    """Return an interval that holds the median of what the samples are drawn from.

    By order statistics, so for any distribution; all of the samples where they are too few for
    that certainty. Raises ValueError for none.
    """
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    count, outside, left = len(ordered), 0.0, 0
    # As many go at each end as are there by chance with half of what may be missed.
    while left < (count - 1) // 2:
        outside += math.comb(count, left) / 2**count
        if 2 * outside > 1 - certainty:
            break
        left += 1
    left = max(left - 1, 0)
    return ordered[left], ordered[count - 1 - left]


_Z95 = 1.959963984540054
"""Of the normal distribution, for 95 % of it."""


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Wilson's score; all of it if there is nothing."""
    if of == 0:
        return 0.0, 1.0
    share, spread = hits / of, _Z95**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = _Z95 * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
