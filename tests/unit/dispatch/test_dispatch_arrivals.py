"""Spares follow the arrival rate, down to none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.dispatch.arrivals import ArrivalRate


def rate_of(*times: float) -> ArrivalRate:
    rate = ArrivalRate()
    for time in times:
        rate.arrived(time)
    return rate


def test_nothing_arrived_nothing_is_kept() -> None:
    rate = ArrivalRate()
    assert rate.rate(1000.0) == 0.0
    assert rate.spares(0.0) == rate.spares(1e9) == 0


def test_one_call_is_worth_one_or_two_spares_for_ten_seconds() -> None:
    rate = rate_of(100.0)
    assert rate.spares(100.0) in (1, 2)
    assert rate.spares(109.9) in (1, 2)
    assert rate.spares(110.1) == 0


@pytest.mark.parametrize("per_second", [1, 10, 100])
def test_a_steady_rate_is_measured(per_second: int) -> None:
    times = [n / per_second for n in range(per_second * 30)]
    assert rate_of(*times).rate(times[-1]) == pytest.approx(per_second, rel=0.15)


def test_spares_grow_with_the_rate_up_to_a_bound() -> None:
    spares = []
    for per_second in (1, 50, 100, 200, 1000, 10_000):
        times = [100 + n / per_second for n in range(per_second * 3)]
        spares.append(rate_of(*times).spares(times[-1]))
    assert spares == sorted(spares)
    assert spares[0] == 2 and spares[-1] == 8


def test_the_rate_decays() -> None:
    rate = rate_of(*(n / 100 for n in range(1000)))
    rates = [rate.rate(10.0 + n) for n in range(60)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.01


@given(st.lists(st.floats(0, 1000), max_size=50), st.floats(0, 2000))
def test_whatever_arrives_the_numbers_are_sane(gaps: list[float], later: float) -> None:
    rate, now = ArrivalRate(), 0.0
    for gap in gaps:
        now += gap
        rate.arrived(now)
        assert rate.last == now
        assert rate.rate(now) > 0
    assert 0 <= rate.rate(now + later) <= max(rate.rate(now), 0)
    assert 0 <= rate.spares(now + later) <= 8
    if later > 10:
        assert rate.spares(now + later) == 0
