"""What one invocation leaves behind: its outcome, the owner's view of its error, its log."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.model.tracing import Span


class Outcome(StrEnum):
    """How an invocation ended. The order is that of the path."""

    INVALID = "invalid"
    """The request could not be parsed or broke a limit; no code ran."""
    DENIED = "denied"
    """Not authenticated or not allowed; no code ran."""
    NOT_FOUND = "not-found"
    THROTTLED = "throttled"
    """The function's queue was full or the wait too long; no code ran."""
    UNAVAILABLE = "unavailable"
    """The node could not provide an instance; no code ran."""
    INIT_ERROR = "init-error"
    """The handler's module could not be imported."""
    OK = "ok"
    HANDLER_ERROR = "handler-error"
    """The handler raised."""
    BLOCKED = "blocked"
    """The sink guard stopped a call that the event's data would have changed."""
    BAD_RESULT = "bad-result"
    """The handler returned what cannot be sent."""
    EXPOSED = "exposed"
    """The handler's answer told of the inside: a trace, a driver's error, a path."""
    RESPONSE_TOO_LARGE = "response-too-large"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"
    CRASHED = "crashed"
    """The process ended without an answer: exit, signal, closed socket."""
    PROTOCOL_VIOLATION = "protocol-violation"
    """The process wrote something else than an answer to its socket."""
    INTERNAL_ERROR = "internal-error"
    """A fault of ours."""


class InvocationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation, as `casemate logs` shows it. Never holds the event or the answer."""

    id: str
    project: str
    function: str
    version: int
    trigger: str
    """`invoke` or `http`."""
    outcome: Outcome
    status: int
    """HTTP status the caller got."""
    started_at: float
    queued_ms: float
    run_ms: float
    cold: bool
    """True if a zygote had to be started for it."""
    request_bytes: int
    response_bytes: int
    error_id: str | None = None
    attempt: int = 1
    """Which try of an event that is kept it was."""
    trace_id: str = ""
    """W3C trace that it is part of, 32 hexadecimal digits. Empty, as the next one, until it is read
    from where it is kept: it follows from the id then (`casemate.model.tracing`)."""
    span_id: str = ""
    """Its own span in it, 16."""
    parent_id: str = ""
    """The span that it came of; empty where the trace began with it."""
    spans: tuple[Span, ...] = ()
    """What it used of the platform, the first ones; see `casemate trace`."""
    more_spans: int = 0
    """Uses beyond these."""
    caller: str = ""
    """Who called, as `Principal.text`; empty where that is not known."""
    route: str = ""
    """Template of the route that led to it; empty for none."""
    cpu_us: int = 0
    """Microseconds of the CPU that it used, with all that it started, whatever came of it."""
    memory: int = 0
    """Bytes that it could have: its limit."""
    peak: int = 0
    """The most bytes that its process ever held; 0 where the process was used again."""
    uses: int = 0
    """Uses of capabilities."""
    node: str = ""
    """The name of the node that it was on, where several share their state."""


class ErrorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to know of an error, for those with the right to see it."""

    id: str
    invocation: str
    project: str
    function: str
    version: int
    outcome: Outcome
    at: float
    type: str
    """Class of the exception, or the way the process died."""
    message: str
    trace: str
    node: str = ""
    """The name of the node that it was on, where several share their state."""


class RunningInvocation(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation that has an instance and has not ended."""

    id: str
    project: str
    function: str
    version: int
    trigger: str
    started_at: float


class ErrorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of errors shows of each; the trace is in the `ErrorRecord`."""

    id: str
    invocation: str
    project: str
    function: str
    version: int
    outcome: Outcome
    at: float
    type: str
    message: str
    node: str = ""
    """The name of the node that it was on, where several share their state."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line that a function wrote, by print, logging or `context.log`."""

    invocation: str
    project: str
    function: str
    version: int
    at: float
    level: str
    """`stdout` for plain output, otherwise a level of `logging` in lower case; `error` also of the
    line that the node adds when an invocation fails."""
    text: str
    sequence: int = 0
    """Assigned by the store, ascending over the whole node; a place to go on reading from."""
    node: str = ""
    """The name of the node that it was on, where several share their state."""
