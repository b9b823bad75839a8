"""Events of ours, and answers of functions, as CloudEvents in the JSON format."""

from __future__ import annotations

import base64
import re
import time
from datetime import UTC, datetime

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.invocation.cloudevents.attributes import SPEC_VERSION
from casemate.invocation.cloudevents.modes import STRUCTURED, media_type_of
from casemate.model.event import Event
from casemate.model.http import HttpResponse
from casemate.model.tracing import kept_context

ANSWER_TYPE = "casemate.function.answered"

_encode = msgspec.json.Encoder().encode
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]")
_MAX_NAME = 20
"""Characters of an extension attribute's name, at most (section 3.1 of the specification)."""


def structured(event: Event) -> bytes:
    """Return an event as one JSON object; what its detail has of plain values are extensions."""
    known = ("id", "source", "specversion", "type", "subject", "time", "data", "datacontenttype")
    fields: dict[str, object] = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": timestamp(event.time),
        "datacontenttype": "application/json",
    }
    if event.subject:
        fields["subject"] = event.subject
    trace = kept_context(event.trace)
    if trace is not None:
        fields["traceparent"] = trace.text
        if trace.state:
            fields["tracestate"] = trace.state
    for name, value in event.detail.items():
        short = _NOT_IN_NAMES.sub("", name.lower())[:_MAX_NAME]
        if short and short not in known and isinstance(value, (str, bool, int)) and value != "":
            fields.setdefault(short, value)
    fields["data"] = event.data
    return _encode(fields)


def answered(response: HttpResponse, source: str) -> HttpResponse:
    """Return a function's answer as a CloudEvent. One that is an error, or streamed, stays."""
    if not 200 <= response.status < 300 or not isinstance(response.body, bytes):
        return response
    headers = dict(response.headers)
    fields: dict[str, object] = {
        "specversion": SPEC_VERSION,
        "id": headers.get(b"x-request-id", b"").decode("latin-1"),
        "source": source,
        "type": ANSWER_TYPE,
        "time": timestamp(time.time()),
    }
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    if not fields["id"] or media_type_of(content_type) == STRUCTURED:
        return response
    if content_type:
        fields["datacontenttype"] = content_type
    fields.update(_data(response.body, content_type))
    kept = tuple(
        (n, v) for n, v in response.headers if n not in (b"content-type", b"content-length")
    )
    response.headers = (*kept, (b"content-type", STRUCTURED.encode()))
    response.body = _encode(fields)
    response.status = 200
    return response


def timestamp(moment: float) -> str:
    """Return a Unix time as RFC 3339 writes it, in UTC, to the microsecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _data(body: bytes, content_type: str) -> dict[str, object]:
    media_type = media_type_of(content_type)
    try:
        if not body:
            return {}
        if media_type == "application/json" or media_type.endswith("+json"):
            msgspec.json.decode(body)
            return {"data": msgspec.Raw(body)}
        if media_type.startswith("text/"):
            return {"data": body.decode()}
    except DECODING_ERRORS:
        pass  # what is not what its type says goes as the bytes it is
    return {"data_base64": base64.b64encode(body).decode()}
