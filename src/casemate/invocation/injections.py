"""What the sink guard in an instance tells becomes a record for the owner.

It was written in the function's process, so it is worth what a log line of the function is: it is
shown, never acted on.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from casemate.model.denial import Denial, DenialKind
from casemate.model.function import GuardMode
from casemate.model.path import Admitted
from casemate.sandbox.frames import GuardHead

_MAX_SHOWN = 200
_MAX_DECODINGS = 6


def recorder(admitted: Admitted, deny: Callable[[Denial], None]) -> Callable[[GuardHead], None]:
    """Return what takes the guard's frames of one invocation and records them with `deny`."""

    def record(head: GuardHead) -> None:
        version = admitted.version
        deny(
            Denial(
                at=time.time(),
                kind=DenialKind.INJECTION,
                principal=admitted.principal.text,
                action=f"guard:{_plain(head.sink)}",
                resource=_plain(head.place),
                reason=_reason(head, version.function),
                project=version.project,
                function=version.function,
                version=version.number,
                invocation=admitted.request.id,
                remote_address=admitted.request.raw.remote_address,
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


def _plain(text: str, most: int = _MAX_SHOWN) -> str:
    """Return text on one line, of bounded length."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return line if len(line) <= most else line[: most - 1] + "…"
