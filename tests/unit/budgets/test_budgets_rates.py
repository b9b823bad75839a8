"""Buckets of tokens, and what answers say of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casemate.budgets import rates
from casemate.budgets.rates import MOST_TOLD_APART, Rate
from casemate.model.budget import Quota, QuotaEach


def rate(calls: int = 3, seconds: int = 60) -> Rate:
    return Rate(Quota(project="t", name="q", calls=calls, seconds=seconds, each=QuotaEach.ADDRESS))


def test_so_many_at_once_and_then_as_time_passes() -> None:
    bucket = rate()
    for _ in range(3):
        assert bucket.left("a", 100.0) >= 1.0
        bucket.take("a", 100.0)
    assert (left := bucket.left("a", 100.0)) < 1.0 and bucket.until_more(left) == 20
    assert bucket.left("b", 100.0) == 3.0
    assert bucket.left("a", 119.0) < 1.0 <= bucket.left("a", 120.0)
    assert bucket.left("a", 1e9) == 3.0


@given(st.lists(st.floats(0.0, 5.0), max_size=100))
def test_never_more_than_the_bucket_and_what_flowed_in(pauses: list[float]) -> None:
    bucket, now, taken = rate(5, 10), 0.0, 0
    for pause in pauses:
        now += pause
        if bucket.left("a", now) >= 1.0:
            bucket.take("a", now)
            taken += 1
        assert taken <= 5 + now * 0.5 + 1e-6


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = rate()
    for _ in range(3):
        bucket.take("a", 100.0)
    assert bucket.left("a", 0.0) < 1.0


def test_ten_thousand_addresses_and_more_take_bounded_room() -> None:
    bucket = rate()
    for n in range(MOST_TOLD_APART + 500):
        bucket.take(str(n), 1.0)
    assert len(bucket) == MOST_TOLD_APART


def test_fields_are_those_of_the_draft() -> None:
    bucket = rate()
    bucket.take("a", 0.0)
    assert bucket.fields(bucket.left("a", 0.0)) == (
        (b"ratelimit-policy", b'"q";q=3;w=60'),
        (b"ratelimit", b'"q";r=2;t=20'),
    )
    bucket.take("a", 5.0)
    left = bucket.left("a", 5.0)
    assert bucket.fields(left)[1] == (b"ratelimit", b'"q";r=1;t=15'), "until there is one more"


@given(st.integers(1, 50), st.integers(1, 86_400), st.integers(1, 9), st.floats(0.0, 1e5))
def test_after_so_many_seconds_there_is_one_call_more_and_not_a_second_before(
    calls: int, seconds: int, nodes: int, at: float
) -> None:
    bucket = rate(calls, seconds)
    bucket.divide(nodes)
    while bucket.take("a", at) >= 0.0:
        pass
    left = bucket.left("a", at)
    text = dict(bucket.fields(left))[b"ratelimit"]
    again = bucket.until_more(left)
    assert text == b'"q";r=0;t=%d' % again
    assert bucket.left("a", at + again) > 1.0 - 1e-6
    assert again == 1 or bucket.left("a", at + again - 1) < 1.0 + 1e-6
    assert rates.Fields is not None
