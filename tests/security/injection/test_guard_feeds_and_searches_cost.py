"""What a feed or a full-text search brings is looked at in linear time, whatever it is."""

from __future__ import annotations

import time

import pytest

from casemate.guard.markup import feeds
from casemate.guard.origin import Origin, Span
from casemate.guard.sql import searches

SIZE = 100_000
FEEDS = ("<![CDATA[", "]]>", "]]", "<![CDATA[]]", "<", "<a ", "<a on", "= ", "<![CDATA[<a ")
SEARCHES = ('"', '""', '"a', 'a"', '""a', "(", ")", "() ", "OR ", '"a" ', "a:")


def span(start: int, end: int) -> Span:
    return Span(start, end, Origin("event", "/text"), exact=True)


def seconds(judge: object, begin: str, unit: str, end: str, size: int) -> float:
    data = (unit * size)[:size]
    text = begin + data + end
    best = 9.0
    for _ in range(3):
        began = time.process_time()
        judge(text, [span(len(begin), len(begin) + size)])  # type: ignore[operator]
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize("unit", FEEDS)
def test_a_feed(unit: str) -> None:
    for begin, end in (("<rss><d>", "</d>"), ("<rss><d><![CDATA[", "]]></d>")):
        short, long = (seconds(feeds.judge, begin, unit, end, n) for n in (SIZE // 10, SIZE))
        assert long < 30 * short + 0.02
    # The code's own part may be as bad: none of its sections is ended.
    own = "<rss>" + (unit * SIZE)[:SIZE]
    began = time.process_time()
    feeds.judge(own + "x", [span(len(own), len(own) + 1)])
    assert time.process_time() - began < 1


@pytest.mark.parametrize("unit", SEARCHES)
def test_a_search(unit: str) -> None:
    for begin, end in (("owner:ann AND ", ""), ('owner:ann AND "', '"')):
        short, long = (
            seconds(searches.judge_expression, begin, unit, end, n) for n in (SIZE // 10, SIZE)
        )
        assert long < 30 * short + 0.02
