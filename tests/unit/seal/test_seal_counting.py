"""Every end of an invocation is counted once, and its record says where it stands in a trace."""

from __future__ import annotations

import pytest

from casemate.metrics import Registry
from casemate.model.invocation import Outcome
from casemate.model.metrics import Told
from casemate.model.path import Finished
from casemate.model.tracing import Span, TraceContext, span_of
from casemate.seal import Seal
from support.core import MemoryStore, raw, request, version

PARENT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "01", "vendor=1")


def sealed(finished: Finished) -> tuple[Registry, MemoryStore, str]:
    registry, store = Registry(), MemoryStore()
    trace = Seal(store, registry).complete(finished).trace  # type: ignore[arg-type]
    return registry, store, "" if trace is None else trace.kept


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_counted_once(outcome: Outcome) -> None:
    registry, _, _ = sealed(Finished(outcome=outcome, request=request(), head=b"{}", body=b"1"))
    told = registry.of("t", "f").told()
    assert told.calls == 1
    assert told.outcomes == {outcome.value: 1}
    assert told.run.count == 0  # nothing ran


def test_a_call_that_ran_is_counted_with_its_times_and_sizes() -> None:
    registry, _, _ = sealed(
        Finished(
            outcome=Outcome.OK,
            request=request(),
            version=version(),
            head=b"{}",
            body=b'"four"',
            queued=0.25,
            ran=0.02,
            cold=True,
            output=[(1.0, "info", b"abc\n"), (1.0, "info", b"de\n")],
            own=(Told("orders", "", 1, 2.0, 2.0, 2.0),),
        )
    )
    told = registry.of("t", "f").told()
    assert (told.run.count, told.queue.count, told.cold_starts) == (1, 1, 1)
    assert (told.run.seconds, told.queue.seconds) == (0.02, 0.25)
    assert told.response_bytes == 6
    assert (told.log_lines, told.log_bytes) == (2, 5)
    assert told.own["orders"].sum == 2.0


def test_what_is_refused_alike_is_counted_and_not_recorded() -> None:
    registry, store = Registry(), MemoryStore()
    Seal(store, registry).count_alike(version(), Outcome.THROTTLED)  # type: ignore[arg-type]
    assert registry.of("t", "f").told().outcomes == {"throttled": 1}
    assert store.records == []


def test_a_record_begins_a_trace_or_is_part_of_its_caller_s() -> None:
    _, store, trace = sealed(Finished(outcome=Outcome.OK, request=request(), head=b"{}", body=b"1"))
    ((alone, _, _),) = store.records
    # What follows from the id is not made for every call.
    assert (alone.trace_id, alone.span_id, alone.parent_id, trace) == ("", "", "", "")
    finished = Finished(outcome=Outcome.DENIED, raw=raw(trace=PARENT, attempt=3))
    _, store, trace = sealed(finished)
    ((called, _, _),) = store.records
    assert (called.trace_id, called.parent_id) == (PARENT.trace_id, PARENT.parent_id)
    assert called.span_id == span_of(called.id, 3) and called.attempt == 3
    assert trace == f"00-{PARENT.trace_id}-{called.span_id}-01 vendor=1"


def test_a_delivery_is_among_what_it_waited_for() -> None:
    used = Span(name="queue.send", on="queue jobs", start_ms=1.0, ms=1.0)
    finished = Finished(
        outcome=Outcome.DENIED, raw=raw(sent_at=4.5, received_at=5.0), spans=[used], more_spans=2
    )
    _, store, _ = sealed(finished)
    ((record, _, _),) = store.records
    delivery, kept = record.spans
    assert (delivery.name, delivery.start_ms, delivery.ms) == ("delivery", -500.0, 500.0)
    assert (kept, record.more_spans) == (used, 2)
    # Where it stands in a trace follows from its id, as for a call that is waited for.
    assert (record.trace_id, record.span_id, record.attempt) == ("", "", 1)
    # A clock that went back makes no time below zero.
    _, store, _ = sealed(Finished(outcome=Outcome.DENIED, raw=raw(sent_at=9.0, received_at=5.0)))
    assert store.records[0][0].spans[0].ms == 0.0


def test_versions_that_share_calls_are_counted_by_the_calls_that_chance_gave_them() -> None:
    registry, store = Registry(), MemoryStore()
    seal = Seal(store, registry)
    figures = registry.of("t", "f")
    figures.share([1, 2])
    for qualifier in (None, "live", "2", "beta"):
        seal.close(
            Finished(
                outcome=Outcome.CRASHED,
                request=request(qualifier=qualifier),
                version=version(2),
                ran=0.2,
            )
        )
    told = {one.version: (one.calls, one.failed) for one in figures.told().versions}
    assert told == {1: (0, 0), 2: (2, 2)}  # who names a version does not decide about it
