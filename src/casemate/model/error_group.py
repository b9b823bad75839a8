"""Errors that are the same one: by their type and where in the function's own code they came from.

Not by their message, which has values of the event in it, nor by line numbers, which move from one
version to the next: by the text of the innermost line, so that two `raise` of one function are two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from casemate.model.invocation import ErrorRecord

OWN_CODE = "/function/code/"
"""Where the code of a bundle is in its sandbox."""
MAX_FRAMES = 32
MAX_LINE = 200
"""Characters of a line of code that are looked at."""
PARTS = 8
"""Of the time that is looked at, for the trend."""
STILL_SECONDS = 600.0
"""What came so lately is not called gone, however short the time is that is looked at."""
NEW_AMONG_SECONDS = 4 * STILL_SECONDS
"""Time of which what came in the last ten minutes is the newest quarter."""
_FRAME, _LINE, _IN = '  File "', '", line ', ", in "
_CODE = "    "


class Trend(StrEnum):
    """Whether it comes more often than before."""

    NEW = "new"
    """All of it in the newest quarter of the time."""
    RISING = "rising"
    STEADY = "steady"
    FALLING = "falling"
    GONE = "gone"
    """None of it in the newest quarter, nor in the last ten minutes."""


class ErrorGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Errors that are the same one."""

    fingerprint: str
    project: str
    function: str
    type: str
    place: str
    """The innermost frame of the function's own code: `app.py in handler`; empty where none is."""
    line: str
    """What is written in that frame's line, without its indent; empty where it is not known."""
    count: int
    first_at: float
    last_at: float
    versions: tuple[int, ...]
    trend: Trend
    counts: tuple[int, ...]
    """In equal parts of the time that was looked at, the oldest first."""
    latest: str
    """Id of the newest error."""


def own_frames(trace: str) -> tuple[tuple[str, ...], str]:
    """Return the frames of the function's own code, the innermost last, and the line of that one.

    A frame is told as `app.py in handler`, the line as it is written there (its first, if a
    statement has several), or empty where the trace does not have it.
    """
    found, code = [], ""
    lines = trace.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=False):
        if not line.startswith(_FRAME):
            continue
        path, _, rest = line[len(_FRAME) :].rpartition(_LINE)
        name = rest.partition(_IN)[2]
        if path.startswith(OWN_CODE):
            found.append(f"{path[len(OWN_CODE) :]} in {name}"[:512])
            code = below.strip()[:MAX_LINE] if below.startswith(_CODE) else ""
    return tuple(found[-MAX_FRAMES:]), code


def fingerprint(error: ErrorRecord) -> str:
    """Return what is the same of all errors that are the same one."""
    frames, line = own_frames(error.trace)
    parts = (error.project, error.function, error.type, *frames, line)
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:16]


def grouped(errors: Iterable[ErrorRecord], since: float, until: float) -> tuple[ErrorGroup, ...]:
    """Return groups of errors between two times, those that came last first."""
    groups: dict[str, list[ErrorRecord]] = {}
    for error in errors:
        groups.setdefault(fingerprint(error), []).append(error)
    found = [_group(key, same, since, until) for key, same in groups.items()]
    return tuple(sorted(found, key=lambda group: group.last_at, reverse=True))


def _group(key: str, same: list[ErrorRecord], since: float, until: float) -> ErrorGroup:
    newest = max(same, key=lambda error: error.at)
    frames, line = own_frames(newest.trace)
    counts = [0] * PARTS
    for error in same:
        part = int((error.at - since) / max(until - since, 1e-9) * PARTS)
        counts[min(max(part, 0), PARTS - 1)] += 1
    return ErrorGroup(
        fingerprint=key,
        project=newest.project,
        function=newest.function,
        type=newest.type,
        place=frames[-1] if frames else "",
        line=line,
        count=len(same),
        first_at=min(error.at for error in same),
        last_at=newest.at,
        versions=tuple(sorted({error.version for error in same})),
        trend=_trend(counts, until - newest.at),
        counts=tuple(counts),
        latest=newest.id,
    )


def _trend(counts: list[int], age: float) -> Trend:
    quarter, half = sum(counts[-PARTS // 4 :]), PARTS // 2
    before, after = sum(counts[:half]), sum(counts[half:])
    if quarter == sum(counts):
        return Trend.NEW
    if not quarter and age >= STILL_SECONDS:
        return Trend.GONE
    if before + after == 1:
        return Trend.STEADY  # one says of no more than itself
    if after > 2 * before:
        return Trend.RISING
    return Trend.FALLING if before > 2 * after else Trend.STEADY
