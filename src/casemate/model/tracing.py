"""Where an invocation stands among all that came of one thing: W3C Trace Context, level 1 and 2.

An invocation whose caller brings no trace begins one. Its ids follow from the invocation's own, so
that nothing has to be drawn or stored for them: the trace is `TRACE_PREFIX` and the digits of the
invocation's id, the span is the last 16 of these digits, changed by the number of the attempt.
"""

from __future__ import annotations

import hashlib
import re
from contextvars import ContextVar

import msgspec

TRACE_PREFIX = "ca5e3a7e"
"""What the ids of traces begin with that began here."""
MAX_SPANS = 64
"""Uses of capabilities that are kept of one invocation; the others are counted."""
MAX_STATE = 512
"""Characters of a `tracestate` that go on; of a longer one nothing does."""
_VERSION = "00"
_SPAN_DIGITS = 16
_DIGITS, _HEXADECIMAL = 24, "0123456789abcdef"
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,256})?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MAX_MEMBERS = 32

AMBIENT: ContextVar[str] = ContextVar("trace", default="")
"""The `TraceContext.kept` of a running function whose use is done: events of it go on there."""


class TraceContext(msgspec.Struct, frozen=True):
    """What a caller says of where its call stands. Checked; see `read_context`."""

    trace_id: str
    parent_id: str
    """The caller's span."""
    flags: str = "01"
    state: str = ""
    """`tracestate`, of vendors that are none of ours: handed on as it is."""

    @property
    def text(self) -> str:
        """As `traceparent` says it."""
        return f"{_VERSION}-{self.trace_id}-{self.parent_id}-{self.flags}"

    @property
    def kept(self) -> str:
        """As it is kept with an event; see `kept_context`."""
        return f"{self.text} {self.state}" if self.state else self.text


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an invocation did or waited for. Never holds what was asked or answered."""

    name: str
    """`queue.send`, `bucket.read`, `delivery`."""
    on: str = ""
    """`queue jobs`, `bucket uploads`."""
    start_ms: float
    """After the invocation came; below 0 for what was before."""
    ms: float
    ok: bool = True


def read_context(parent: str, state: str = "") -> TraceContext | None:
    """Return what the headers say, None if that is nothing or malformed: never an error."""
    if len(parent) > 320:
        return None
    found = _PARENT.fullmatch(parent)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    # A later version may say more than this one; this one does not.
    if version == "ff" or (version == _VERSION and more is not None):
        return None
    if trace == _NO_TRACE or span == _NO_SPAN:
        return None
    # Bits that this version does not know are not handed on.
    known = f"{int(flags, 16) & 3:02x}"
    return TraceContext(trace, span, known, _state(state))


def kept_context(text: str) -> TraceContext | None:
    """Return what was kept with an event, None if that is nothing."""
    parent, _, state = text.partition(" ")
    return read_context(parent, state) if parent else None


def _state(text: str) -> str:
    """Return a `tracestate` that goes on, nothing of a malformed one."""
    if not text or len(text) > MAX_STATE:
        return ""
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > _MAX_MEMBERS or len(keys) < len(members):
        return ""
    return ",".join(members) if all(map(_MEMBER.fullmatch, members)) else ""


def trace_of(invocation: str) -> str:
    """Return the id of the trace that begins with an invocation."""
    return TRACE_PREFIX + _digits(invocation)


def span_of(invocation: str, attempt: int = 1) -> str:
    """Return the id of the span that one attempt at an invocation is."""
    span = _digits(invocation)[-_SPAN_DIGITS:]
    if attempt == 1:
        return span
    return f"{int(span, 16) ^ ((attempt & 0xFFFF) << 48):016x}"


def invocation_of(trace: str) -> str:
    """Return the id that an invocation has if the trace began with it; empty if none can be."""
    return f"inv_{trace[len(TRACE_PREFIX) :]}" if trace.startswith(TRACE_PREFIX) else ""


def text_of(invocation: str, context: TraceContext | None, attempt: int = 1) -> str:
    """Return the text of `handed_on`. Every invocation is told it; what few need is not made."""
    if context is None and attempt == 1:
        digits = _digits(invocation)
        return f"{_VERSION}-{TRACE_PREFIX}{digits}-{digits[-_SPAN_DIGITS:]}-01"
    return handed_on(invocation, context, attempt).text


def handed_on(invocation: str, context: TraceContext | None, attempt: int = 1) -> TraceContext:
    """Return what an invocation says of itself to whatever comes of it."""
    if context is None:
        digits = _digits(invocation)
        span = digits[-_SPAN_DIGITS:] if attempt == 1 else span_of(invocation, attempt)
        return TraceContext(TRACE_PREFIX + digits, span)
    span = span_of(invocation, attempt)
    return TraceContext(context.trace_id, span, context.flags, context.state)


def begins_trace(invocation: str) -> bool:
    """Tell whether the ids of the trace that begins with an invocation are digits of its own."""
    digits = invocation[4:]
    # Not an expression: each event comes by here.
    ours = len(digits) == _DIGITS and not digits.strip(_HEXADECIMAL)
    return ours and not digits.endswith(_NO_SPAN)


def _digits(invocation: str) -> str:
    """Return 24 hexadecimal digits; ids that are not ours are made into such."""
    if begins_trace(invocation):
        return invocation[4:]
    return hashlib.sha256(invocation.encode(errors="backslashreplace")).hexdigest()[:_DIGITS]
