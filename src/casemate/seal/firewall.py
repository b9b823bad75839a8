"""The gateway's own look at an answer, whatever the instance said of it.

What an invocation met, only its process knows, and looks for that before it answers. What is a
trace of the sandbox by its looks is looked for here as well: code in a function's process can keep
the process from looking.
"""

from __future__ import annotations

import msgspec

from casemate.guard.leaks.judgement import Exposure, described
from casemate.guard.leaks.kinds import EVERY
from casemate.guard.leaks.shapes import Shape, page_in, suspicious, trace_in
from casemate.model.invocation import Outcome
from casemate.model.path import Failure, Finished

MAX_LOOKED = 1 << 20
"""Bytes of an answer's body that the gateway looks at, half of them at its end. The instance has
looked at all of it."""


def inside(finished: Finished) -> Finished:
    """Return the end of an invocation; an answer that shows the inside is an error."""
    head, body = finished.head, finished.body
    if len(body) > MAX_LOOKED:
        body = body[: MAX_LOOKED // 2] + b"\n" + body[-(MAX_LOOKED // 2) :]
    shape = _seen(head, body)
    if shape is None or _let_through(finished, shape.kind):
        return finished
    told = described(Exposure(shape.kind, shape.text), head, finished.body)
    failure = Failure(type=told["type"], message=told["message"], trace=told["trace"])
    return msgspec.structs.replace(finished, outcome=Outcome.EXPOSED, failure=failure)


def _seen(head: bytes, body: bytes) -> Shape | None:
    found = trace_in(body) if suspicious(body) else None
    if head == b"{}":
        return found
    if found is None and suspicious(head):
        found = trace_in(head)
    if found is None and b"html" in head:
        found = page_in(body)
    return found


def _let_through(finished: Finished, kind: str) -> bool:
    if finished.version is None:
        return False
    raw = finished.request.raw if finished.request is not None else finished.raw
    shown = finished.version.spec.shown(raw.event if raw is not None else None)
    return kind in shown or EVERY in shown
