"""What callers ask for besides an answer: read strictly, refused with what was expected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.delivery.wish import (
    LATER,
    MAX_DELAY,
    NOTHING,
    Wish,
    read_wish,
)
from casemate.model.http import HttpHead
from casemate.model.invocation import Outcome
from casemate.model.path import RefusedError

ASYNC = (b"prefer", b"respond-async")


def head(*headers: tuple[bytes, bytes]) -> HttpHead:
    return HttpHead("POST", "/invoke/t/f", "", headers, "192.0.2.7")


def test_a_call_without_wishes_is_waited_for_unless_its_route_says_otherwise() -> None:
    other = head((b"accept", b"*/*"), (b"x-delay", b"1"))
    assert read_wish(other) is NOTHING
    assert read_wish(other, later=True) is LATER


@pytest.mark.parametrize(
    "value",
    [
        b"respond-async",
        b"Respond-Async",
        b"return=minimal, respond-async; x=y",
        b"wait=5,respond-async",
    ],
)
def test_a_preference_is_found_among_others(value: bytes) -> None:
    assert read_wish(head((b"prefer", value))) == Wish(later=True, preferred=True)
    assert read_wish(head((b"prefer", b"wait=1"), (b"prefer", value))).preferred


@pytest.mark.parametrize(
    "value", [b"", b"respond-asynchronously", b"x=respond-async", b'"respond-async"']
)
def test_what_is_another_preference_is_none_of_ours(value: bytes) -> None:
    assert read_wish(head((b"prefer", value))) == NOTHING


def test_everything_at_once() -> None:
    found = read_wish(
        head(
            ASYNC,
            (b"idempotency-key", b'"order 17"'),
            (b"casemate-delay", b" 2.5 "),
            (b"casemate-priority", b"-9"),
            (b"casemate-key", b"customer:4"),
            (b"casemate-max-age", b"60"),
        )
    )
    assert found == Wish(
        later=True,
        preferred=True,
        idempotency="order 17",
        delay=2.5,
        priority=-9,
        key="customer:4",
        max_age=60.0,
    )


@pytest.mark.parametrize(
    "name", [b"casemate-delay", b"casemate-priority", b"casemate-key", b"casemate-max-age"]
)
def test_what_only_makes_sense_later_needs_that(name: bytes) -> None:
    with pytest.raises(RefusedError, match="respond-async"):
        read_wish(head((name, b"1")))
    read_wish(head((name, b"1")), later=True)
    with pytest.raises(RefusedError, match="more than once"):
        read_wish(head((name, b"1"), (name, b"1")), later=True)


NAMES = st.sampled_from(
    [
        b"prefer",
        b"idempotency-key",
        b"casemate-delay",
        b"casemate-priority",
        b"casemate-key",
        b"casemate-max-age",
    ]
)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=300)), max_size=6), st.booleans())
def test_anything_is_a_wish_or_refused(headers: list[tuple[bytes, bytes]], later: bool) -> None:
    try:
        wish = read_wish(head(*headers), later=later)
    except RefusedError as refused:
        assert (refused.outcome, refused.status) == (Outcome.INVALID, 400)
        assert refused.message.isprintable() and refused.message.isascii()
        assert "expected" in refused.message
        assert len(refused.message) < 400
        return
    assert 0 <= wish.delay <= MAX_DELAY
    assert -9 <= wish.priority <= 9
    assert len(wish.key) <= 255 and wish.key.isascii()
    assert wish.max_age is None or wish.max_age > wish.delay
    if not wish.later:
        assert wish == Wish(idempotency=wish.idempotency)
    assert wish.later or not later
