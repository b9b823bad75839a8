"""What the frames of an instance say, and what came of one invocation.

All of it was written by a function and is believed no further than its types go.
"""

from __future__ import annotations

import os

import msgspec

from casemate.model.invocation import Outcome


class ErrorHead(msgspec.Struct, frozen=True):
    """The head of an error frame: what the runner tells of an exception."""

    kind: str
    type: str
    message: str
    trace: str


class LogHead(msgspec.Struct, frozen=True):
    """The head of a log frame. `at` is Unix time in seconds."""

    level: str
    at: float


class GuardHead(msgspec.Struct, frozen=True):
    """The head of a guard frame: what the sink guard in the instance stopped, or only reports."""

    sink: str
    mode: str
    place: str
    """File and line in the function's own code."""
    location: str
    """As an exception in the manifest would name it."""
    source: str
    """`event`, or what the data was read from."""
    pointer: str
    """JSON pointer to the data in it."""
    decoding: list[str]
    changed: str
    """What structure the data changed."""
    fix: str


class Reply(msgspec.Struct, frozen=True):
    """How one invocation ended in its instance."""

    outcome: Outcome
    head: bytes = b""
    """Head of the answer frame, not yet trusted; empty unless the outcome is OK."""
    body: bytes = b""
    type: str = ""
    message: str = ""
    trace: str = ""
    reusable: bool = False
    """True if the instance can serve another invocation."""


MAX_LINES = 10_000
"""Pieces of output of one invocation: each costs us more than its bytes."""


class Output:
    """What one invocation wrote, up to a limit: (unix time, level, text)."""

    __slots__ = ("_left", "dropped", "entries")

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes, in at most MAX_LINES pieces."""
        self._left = limit
        self.dropped = 0
        self.entries: list[tuple[float, str, bytes]] = []

    def add(self, at: float, level: str, data: bytes) -> bool:
        """Keep what still fits, count what does not; return whether all of it did."""
        if self._left <= 0 or len(self.entries) >= MAX_LINES:
            self.dropped += len(data)
            return False
        whole = len(data) <= self._left
        if not whole:
            self.dropped += len(data) - self._left
            data = data[: self._left]
        self._left -= len(data)
        self.entries.append((at, level, data))
        return whole


ERROR_KINDS = {
    "handler-error": Outcome.HANDLER_ERROR,
    "blocked": Outcome.BLOCKED,
    "bad-result": Outcome.BAD_RESULT,
    "response-too-large": Outcome.RESPONSE_TOO_LARGE,
    "exposed": Outcome.EXPOSED,
    "init-error": Outcome.INIT_ERROR,
}
"""What the kinds of an error frame mean for its invocation."""

decode_error = msgspec.json.Decoder(ErrorHead).decode
decode_log = msgspec.json.Decoder(LogHead).decode


def describe_status(status: int) -> str:
    """Return in words what a status of waitpid(2) means."""
    if os.WIFSIGNALED(status):
        return f"was killed by signal {os.WTERMSIG(status)}"
    return f"exited with code {os.WEXITSTATUS(status)}"
