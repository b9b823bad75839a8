"""Stage 1: raw input to a well-formed request. Sizes were cut by the transport before."""

from __future__ import annotations

from itertools import accumulate

import msgspec

from casemate.decoding import (
    DECODING_ERRORS,
    MAX_DIGITS,
    NUMBER_SHAPES,
    has_long_number,
    has_many_extremes,
)
from casemate.invocation.cloudevents import read_events
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation, RefusedError, Request
from casemate.model.tracing import kept_context
from casemate.seal.ids import new_invocation_id

MAX_DEPTH = 64
"""Levels of arrays and objects in an event."""
_JSON = "application/json"
_JSON_TYPES = ("", _JSON)
_ROUND = bytes.maketrans(b"[]{}", b"()()")
_NO_MARKS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_STEPS = {ord("("): 1, ord(")"): -1}
_LEVELS_AT_ONCE = 4
"""Levels that are taken off from within, all brackets of one at a time."""
_DEEP_BRACKETS = 500_000
"""Brackets that may be left then: no event that means well has as many as deep as that."""
_HUGE = (b"0e000", b"0e+000", b"0" * 300)
"""Of these one is in each number that may be too large or too long, its digits being zeros."""

_decode = msgspec.json.Decoder().decode
_read_structure = msgspec.json.Decoder(msgspec.Raw).decode


def _without_escapes(body: bytes) -> bytes:
    """Return valid JSON in which every quote begins or ends a text."""
    if b"\\" not in body:
        return body
    # A backslash stands in texts only, and belongs to the byte after it.
    return body.replace(b"\\\\", b"").replace(b'\\"', b"")


def _without_texts(body: bytes) -> bytes:
    """Return JSON, all of whose quotes begin or end a text, without the texts."""
    return b"".join(body.split(b'"')[::2])


def _depth_is_bounded(body: bytes) -> bool:
    """Tell whether JSON (known to be valid) nests at most MAX_DEPTH levels.

    Each turn takes away the innermost level, so that the work is bounded by so many passes over
    the brackets alone; a loop over the bytes would hold the event loop for 50 ms each MiB.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return True
    marks = _without_escapes(body).translate(_ROUND, _NO_MARKS)
    # Two quotes side by side are an empty text, or join two: neither changes what is outside.
    brackets = _without_texts(marks.replace(b'""', b""))
    for _ in range(_LEVELS_AT_ONCE):
        brackets = brackets.replace(b"()", b"")
    if len(brackets) > _DEEP_BRACKETS:
        return False
    deepest = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    return deepest <= MAX_DEPTH - _LEVELS_AT_ONCE


def _check_json(body: bytes) -> None:
    """Raise DECODING_ERRORS unless it is JSON in UTF-8, RefusedError for a number that is too long.

    Makes no objects of it, which would take many times its size and time, unless a number in it
    may be out of range.
    """
    body.decode()
    _read_structure(body)
    shapes = body.translate(NUMBER_SHAPES)
    for huge in _HUGE:
        if huge in shapes:
            if has_many_extremes(body):
                raise msgspec.ValidationError("too many numbers with exponents of three digits")
            if has_long_number(body):
                message = f"A number has more than {MAX_DIGITS:,} digits."
                raise RefusedError(Outcome.INVALID, message)
            _decode(body)
            return


def _check_events(raw: RawInvocation) -> None:
    """Raise RefusedError unless the data of every event is JSON of bounded depth."""
    for event in raw.events:
        data = bytes(event.data)
        try:
            _check_json(data)
        except DECODING_ERRORS as error:
            message = "The event's data is not valid JSON (RFC 8259) in UTF-8."
            raise RefusedError(Outcome.INVALID, message) from error
        if not _depth_is_bounded(data):
            message = f"The event's data nests deeper than {MAX_DEPTH} levels."
            raise RefusedError(Outcome.INVALID, message)


def _require_json_type(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in _JSON_TYPES and not media_type.endswith("+json"):
        raise RefusedError(
            Outcome.INVALID,
            "The content type is not JSON; send application/json, or use an HTTP trigger.",
            status=415,
        )


def parse(raw: RawInvocation, *, later: bool = False) -> Request:
    """Return the request. Raises RefusedError naming what is wrong, never quoting it.

    `later` says that it is kept and not answered, which is how several events may come at once.
    """
    if not isinstance(raw, RawInvocation):
        raise TypeError("stage 1 takes a RawInvocation")
    identity = raw.id or new_invocation_id()
    # Of this type and without attributes there are no CloudEvents in it.
    is_json = raw.content_type == _JSON and raw.event is None
    if not raw.events and (not is_json or raw.attributes):
        brought = read_events(raw, later=later)
        if brought:
            # The request's own headers are of its last hop, the event's of where it began.
            trace = raw.trace or kept_context(brought[0].trace)
            raw = msgspec.structs.replace(raw, events=brought, trace=trace)
    if raw.events:
        if not raw.admitted_under:
            _check_events(raw)
        return Request(id=identity, raw=raw, event=b"")
    if raw.event is not None:
        return Request(id=identity, raw=raw, event=msgspec.json.encode(raw.event))
    if not is_json:
        _require_json_type(raw.content_type)
    if not raw.body:
        return Request(id=identity, raw=raw, event=b"null")
    try:
        _check_json(raw.body)
    except DECODING_ERRORS as error:
        message = "The body is not valid JSON (RFC 8259) in UTF-8."
        raise RefusedError(Outcome.INVALID, message) from error
    if not _depth_is_bounded(raw.body):
        raise RefusedError(Outcome.INVALID, f"The body nests deeper than {MAX_DEPTH} levels.")
    return Request(id=identity, raw=raw, event=raw.body)
