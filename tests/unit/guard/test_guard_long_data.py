"""Long data within a text that a pattern takes apart: judged as short data is, and in its time."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard import exponential
from casemate.guard.origin import Origin, Span
from casemate.guard.written import taken_apart

PATTERNS = (
    r"(\w+)=([^;]*);",
    r"\{\{([^{}]*)\}\}",
    r"\[(\w+)\](.*?)\[/\1\]",
    r"#(\w+):([^#]*)",
    r"(?:^|;)\s*(\w+)\s*:",
)
DATA = st.lists(
    st.sampled_from(("a", "b=c;", "{{x}}", "[i]y[/i]", "#t:", ";n:", " ", "word", "é", "\n")),
    max_size=8,
)


def _text(values: list[str]) -> tuple[str, list[Span]]:
    text, spans = "k=", []
    for value in values:
        start = len(text)
        text += value
        if value:
            spans.append(Span(start, len(text), Origin("event", "/a"), exact=True))
        text += "; {{v}} [b]w[/b] #n:m k="
    return text, spans


@settings(deadline=None, max_examples=150)
@given(st.lists(DATA, min_size=1, max_size=3), st.integers(1, 40), st.sampled_from(PATTERNS))
def test_long_data_is_judged_as_if_nothing_were_left_out(
    values: list[list[str]], times: int, pattern: str
) -> None:
    text, spans = _text(["".join(value) * times for value in values])
    compiled = re.compile(pattern)
    found = taken_apart.judge(compiled, text, spans)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taken_apart, "_MAX_RUN", 1 << 30)
        assert (taken_apart.judge(compiled, text, spans) is None) == (found is None)


@pytest.mark.parametrize("size", [1, 511, 512, 513, 700, 5000])
def test_parts_of_the_code_are_where_they_are_in_the_text(size: int) -> None:
    text, spans = _text(["." * size, "!" * size])
    flat, cuts = taken_apart._flattened(text, spans)
    assert all(a < b for (a, _), (b, _) in pairwise(cuts))
    pattern = re.compile(r"\{\{v\}\}|k=")
    assert [taken_apart._bounds(m, cuts) for m in pattern.finditer(flat)] == [
        m.span() for m in pattern.finditer(text)
    ]


def test_data_of_signs_makes_no_run_of_letters_that_takes_long() -> None:
    text, spans = _text(["{[=;" * 1900])
    began = time.thread_time()
    assert taken_apart.judge(re.compile(PATTERNS[0]), text, spans) is None
    assert time.thread_time() - began < 0.1


def test_many_groups_in_each_other_are_told_in_a_short_time() -> None:
    began = time.thread_time()
    assert exponential.is_exponential("(?:" * 400 + "a" + ")*" * 400, outside=True)
    assert time.thread_time() - began < 0.1
