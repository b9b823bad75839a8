"""The search finds what a slow and simple one finds, in time that grows with the text alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.vault.pattern_search import (
    Pattern,
    PatternSearch,
    SearchTooLongError,
    smallest_period,
)

FEW_LETTERS = st.text("ab", min_size=1, max_size=12).map(str.encode)


def searched(*texts: bytes) -> PatternSearch:
    return PatternSearch(Pattern(text, 0, 0, "n") for text in dict.fromkeys(texts))


def covered(search: PatternSearch, text: bytes) -> set[int]:
    return {i for hit in search.hits(text) for i in range(hit.start, hit.end)}


def covered_simply(texts: list[bytes], text: bytes) -> set[int]:
    found = set()
    for each in texts:
        for at in range(len(text)):
            if text.startswith(each, at):
                found |= set(range(at, at + len(each)))
    return found


@given(st.lists(FEW_LETTERS, min_size=1, max_size=5), st.text("ab", max_size=120))
@settings(max_examples=400)
def test_it_covers_exactly_what_all_occurrences_cover(texts, text) -> None:
    assert covered(searched(*texts), text.encode()) == covered_simply(texts, text.encode())


@given(FEW_LETTERS, st.integers(1, 30), st.binary(max_size=3), FEW_LETTERS)
@settings(max_examples=300)
def test_patterns_that_repeat_are_covered_exactly(unit, times, rest, around) -> None:
    pattern = unit * times + rest
    text = around + pattern * 3 + unit * times * 2 + rest + around + pattern[1:] + pattern
    assert covered(searched(pattern), text) == covered_simply([pattern], text)


@given(FEW_LETTERS)
def test_the_smallest_period(text) -> None:
    period = smallest_period(text)
    assert all(text[i] == text[i - period] for i in range(period, len(text)))
    assert not any(text[smaller:] == text[:-smaller] for smaller in range(1, period))


def test_pieces_of_a_long_text_hide_nothing() -> None:
    patterns = [b"0123456789" * 20, b"x" * 64 + b"y", b"secret"]
    for pattern in patterns:
        for at in range(128 * 1024 - 300, 128 * 1024 + 10, 7):
            text = bytearray(b"-" * (300 * 1024))
            text[at : at + len(pattern)] = pattern
            assert [tuple(h) for h in searched(*patterns).hits(bytes(text))] == [
                (at, at + len(pattern), "n")
            ]


HOSTILE = {
    "equal letters": (b"a" * 2000, lambda n: b"a" * n),
    "almost the value": (b"a" * 2000, lambda n: (b"a" * 1999 + b"b") * (n // 2000)),
    "almost a short value": (b"a" * 90, lambda n: (b"a" * 89 + b"b") * (n // 90)),
    "a letter in the middle": (b"a" * 45 + b"b" + b"a" * 45, lambda n: b"a" * n),
    "heads without their ends": (b"k" * 64 + b"end", lambda n: b"k" * n),
    "the value again and again": (b"abcdef", lambda n: b"abcdef" * (n // 6)),
    "the value and a letter": (
        b"a" * 40 + b"b" + b"a" * 40,
        lambda n: (b"a" * 40 + b"b") * (n // 41),
    ),
    "nearly half a period": (
        b"ab" * 30 + b"a" * 31,
        lambda n: (b"ab" * 30 + b"a" * 31) * (n // 91),
    ),
    "one long value": (b"ab" * 32_000, lambda n: b"ab" * (n // 2)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_no_faster_than_the_text(name) -> None:
    value, text_of = HOSTILE[name]
    search = searched(value, value.hex().encode(), value[: max(6, len(value) // 2)])
    search.hits(text_of(200_000))
    taken = []
    for size in (200_000, 800_000, 3_200_000):
        text = text_of(size)
        started = time.thread_time()
        search.hits(text)
        taken.append(time.thread_time() - started)
    assert taken[-1] < 1.0
    # 16 times the text; quadratic would be 256 times.
    assert taken[-1] < 60 * max(taken[0], 0.002), taken


def test_many_patterns_cost_no_more_than_few_where_none_is_found() -> None:
    text = b"The quick brown fox jumps over the lazy dog. " * 20_000
    taken = []
    for count in (20, 4_000):
        search = searched(*(f"{i:06d}-secret-{i * 7919}".encode() for i in range(count)))
        search.hits(b"")
        started = time.thread_time()
        assert search.hits(text) == []
        taken.append(time.thread_time() - started)
    assert taken[1] < 20 * max(taken[0], 0.002), taken


def test_what_takes_too_long_is_given_up() -> None:
    search = searched(*(f"secret{i:06d}".encode() for i in range(100)))
    with pytest.raises(SearchTooLongError, match="not all of them are found"):
        search.hits(b"secret000001" * 1000, deadline=time.thread_time() - 1)
    assert searched().hits(b"anything") == []
