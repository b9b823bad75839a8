"""The numbers of a node as OTLP 1 has them: those of `GET /metrics`, under the same names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from casemate.metrics.families import Family
from casemate.model.metrics import SECONDS
from casemate.monitor.exports import protobuf as pb
from casemate.monitor.exports.otlp import SCOPE, attribute, nanoseconds, resource

_CUMULATIVE = 2


def numbers(node: str, started_at: float, at: float, families: Sequence[Family]) -> bytes:
    """Return the request that exports families of numbers as they were at a time."""
    span = pb.fixed64(2, nanoseconds(started_at)) + pb.fixed64(3, nanoseconds(at))
    metrics = (pb.message(2, _metric(family, span)) for family in families)
    return pb.message(1, (resource(node, None), pb.message(2, (SCOPE, *metrics))))


def _metric(family: Family, span: bytes) -> Iterator[bytes]:
    yield pb.text(1, family.name)
    yield pb.text(2, family.text)
    if family.kind == "histogram":
        points = [
            pb.message(
                1,
                (
                    span,
                    pb.fixed64(4, sum(counts)),
                    pb.double(5, seconds),
                    pb.packed_fixed64(6, counts),
                    pb.packed_double(7, SECONDS),
                    *_attributes(9, labels),
                ),
            )
            for labels, counts, seconds in family.durations
        ]
        yield pb.message(9, (*points, pb.number(2, _CUMULATIVE)))
        return
    points = [
        pb.message(1, (span, pb.double(4, value), *_attributes(7, labels)))
        for labels, value in family.samples
    ]
    if family.kind == "counter":
        yield pb.message(7, (*points, pb.number(2, _CUMULATIVE), pb.number(3, 1)))
    else:
        yield pb.message(5, points)


def _attributes(field: int, labels: str) -> Iterator[bytes]:
    for name, value in read_labels(labels):
        yield attribute(field, name, value)


def read_labels(text: str) -> Iterator[tuple[str, str]]:
    """Yield what `casemate.metrics.exposition.labels` wrote."""
    at = 0
    while (begin := text.find('="', at)) >= 0:
        name, at = text[at:begin], begin + 2
        value: list[str] = []
        while at < len(text) and text[at] != '"':
            if text[at] == "\\" and at + 1 < len(text):
                at += 1
                value.append("\n" if text[at] == "n" else text[at])
            else:
                value.append(text[at])
            at += 1
        yield name, "".join(value)
        at += 2  # the quote and the comma
