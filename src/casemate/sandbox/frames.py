"""What the frames of an instance say, and what came of one invocation.

All of it was written by a function and is believed no further than its types go.
"""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from casemate.decoding import NUMBER_SHAPES
from casemate.guard import acts
from casemate.guard.shapes import MAX_MET, MAX_TEXT
from casemate.model.invocation import Outcome
from casemate.model.metrics import OwnHead, Told


class ErrorHead(msgspec.Struct, frozen=True):
    """The head of an error frame: what the runner tells of an exception."""

    kind: str
    type: str
    message: str
    trace: str


class LogHead(msgspec.Struct, frozen=True):
    """The head of a log frame. `at` is Unix time in seconds, which no line writes as 1e308."""

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
    held: bytes = b""
    """What the function's frames held when it raised, by name and kind."""
    values: bytes = b""
    """The same with values, not masked yet."""
    reusable: bool = False
    """True if the instance can serve another invocation."""
    own: tuple[Told, ...] = ()
    """What the handler measured."""
    guard_us: int | None = None
    """What it says the sink guard's hooks took, in microseconds; None where it was not sampled."""


Shape = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class ShapesHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What reached sinks of an invocation in shapes that its zygote was not told of."""

    met: Annotated[tuple[Shape, ...], msgspec.Meta(max_length=MAX_MET)] = ()
    refused: Annotated[tuple[Shape, ...], msgspec.Meta(max_length=MAX_MET)] = ()


MAX_SHAPES_BYTES = 64 * 1024
_PackageName = Annotated[str, msgspec.Meta(max_length=200)]
_What = Annotated[str, msgspec.Meta(max_length=256)]


class PackageUsed(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a package did in an invocation, and how often."""

    package: _PackageName
    kind: Annotated[str, msgspec.Meta(max_length=32)]
    count: Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]


class PackageDenied(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a package was not let do, and from which line of the function's own code."""

    package: _PackageName
    kind: Annotated[str, msgspec.Meta(max_length=32)]
    what: _What
    place: _What


class PackagesHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The head of a frame that tells of packages: denials one by one, at the end what they did."""

    used: Annotated[tuple[PackageUsed, ...], msgspec.Meta(max_length=acts.MAX_MET)] = ()
    denied: Annotated[tuple[PackageDenied, ...], msgspec.Meta(max_length=1)] = ()


MAX_PACKAGES_BYTES = 32 * 1024


class LoadedHead(msgspec.Struct, frozen=True):
    """The head of a frame that tells which files of dependencies were loaded."""

    files: list[str]


MAX_LINES = 10_000
"""Pieces of output of one invocation: each costs us more than its bytes."""


_BEGIN, _END = b"-----BEGIN ", b"-----END "


class Output:
    """What one invocation wrote, up to a limit: (unix time, level, text)."""

    __slots__ = ("_left", "_looked_at", "_taken", "dropped", "entries", "lines")

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes, in at most MAX_LINES pieces."""
        self._left = limit
        self._taken = 0
        self._looked_at = 0
        self.dropped = 0
        self.entries: list[tuple[float, str, bytes]] = []
        """What was written and not taken yet."""
        self.lines = 0
        """How many lines were made of what was taken."""

    def add(self, at: float, level: str, data: bytes) -> bool:
        """Keep what still fits, count what does not; return whether all of it did."""
        if self._left <= 0 or len(self.entries) + self._taken >= MAX_LINES:
            self.dropped += len(data)
            return False
        whole = len(data) <= self._left
        if not whole:
            self.dropped += len(data) - self._left
            data = data[: self._left]
        self._left -= len(data)
        self.entries.append((at, level, data))
        return whole

    def take(self) -> list[tuple[float, str, bytes]]:
        """Take away what was written up to now in whole lines, while it still writes.

        What is printed without an end of line stays, with all that follows it, and so does a key
        whose end is not there yet: both are looked through in one piece.
        """
        entries = self.entries
        if len(entries) == self._looked_at:
            return []
        whole, unfinished = 0, False
        for number, (_, level, data) in enumerate(entries):
            if level == "stdout":
                unfinished = not data.endswith(b"\n")
            if not unfinished:
                whole = number + 1
        for number in range(whole - 1, -1, -1):
            begin, end = entries[number][2].rfind(_BEGIN), entries[number][2].rfind(_END)
            if begin > end:
                whole = number
            if begin != end:
                break
        taken = entries[:whole]
        del entries[:whole]
        self._taken += whole
        self._looked_at = len(entries)
        return taken


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
decode_measures = msgspec.json.Decoder(OwnHead).decode
decode_loaded = msgspec.json.Decoder(LoadedHead).decode
MAX_MEASURES_BYTES = 8 * 1024
_decode_log = msgspec.json.Decoder(LogHead).decode


def decode_log(head: bytes) -> LogHead:
    """Return what a log frame says. Raises DECODING_ERRORS, also for a time with an exponent.

    To read 1e308 takes a hundred times as long as to read a time, and a call may send thousands.
    """
    if b"0e" in head.translate(NUMBER_SHAPES):
        raise msgspec.ValidationError("the time of a line of output has an exponent")
    return _decode_log(head)


def describe_status(status: int) -> str:
    """Return in words what a status of waitpid(2) means."""
    if os.WIFSIGNALED(status):
        return f"was killed by signal {os.WTERMSIG(status)}"
    return f"exited with code {os.WEXITSTATUS(status)}"
