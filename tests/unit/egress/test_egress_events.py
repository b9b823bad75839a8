"""Reports are bounded, and none of what happened is lost but names."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from casemate.egress.events import OTHERS, Reporter, event_now
from casemate.egress.interface import EgressEvent


def denied(host: str, zygote: int = 1) -> EgressEvent:
    return event_now(zygote, host, 443, allowed=False, reason="not granted")


class Sink:
    def __init__(self) -> None:
        self.taken: list[EgressEvent] = []
        self.full = False

    def __call__(self, event: EgressEvent) -> bool:
        if not self.full:
            self.taken.append(event)
        return not self.full


def test_the_first_goes_out_at_once_and_more_of_the_same_are_counted() -> None:
    sink = Sink()
    reporter = Reporter(sink)
    for _ in range(100):
        reporter.report(denied("a.com"))
    assert [event.count for event in sink.taken] == [1]
    reporter.flush()
    assert [event.count for event in sink.taken] == [1, 99]
    reporter.report(denied("a.com"))
    assert [event.count for event in sink.taken] == [1, 99, 1]


def test_a_flood_of_hosts_is_bounded() -> None:
    sink = Sink()
    reporter = Reporter(sink)
    for number in range(10_000):
        reporter.report(denied(f"h{number}.com"))
    reporter.report(denied("other.com", zygote=2))
    assert len(sink.taken) == 65
    reporter.flush()
    assert len(sink.taken) < 400
    assert sum(event.count for event in sink.taken) == 10_001
    assert sink.taken[-1].reason == OTHERS or any(e.reason == OTHERS for e in sink.taken)


def test_uses_of_a_grant_keep_the_grant_whatever_the_host() -> None:
    sink = Sink()
    reporter = Reporter(sink)
    for number in range(1000):
        reporter.report(event_now(1, f"h{number}.com", 443, allowed=True, grant="egress *.com:443"))
    reporter.flush()
    assert {event.grant for event in sink.taken} == {"egress *.com:443"}
    assert sum(event.count for event in sink.taken) == 1000


def test_what_is_not_taken_is_kept() -> None:
    sink = Sink()
    reporter = Reporter(sink)
    sink.full = True
    for _ in range(3):
        reporter.report(denied("a.com"))
    reporter.flush()
    assert sink.taken == []
    sink.full = False
    reporter.flush()
    assert [event.count for event in sink.taken] == [3]


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 500), st.booleans(), st.booleans())))
def test_counts_add_up(steps: list[tuple[int, int, bool, bool]]) -> None:
    sink: Any = Sink()
    reporter = Reporter(sink)
    for zygote, host, full, flush in steps:
        sink.full = full
        reporter.report(denied(f"h{host}.com", zygote))
        if flush:
            reporter.flush()
    sink.full = False
    reporter.flush()
    assert sum(event.count for event in sink.taken) == len(steps)
