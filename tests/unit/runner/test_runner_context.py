"""The handler's context: AWS Lambda's names, our fields, and its log."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from casemate.model.tracing import TRACE_PREFIX, text_of
from casemate.runner.channel import Channel
from casemate.runner.context import Context, Log
from casemate.runner.event import Origin, plain
from casemate.runner.measures import Measures
from casemate.runner.trace import PREFIX, Trace, tell
from casemate.runner.trace import of as trace_of

NOBODY = socket.socket()


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def context_of(
    deadline: float = 0.0, log: Log | None = None, measures: Measures | None = None
) -> Context:
    return Context(
        event=plain({"a": 1}, Origin({"id": "inv_1", "at": 1.0}, "p", "f"))[1],
        request_id="inv_1",
        deadline=deadline,
        project="p",
        function_name="f",
        function_version="7",
        memory_limit=256 * 1024 * 1024,
        log=log or Log(lambda level, text: None),
        channel=Channel(NOBODY),
        measures=measures or Measures(),
        trace=Trace(PARENT, "vendor=1"),
    )


def test_lambda_s_names_are_there() -> None:
    context = context_of()
    assert context.aws_request_id == context.request_id == "inv_1"
    assert context.invoked_function_arn == "arn:aws:lambda:local:000000000000:function:f"
    assert context.log_group_name == "/casemate/p/f"
    assert context.log_stream_name == "[7]"
    assert context.memory_limit_in_mb == 256
    assert (context.function_name, context.function_version) == ("f", "7")


def test_what_is_left_of_the_time() -> None:
    context = context_of(deadline=time.time() + 5)
    assert 4.5 < context.remaining() <= 5
    assert 4500 < context.get_remaining_time_in_millis() <= 5000
    past = context_of(deadline=time.time() - 5)
    assert past.remaining() == 0.0 and past.get_remaining_time_in_millis() == 0


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_each_level_writes_a_line(level: str) -> None:
    lines: list[tuple[str, str]] = []
    log = Log(lambda *line: lines.append(line))  # type: ignore[arg-type]
    getattr(log, level)("a message")
    getattr(log, level)(12)
    assert lines == [(level, "a message"), (level, "12")]


def test_fields_are_appended_as_json() -> None:
    lines: list[tuple[str, str]] = []
    log = Log(lambda *line: lines.append(line))  # type: ignore[arg-type]
    log.info("sold", item="caf\u00e9", n=2, what={1, 2}, at=object)
    [(_, text)] = lines
    assert text.startswith('sold {"item": "caf\u00e9", "n": 2, "what": "{1, 2}"')


def test_what_is_measured_is_added_up() -> None:
    measures = Measures()
    context = context_of(measures=measures)
    context.metric("orders", 2)
    context.metric("orders", 3, unit="")
    assert b'["orders","",2,5.0,2.0,3.0]' in measures.before(b"")
    with pytest.raises(ValueError, match="expected a finite number"):
        context.metric("orders", float("nan"))


def test_it_says_where_it_stands_in_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = context_of().trace
    assert trace.traceparent == PARENT
    assert (trace.trace_id, trace.span_id, trace.tracestate) == (
        PARENT[3:35],
        PARENT[36:52],
        "vendor=1",
    )
    monkeypatch.setenv("TRACEPARENT", "of the call before")
    monkeypatch.setenv("TRACESTATE", "of the call before")
    tell(trace)
    assert (os.environ["TRACEPARENT"], os.environ["TRACESTATE"]) == (PARENT, "vendor=1")
    tell(Trace(PARENT))
    assert "TRACESTATE" not in os.environ


def test_saying_so_costs_no_memory_that_stays() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def tell_of(calls: range) -> None:
        for number in calls:
            tell(Trace(f"00-{number:032x}-{number:016x}-01", f"vendor={number}"))

    tell_of(range(1000))
    before = resident()
    tell_of(range(1000, 101_000))
    assert resident() - before < 2 << 20


def test_a_trace_begins_with_the_invocation_unless_it_is_said() -> None:
    identity = "inv_01a21a5c499d6d1728d66ddc"
    assert PREFIX == TRACE_PREFIX
    assert trace_of({"id": identity}).traceparent == text_of(identity, None)
    said = trace_of({"id": identity, "trace": PARENT, "state": "a=1"})
    assert (said.traceparent, said.tracestate) == (PARENT, "a=1")
    # As while it is rehearsed: then nothing is told.
    assert trace_of({"id": ""}).traceparent == ""


def test_a_context_takes_nothing_else() -> None:
    with pytest.raises(AttributeError):
        context_of().secret = 1  # type: ignore[attr-defined]
