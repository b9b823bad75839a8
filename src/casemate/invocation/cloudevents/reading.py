"""From a request to the events that it brings. Nothing of them is trusted, nothing is guessed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.invocation.cloudevents.attributes import Attributes, check, refusal
from casemate.invocation.cloudevents.modes import Mode, media_type_of, mode_of
from casemate.model.event import Event
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation, RefusedError
from casemate.model.tracing import TraceContext, read_context
from casemate.model.trigger import TriggerKind

MAX_BATCH = 1000
_MAX_ATTRIBUTES = 64
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_batch = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_encode = msgspec.json.Encoder().encode
_NULL = msgspec.Raw(b"null")


def read_events(raw: RawInvocation, *, later: bool = False) -> tuple[Event, ...]:
    """Return the events of a request that brings CloudEvents, none if it brings no such thing.

    A batch is taken only if it is handled `later`: one answer cannot tell of many.
    Raises RefusedError for what is not what it says it is.
    """
    content_type = raw.content_type
    if raw.event is not None:
        headers = raw.event.get("headers")
        content_type = str(headers.get("content-type", "")) if isinstance(headers, dict) else ""
    mode = mode_of(content_type, raw.attributes)
    if mode is Mode.NONE:
        return ()
    if mode is Mode.OTHER:
        raise RefusedError(
            Outcome.INVALID,
            "CloudEvents are taken in JSON: application/cloudevents+json, or "
            "application/cloudevents-batch+json to be handled later.",
            status=415,
        )
    if mode is Mode.BATCH and not later:
        raise RefusedError(
            Outcome.INVALID,
            "A batch of CloudEvents is handled later only; send it with Prefer: respond-async.",
            status=400,
        )
    if mode is Mode.BINARY:
        return (_binary(raw, content_type),)
    try:
        if mode is Mode.STRUCTURED:
            return (_structured(_decode(raw.body), raw, ""),)
        many = _decode_batch(raw.body)
    except DECODING_ERRORS as error:
        expected = "an array of objects" if mode is Mode.BATCH else "an object"
        raise refusal(f"the body is not JSON with {expected}") from error
    if not 1 <= len(many) <= MAX_BATCH:
        raise refusal(f"a batch has 1 to {MAX_BATCH} events, not {len(many)}")
    return tuple(_structured(one, raw, f"event {n}: ") for n, one in enumerate(many, 1))


def _binary(raw: RawInvocation, content_type: str) -> Event:
    attributes: dict[str, object] = {}
    for name, value in raw.attributes[: _MAX_ATTRIBUTES + 1]:
        if name in attributes:
            raise refusal(f"the header ce-{name[:40]} is given more than once")
        attributes[name] = value
    if len(attributes) > _MAX_ATTRIBUTES:
        raise refusal(f"there are more than {_MAX_ATTRIBUTES} ce- headers")
    for name in ("datacontenttype", "data", "data_base64"):
        if name in attributes:
            raise refusal(f"ce-{name} is not a header; the body and its Content-Type say that")
    if content_type:
        attributes["datacontenttype"] = content_type
    found = check(attributes, raw.received_at)
    if not raw.body:
        return _event(raw, found, _NULL)
    if _is_json(content_type):
        return _event(raw, found, msgspec.Raw(raw.body))  # stage 1 checks that it is JSON
    try:
        if media_type_of(content_type).startswith("text/"):
            return _event(raw, found, msgspec.Raw(_encode(raw.body.decode())))
    except UnicodeDecodeError:
        pass  # what is not the text it claims to be is handed over as bytes
    return _encoded(raw, found, base64.b64encode(raw.body))


def _structured(fields: Mapping[str, msgspec.Raw], raw: RawInvocation, where: str) -> Event:
    plain: dict[str, object] = {}
    for name, value in fields.items():
        if name not in ("data", "data_base64"):
            plain[name] = msgspec.json.decode(value)
    found = check(plain, raw.received_at, where)
    if "data_base64" not in fields:
        return _event(raw, found, msgspec.Raw(bytes(fields.get("data", _NULL))))
    if "data" in fields:
        raise refusal(f"{where}there are both data and data_base64")
    try:
        text = msgspec.json.decode(fields["data_base64"], type=str)
        base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error, *DECODING_ERRORS) as error:
        raise refusal(f"{where}data_base64 is not base64 (RFC 4648, section 4)") from error
    return _encoded(raw, found, text.encode())


def _encoded(raw: RawInvocation, found: Attributes, data: bytes) -> Event:
    found.detail["is_base64"] = True
    return _event(raw, found, msgspec.Raw(b'"' + data + b'"'))


def _event(raw: RawInvocation, found: Attributes, data: msgspec.Raw) -> Event:
    is_route = raw.event is not None
    trace = _trace(found)
    return Event(
        id=found.id,
        source=found.source,
        type=found.type,
        time=found.time,
        kind=TriggerKind.HTTP if is_route else TriggerKind.INVOKE,
        subject=found.subject,
        data=data,
        detail={**raw.event, "cloudevent": found.detail} if raw.event is not None else found.detail,
        trace="" if trace is None else trace.kept,
    )


def _trace(found: Attributes) -> TraceContext | None:
    """Return what the extension for distributed tracing says, None if that is nothing valid."""
    extensions = found.detail.get("extensions")
    if not isinstance(extensions, dict) or "traceparent" not in extensions:
        return None
    return read_context(str(extensions["traceparent"]), str(extensions.get("tracestate", "")))


def _is_json(content_type: str) -> bool:
    media_type = media_type_of(content_type)
    return media_type in ("", "application/json") or media_type.endswith("+json")
