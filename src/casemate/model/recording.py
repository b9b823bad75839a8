"""What is kept of an invocation so that it can be looked at, and done again."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.model.invocation import Outcome


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One thing that the function asked for, or was answered, in their order."""

    asked: bool
    """True: by the function. False: the answer to it, which has the same number in its head."""
    head: bytes
    """As JSON."""
    content: bytes = b""


class RecordingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Which invocation was recorded, and why. Nothing of what was in it."""

    id: str
    """That of the invocation."""
    project: str
    function: str
    version: int
    trigger: str
    outcome: Outcome
    error_id: str = ""
    at: float
    """When the invocation came."""
    expires_at: float
    size: int
    """Bytes of what is kept."""
    cut: bool = False
    """Whether something was left out, since it was too much."""


class Came(StrEnum):
    """How an event came to an invocation, and so what is kept of it."""

    NOW = "now"
    """Its caller waits: the payload of a call, or a request to a route."""
    KEPT = "kept"
    """By an inbox, which has one event with its attributes."""
    BATCH = "batch"
    """By an inbox, which has an array of such events."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What went into an invocation and came out of it, without values of secrets."""

    event: bytes
    """A payload or a request; what came by an inbox as an instance is handed it (`came`)."""
    came: Came = Came.NOW
    frames: tuple[Frame, ...] = ()
    reply: bytes = b""
    held: bytes = b""
    """What the function's own frames held when it raised, by name and kind: text."""


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording as it is shown."""

    summary: RecordingSummary
    content: Content


class ErrorSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What the frames of a function held when its handler raised, masked."""

    id: str
    """That of the error."""
    invocation: str
    project: str
    function: str
    version: int
    at: float
    """When the invocation came."""
    values: str
    """A line for each frame, the innermost first, and for each name in it."""
