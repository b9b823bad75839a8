"""Which lines of logs are wanted, beside whose they are."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.model.invocation import LogLine

MAX_SEARCH = 200
"""Characters of the text that is searched for."""
MAX_LINES_SEARCHED = 1_000_000
"""How many lines are looked at for those that are wanted: the newest. Where a text of three letters
or more is searched for, only those count that are near one with its parts."""


class LogLevel(StrEnum):
    """The least severity that is wanted. Plain output (`stdout`) counts as `info`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


_BELOW: dict[LogLevel, tuple[str, ...]] = {
    LogLevel.DEBUG: (),
    LogLevel.INFO: ("debug",),
    LogLevel.WARNING: ("debug", "info", "stdout"),
    LogLevel.ERROR: ("debug", "info", "stdout", "warning"),
    LogLevel.CRITICAL: ("debug", "info", "stdout", "warning", "error"),
}


class LineFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are wanted; None leaves a part open."""

    since: float | None = None
    """Unix time, itself included."""
    level: LogLevel | None = None
    search: str | None = None
    """Text that the line has; letters of ASCII match in both cases."""
    version: int | None = None

    @property
    def unwanted_levels(self) -> tuple[str, ...]:
        """Levels below the one that is wanted. One that a function made up is wanted."""
        return () if self.level is None else _BELOW[self.level]

    def wants(self, line: LogLine) -> bool:
        """Tell whether a line is wanted: as the store does, for lines that were read already."""
        return (
            (self.since is None or line.at >= self.since)
            and self.version in (None, line.version)
            and line.level not in self.unwanted_levels
            and (self.search is None or _folded(self.search) in _folded(line.text))
        )


def _folded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").lower()  # of bytes: letters of ASCII alone


EVERY_LINE = LineFilter()
