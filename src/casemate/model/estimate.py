"""Means that are estimated from samples, with the error that they may have."""

from __future__ import annotations

from math import sqrt

import msgspec

_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160),
    *(2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056),
    *(2.052, 2.048, 2.045, 2.042),
)
"""Student's t for 95 % by degrees of freedom, from 1 on (NIST/SEMATECH e-Handbook, 1.3.6.7.2)."""


class Estimate(msgspec.Struct, frozen=True, omit_defaults=True):
    """Microseconds of processor time that a request took, on average."""

    sampled: int
    """Requests that were measured."""
    us_per_request: float
    error_us: float | None = None
    """How far the true mean may be away, with a confidence of 95 %; none where one sample alone
    tells nothing of that. Few samples that are very unlike each other say less than this."""


def mean(sampled: int, total: int, squares: int) -> Estimate | None:
    """Return the mean of samples by their number, their sum and the sum of their squares."""
    if sampled < 1:
        return None
    average = total / sampled
    if sampled == 1:
        return Estimate(1, round(average, 3))
    # In whole numbers up to here: what is left of nearly equal ones is small.
    spread = sampled * squares - total * total
    if spread < 0:  # a sum that has reached its bound: nothing is known of the error but this
        return Estimate(sampled, round(average, 3), round(average, 3))
    variance = spread / (sampled * (sampled - 1))
    error = _quantile(sampled - 1) * sqrt(variance / sampled)
    return Estimate(sampled, round(average, 3), round(error, 3))


class Batches(msgspec.Struct, frozen=True):
    """Sums over sampled batches, of how many requests each was and how long it took."""

    number: int
    requests: int
    us: int
    requests_squares: int
    products: int
    """Of requests and microseconds of each."""
    us_squares: int


def ratio(of: Batches) -> Estimate | None:
    """Return the time of all sampled batches by their requests, with the ratio's own error.

    What a batch takes goes with how many it is, so the mean of their ratios would count small ones
    too much (Cochran, Sampling Techniques, 3rd edition, 6.4).
    """
    if of.number < 1 or of.requests < 1:
        return None
    found = of.us / of.requests
    if of.number == 1:
        return Estimate(of.requests, round(found, 3))
    left = of.us_squares - 2 * found * of.products + found * found * of.requests_squares
    variance = max(0.0, left) / (of.number - 1)
    error = _quantile(of.number - 1) * sqrt(variance * of.number) / of.requests
    return Estimate(of.requests, round(found, 3), round(error, 3))


def _quantile(freedom: int) -> float:
    return _T[freedom - 1] if freedom <= len(_T) else 1.96 + 2.5 / freedom
