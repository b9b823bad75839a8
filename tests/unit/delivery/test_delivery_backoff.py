"""How long an event waits before it is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casemate.delivery.backoff import refusal_pause, retry_pause
from casemate.model.function import Delivery

DELIVERIES = st.builds(
    Delivery,
    backoff=st.floats(0.01, 3600.0),
    backoff_most=st.floats(0.01, 86_400.0),
)
DRAWS = st.floats(0.0, 1.0, exclude_max=True)


@given(DELIVERIES, st.integers(-1, 10_000), DRAWS)
def test_a_pause_is_in_the_upper_half_of_its_bound(
    delivery: Delivery, attempt: int, draw: float
) -> None:
    pause = retry_pause(delivery, attempt, draw)
    doubled = delivery.backoff * 2.0 ** min(max(attempt, 1) - 1, 60)
    bound = min(doubled, delivery.backoff_most)
    assert bound / 2 <= pause <= bound


@given(DELIVERIES, st.integers(1, 100), DRAWS)
def test_pauses_never_get_shorter(delivery: Delivery, attempt: int, draw: float) -> None:
    assert retry_pause(delivery, attempt, draw) <= retry_pause(delivery, attempt + 1, draw)


def test_the_second_attempt_waits_for_the_back_off_of_the_manifest() -> None:
    delivery = Delivery(backoff=1.0, backoff_most=300.0)
    assert retry_pause(delivery, 1, 0.0) == 0.5
    assert retry_pause(delivery, 2, 0.5) == 1.5
    assert retry_pause(delivery, 12, 0.0) == 150.0


@given(st.integers(1, 10_000), st.none() | st.integers(1, 60))
def test_a_refusal_is_asked_again_soon_and_within_what_it_said(
    refusals: int, retry_after: int | None
) -> None:
    pause = refusal_pause(refusals, retry_after)
    assert 0.02 <= pause <= min(5, retry_after or 5)
    assert pause <= refusal_pause(refusals + 1, retry_after)
