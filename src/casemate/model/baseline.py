"""What is usual of a function, as it is shown."""

from __future__ import annotations

from enum import StrEnum

import msgspec

UNUSUAL = "outside of the function's baseline"
"""Why something is denied that is granted. Rules of detection know it by this."""


class Aspect(StrEnum):
    """What a function is known by."""

    CALLER = "caller"
    """Who calls it: a principal's text."""
    TRIGGER = "trigger"
    GRANT = "grant"
    """A grant and the action that is used of it."""
    HOST = "host"
    """Where it connects to: `host:port`."""
    SYSTEM_CALL = "system-call"
    """A notable one that is made, where a manifest has them learned; or one that is denied to
    every function, which is never usual."""
    SHAPE = "shape"
    """Of a statement, a command or a URL that the code puts together, without values."""
    SINK = "sink"
    """One that the sink guard told of. Never usual."""
    DORMANT = "dormant"
    """It was not called for so many days, and is. Never usual."""
    DURATION = "duration"
    """Milliseconds."""
    REQUEST = "request"
    """Bytes of its event."""
    RESPONSE = "response"
    """Bytes of its answer."""


class OnDeviation(StrEnum):
    """What is done about what is not usual."""

    REPORT = "report"
    REFUSE = "refuse"
    """Callers, grants, hosts, shapes and system calls are refused before anything is done; all else
    is reported."""


class BaselineState(StrEnum):
    """How far it is."""

    LEARNING = "learning"
    LOCKED = "locked"


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """What is usual of one aspect."""

    aspect: Aspect
    values: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    """Of a number: the range, as powers of two."""
    left_out: int = 0
    """Values for which there was no room: they are not usual."""


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What is usual of a function."""

    project: str
    function: str
    state: BaselineState
    since: float
    """When learning began."""
    calls: int
    """Calls that were learned from."""
    withheld: int
    """Times that nothing was learned, since something was denied or found meanwhile."""
    locked_at: float | None = None
    locked_by: str = ""
    version: int
    """The newest version that was met."""
    differences: tuple[str, ...] = ()
    """What that version's manifest grants beside the one before (`+`), and what no more (`-`)."""
    usual: tuple[Usual, ...] = ()
