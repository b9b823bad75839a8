"""What is exported is what stands in the records, read by opentelemetry-proto."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from casemate.metrics import Registry, functions
from casemate.metrics.exposition import labels
from casemate.metrics.families import MAX_SAMPLES, Families, Family
from casemate.model.invocation import InvocationRecord, LogLine, Outcome
from casemate.model.metrics import SECONDS, Durations
from casemate.model.tracing import Span, span_of, trace_of
from casemate.monitor.exports import otlp
from casemate.monitor.exports import protobuf as pb
from casemate.monitor.exports.numbers import numbers, read_labels
from casemate.recorder.reading_protocol import Line
from support.otlp import attributes

ID = "inv_01a21a5c499d6d1728d66ddc"


def record(**changes: Any) -> InvocationRecord:
    values: dict[str, Any] = {
        "id": ID,
        "project": "shop",
        "function": "orders",
        "version": 7,
        "trigger": "http",
        "outcome": Outcome.OK,
        "status": 200,
        "started_at": 1_772_409_600.25,
        "queued_ms": 2.0,
        "run_ms": 40.0,
        "cold": True,
        "request_bytes": 10,
        "response_bytes": 20,
        "trace_id": trace_of(ID),
        "span_id": span_of(ID),
    }
    return InvocationRecord(**{**values, **changes})


def line(text: str = "hello", *, sequence: int = 5, **changes: Any) -> Line:
    values: dict[str, Any] = {
        "invocation": ID,
        "project": "shop",
        "function": "orders",
        "version": 7,
        "at": 1_772_409_600.5,
        "level": "warning",
    }
    made = LogLine(**{**values, **changes}, text=text, sequence=sequence)
    return Line(made, 1_772_409_601.0, trace_of(ID), span_of(ID))


def spans(*records: InvocationRecord) -> list[Any]:
    request = ExportTraceServiceRequest.FromString(otlp.traces("node", records))
    return [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]


def lines(*chosen: Line) -> list[Any]:
    request = ExportLogsServiceRequest.FromString(otlp.logs("node", chosen))
    return [s for r in request.resource_logs for scope in r.scope_logs for s in scope.log_records]


def test_an_invocation_is_a_span_with_what_it_used() -> None:
    used = (
        Span(name="queue.send", on="queue jobs", start_ms=3.0, ms=1.5),
        Span(name="delivery", start_ms=-4.0, ms=4.0, ok=False),
    )
    whole, sent, delivered = spans(record(spans=used, parent_id="00f067aa0ba902b7"))
    assert whole.trace_id.hex() == trace_of(ID) and whole.span_id.hex() == span_of(ID)
    assert whole.parent_span_id.hex() == "00f067aa0ba902b7"
    assert (whole.name, whole.kind, whole.status.code) == ("orders", 2, 1)
    assert whole.start_time_unix_nano == 1_772_409_600_250_000_000
    assert whole.end_time_unix_nano - whole.start_time_unix_nano == pytest.approx(42e6, abs=1000)
    told = attributes(whole.attributes)
    assert told["faas.invocation_id"] == ID and told["faas.coldstart"] is True
    assert told["http.response.status_code"] == 200 and told["casemate.queued_ms"] == 2.0
    assert {sent.parent_span_id, delivered.parent_span_id} == {whole.span_id}
    assert len({whole.span_id, sent.span_id, delivered.span_id}) == 3
    assert (sent.name, attributes(sent.attributes)) == ("queue.send", {"casemate.on": "queue jobs"})
    assert delivered.status.code == 2
    assert delivered.end_time_unix_nano == pytest.approx(whole.start_time_unix_nano, abs=1000)
    # Sent again, it is the same: receivers know it by its ids.
    assert otlp.traces("node", [record(spans=used)]) == otlp.traces("node", [record(spans=used)])


def test_functions_are_resources_of_their_own() -> None:
    records = [record(), record(function="cart"), record(project="p2", version=9), record()]
    request = ExportTraceServiceRequest.FromString(otlp.traces("node.example.org", records))
    found = [attributes(each.resource.attributes) for each in request.resource_spans]
    assert found[0] == {
        "service.name": "orders",
        "service.namespace": "shop",
        "service.version": "7",
        "host.name": "node.example.org",
    }
    assert len(found) == 3
    assert [len(r.scope_spans[0].spans) for r in request.resource_spans] == [2, 1, 1]
    assert request.resource_spans[0].scope_spans[0].scope.name == "casemate"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_but_one_is_an_error(outcome: Outcome) -> None:
    [span] = spans(record(outcome=outcome, error_id="err_1", trigger="queue"))
    assert span.status.code == (1 if outcome is Outcome.OK else 2)
    assert span.kind == 5
    assert attributes(span.attributes)["casemate.outcome"] == outcome.value


def test_a_line_is_tied_to_its_trace() -> None:
    [found] = lines(line("h\u00e9llo \u2603\n\x1b[31m", level="error"))
    assert found.body.string_value == "h\u00e9llo \u2603\n\x1b[31m"
    assert (found.severity_number, found.severity_text) == (17, "error")
    assert found.trace_id.hex() == trace_of(ID) and found.span_id.hex() == span_of(ID)
    assert found.time_unix_nano == 1_772_409_600_500_000_000
    assert found.observed_time_unix_nano == 1_772_409_601_000_000_000
    assert attributes(found.attributes) == {"faas.invocation_id": ID, "log.record.uid": "5"}
    [other] = lines(line(level="made up"))
    assert other.severity_number == 0 and other.severity_text == "made up"


@pytest.mark.parametrize("id", ["", "0" * 32, "zz" * 16, "ab", "f" * 33, "\u0661" * 32])
def test_an_id_that_is_none_is_left_out(id: str) -> None:
    made = line()
    [found] = lines(Line(made.line, made.stored_at, id, span_of(ID)))
    assert found.trace_id == b"" and found.span_id == b""
    assert spans(record(trace_id=id)) == []
    [span] = spans(record(parent_id=id))
    assert span.parent_span_id == b""


@pytest.mark.parametrize("at", [math.nan, math.inf, -math.inf, -1e18, 1e300, 0.0])
def test_times_that_cannot_be_are_held_to_those_that_can(at: float) -> None:
    [found] = lines(line(at=at))
    assert 0 <= found.time_unix_nano < 1 << 63
    [span] = spans(record(started_at=at, run_ms=at))
    assert 0 <= span.start_time_unix_nano < 1 << 63 and 0 <= span.end_time_unix_nano < 1 << 63


def test_what_is_not_unicode_is_written_as_escapes() -> None:
    [found] = lines(line("a\udcffb"))
    assert found.body.string_value == "a\\udcffb"


def test_numbers_are_what_the_page_says() -> None:
    registry = Registry()
    figures = registry.of("shop", "orders")
    figures.ran(0.004, 0.3, cold=True)
    figures.outcomes[Outcome.OK] += 3
    out = Families()
    for _ in functions.write(out, [one.told() for one in registry]):
        pass
    families = [each for message in out.messages() for each in message]
    encoded = numbers("node", 1000.0, 2000.0, families)
    request = ExportMetricsServiceRequest.FromString(encoded)
    [resource] = request.resource_metrics
    assert attributes(resource.resource.attributes)["service.name"] == "casemate"
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    calls = found["casemate_invocations_total"].sum
    assert calls.is_monotonic and calls.aggregation_temporality == 2
    [point] = calls.data_points
    assert point.as_double == 3
    assert point.start_time_unix_nano == 1000 * 10**9 and point.time_unix_nano == 2000 * 10**9
    told = {"project": "shop", "function": "orders", "outcome": "ok"}
    assert attributes(point.attributes) == told
    [run] = found["casemate_run_seconds"].histogram.data_points
    assert (run.count, run.sum) == (1, pytest.approx(0.3))
    assert tuple(run.explicit_bounds) == SECONDS
    assert list(run.bucket_counts) == [int(n == SECONDS.index(0.5)) for n in range(15)]
    assert found["casemate_running"].gauge.data_points[0].as_double == 0


def test_labels_are_read_as_they_were_written() -> None:
    hostile = {"a": 'x"y\\z\n', "b": "", "c": '",d="e', "e": "\\n", "f": "}" * 50}
    assert dict(read_labels(labels(hostile))) == hostile
    for broken in ("", "a", 'a="', 'a="b', "=" * 100, 'a="\\'):
        assert len(list(read_labels(broken))) <= 1


def test_parts_are_bounded_whatever_there_is() -> None:
    out = Families()
    out.family("many", "gauge", "m")
    for n in range(5 * MAX_SAMPLES + 3):
        out.sample(f'n="{n}"', n)
    out.family("slow", "histogram", "s")
    for n in range(100):
        out.durations(f'n="{n}"', Durations(counts=(n,) * 15, seconds=1.0))
    out.family("none", "counter", "n")
    messages = list(out.messages())
    assert all(
        sum(len(f.samples) + 15 * len(f.durations) for f in each) <= MAX_SAMPLES + 15
        for each in messages
    )
    parts = [part for each in messages for part in each]
    assert sum(len(part.samples) for part in parts) == 5 * MAX_SAMPLES + 3
    assert sum(len(part.durations) for part in parts) == 100
    assert "none" not in {part.name for part in parts}


def test_an_answer_says_how_many_were_not_taken() -> None:
    partial = ExportLogsPartialSuccess(rejected_log_records=3, error_message="too old")
    answer = ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    assert otlp.rejected(answer) == (3, "too old")
    assert otlp.rejected(b"") == (0, "")
    for cut in range(len(answer)):
        otlp.rejected(answer[:cut])  # is no error
    huge = ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(rejected_log_records=-1)
    )
    assert otlp.rejected(huge.SerializeToString())[0] == 0


def test_rubbish_ends_in_a_named_error_or_in_fields() -> None:
    draw = random.Random(7)
    for _ in range(3000):
        data = draw.randbytes(draw.randrange(40))
        try:
            found = list(pb.fields(data))
        except pb.MalformedError:
            continue
        assert len(found) <= len(data)


def test_a_family_of_another_kind_is_none() -> None:
    with pytest.raises(ValueError, match="summary"):
        Families().family("x", "summary", "t")
    assert Family("x", "gauge", "t").samples == ()
