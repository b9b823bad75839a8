"""What the sink guard in an instance tells becomes a record for the owner.

It was written in the function's process, so it is worth what a log line of the function is: it is
shown, never acted on.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from casemate.guard.shapes import MAX_TEXT
from casemate.model.denial import DenialKind, denied_at
from casemate.model.facts import Actor, Fact, FunctionPlace, ShapesMet
from casemate.model.function import GuardMode
from casemate.model.path import Admitted
from casemate.sandbox.frames import GuardHead, ShapesHead
from casemate.sandbox.guard_watch import OnGuard

_MAX_SHOWN = 200
_MAX_DECODINGS = 6


def recorder(admitted: Admitted, happened: Callable[[Fact], None]) -> OnGuard:
    """Return what takes the guard's frames of one invocation and tells them by `happened`."""

    def record(head: GuardHead | ShapesHead) -> None:
        version, request = admitted.version, admitted.request
        if isinstance(head, ShapesHead):
            happened(
                ShapesMet(
                    at=time.time(),
                    project=version.project,
                    function=version.function,
                    version=version.number,
                    invocation=request.id,
                    met=tuple(map(_plain_shape, head.met)),
                    refused=tuple(map(_plain_shape, head.refused)),
                )
            )
            return
        happened(
            denied_at(
                FunctionPlace(version.project, version.function, version.number, request.id),
                at=time.time(),
                kind=DenialKind.INJECTION,
                by=Actor(admitted.principal.text, request.raw.remote_address),
                action=f"guard:{_plain(head.sink)}",
                reason=_reason(head, version.function),
                resource=_plain(head.place),
            )
        )

    return record


def _reason(head: GuardHead, function: str) -> str:
    """Say what happened, what to write instead, and what to write if it was a false alarm."""
    decoded = ""
    if head.decoding:
        decoded = ", decoded from " + ", then ".join(map(_plain, head.decoding[:_MAX_DECODINGS]))
    source = "the event" if head.source == "event" else _plain(head.source)
    let_through = head.mode == GuardMode.REPORT.value
    passed = "Let through by an exception of the manifest. " if let_through else ""
    exception = (
        f'[[function.{function}.guard]] sink = "{_plain(head.sink)}", '
        f'location = "{_plain(head.location)}", reason = "..."'
    )
    return (
        f"{passed}{_plain(head.pointer) or 'The whole'} of {source}{decoded} "
        f"{_plain(head.changed)}. Fix: {_plain(head.fix, 400)}. "
        f"If this is a false alarm: {exception}"
    )


def _plain_shape(text: str) -> str:
    return _plain(text, MAX_TEXT)


def _plain(text: str, most: int = _MAX_SHOWN) -> str:
    """Return text on one line, of bounded length."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return line if len(line) <= most else line[: most - 1] + "…"
