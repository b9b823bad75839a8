"""What comes of a judgement: the verdict, and how a call is stopped by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .origin import Origin, Span


class Verdict(NamedTuple):
    """That data from outside changed the structure of what an interpreter was given."""

    origin: Origin
    """Which part of which source."""
    changed: str
    """What structure changed, in words without the payload: `ends a string literal`."""
    fix: str
    """What to write instead: `pass it as a parameter: execute("... = ?", (value,))`."""


Judge = Callable[[str, Sequence[Span]], Verdict | None]
"""Takes a text and the parts of it that came from outside, in order and not overlapping (never
none). Returns None if the structure is as the code meant it. What it raises blocks the call."""


class BlockedError(BaseException):
    """The sink guard stopped a call that the event's data would have changed.

    Not an Exception: a handler's `except Exception` must not turn it into success. The record is
    sent before it is raised, and the invocation's outcome is `blocked` whoever catches it.
    """
