"""Where an invocation stands in a trace (W3C Trace Context), for what the handler calls itself."""

from __future__ import annotations

import os
from typing import Any

PREFIX = "ca5e3a7e"
"""The platform's `TRACE_PREFIX`."""
_ID = 28
"""Characters of an invocation's id, the last 24 of which are hexadecimal digits."""
_PARENT, _STATE = b"TRACEPARENT", b"TRACESTATE"
"""Variables of the environment by which OpenTelemetry hands a context to a process."""
_VARIABLES: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]
"""What `os.environ` shows. To set one there is also to call setenv(3), which keeps each value that
there ever was, for somebody may still hold it: 0.1 KB of every call for as long as the process
lives. No other reads it, as no program can be started."""


class Trace:
    """Its ids. To go on in the trace elsewhere, send `traceparent` along as a header."""

    __slots__ = ("traceparent", "tracestate")

    def __init__(self, traceparent: str, tracestate: str = "") -> None:
        """Keep both as the headers of these names have them."""
        self.traceparent = traceparent
        self.tracestate = tracestate

    @property
    def trace_id(self) -> str:
        """The trace, 32 hexadecimal digits."""
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        """The invocation's own span in it, 16 hexadecimal digits."""
        return self.traceparent[36:52]


def of(head: dict[str, Any]) -> Trace:
    """Return that of an invocation; one that nothing is said of begins with it, as of its id."""
    parent: str = head.get("trace", "")
    identity: str = head["id"]
    if not parent and len(identity) == _ID:
        parent = f"00-{PREFIX}{identity[4:]}-{identity[-16:]}-01"
    return Trace(parent, head.get("state", ""))


def tell(trace: Trace) -> None:
    """Say so in the environment, as it is between processes."""
    if not trace.traceparent:
        return
    _VARIABLES[_PARENT] = trace.traceparent.encode()
    if trace.tracestate:
        _VARIABLES[_STATE] = trace.tracestate.encode()
    else:
        _VARIABLES.pop(_STATE, None)
