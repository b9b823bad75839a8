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


_WORDS = frozenset({"true", "false", "null"})


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


def _quoted(text: str) -> str:
    """Return how JSON writes a text. The pattern of what is asked has no character that differs."""
    return msgspec.json.encode(text).decode()


def _values(text: str) -> tuple[str, ...]:
    """Return the ways in which JSON writes a value: as a text, or as it is."""
    return (_quoted(text), text) if text in _WORDS or _is_number(text) else (_quoted(text),)


def _is_number(text: str) -> bool:
    try:
        return repr(msgspec.json.decode(text, type=int | float)) == text
    except (msgspec.DecodeError, UnicodeError):
        return False


class LineFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are wanted; None leaves a part open."""

    since: float | None = None
    """Unix time, itself included."""
    level: LogLevel | None = None
    search: str | None = None
    """Text that the line has; letters of ASCII match in both cases."""
    field: str | None = None
    """`NAME=VALUE` of a field that the line was logged with."""
    version: int | None = None

    @property
    def named(self) -> str:
        """What a line with that field has, whatever the value is; empty for any line."""
        if self.field is None:
            return ""
        return f"{_quoted(self.field.partition('=')[0])}: "

    @property
    def fields(self) -> tuple[str, ...]:
        """The texts of which such a line has one; none for any line."""
        if self.field is None:
            return ()
        values = _values(self.field.partition("=")[2])
        return tuple(f"{self.named}{value}{end}" for value in values for end in ",}")

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
            and (self.field is None or any(field in line.text for field in self.fields))
        )


def _folded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").lower()  # of bytes: letters of ASCII alone


EVERY_LINE = LineFilter()
