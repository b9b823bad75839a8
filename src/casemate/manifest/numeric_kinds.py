"""Kinds of values that are amounts, all of them within bounds."""

from __future__ import annotations

from dataclasses import dataclass

from casemate.manifest.kinds import JsonObject, Plain
from casemate.manifest.problem import described
from casemate.manifest.quantity import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)
from casemate.manifest.rejection import RejectedValueError


@dataclass(frozen=True)
class Whole(Plain):
    """An integer within bounds."""

    low: int
    high: int

    @property
    def expected(self) -> str:
        """Name the bounds."""
        return f"an integer from {self.low} to {self.high}"

    def parse(self, value: object) -> int:
        """Return the integer."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise RejectedValueError(self.expected, described(value))
        if not self.low <= value <= self.high:
            raise RejectedValueError(self.expected, described(value))
        return value

    def schema(self) -> JsonObject:
        """Return type and bounds."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Number(Plain):
    """An integer or a finite float within bounds; the model gets a float."""

    low: float
    high: float

    @property
    def expected(self) -> str:
        """Name the bounds."""
        return f"a number from {self.low:g} to {self.high:g}, without quotes"

    def parse(self, value: object) -> float:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RejectedValueError(self.expected, described(value))
        # Also false for nan and inf, and safe for integers too large for a float.
        if not self.low <= value <= self.high:
            raise RejectedValueError(self.expected, described(value))
        return float(value)

    def schema(self) -> JsonObject:
        """Return type and bounds."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Size:
    """A size such as `"64MB"`; the model gets bytes."""

    low: int
    high: int
    example: int

    @property
    def expected(self) -> str:
        """Name the bounds."""
        return f'a size from {self.bounds}, such as "{format_size(self.example)}"'

    @property
    def bounds(self) -> str:
        """Return both bounds as `"1KB" to "100MB"`."""
        return f'"{format_size(self.low)}" to "{format_size(self.high)}"'

    def parse(self, value: object) -> int:
        """Return the bytes."""
        if not isinstance(value, str):
            raise RejectedValueError(
                f"{self.expected}: in quotes and with its unit", described(value)
            )
        size = parse_size(value)
        if size is None:
            raise RejectedValueError(
                f"{self.expected}: a number and one of KB, MB, GB (1KB is 1024 bytes)",
                described(value),
            )
        if not self.low <= size <= self.high:
            raise RejectedValueError(self.expected, described(value))
        return size

    def render(self, value: object) -> object:
        """Return bytes as a size."""
        return format_size(value) if isinstance(value, int) else value

    def schema(self) -> JsonObject:
        """Return type and pattern; a schema cannot express the bounds of a size."""
        return {"type": "string", "pattern": SIZE_PATTERN}


@dataclass(frozen=True)
class Duration:
    """A time span such as `"10s"`; the model gets seconds."""

    low: float
    high: float
    example: float

    @property
    def expected(self) -> str:
        """Name the bounds."""
        return f'a duration from {self.bounds}, such as "{format_duration(self.example)}"'

    @property
    def bounds(self) -> str:
        """Return both bounds as `"10ms" to "15m"`."""
        return f'"{format_duration(self.low)}" to "{format_duration(self.high)}"'

    def parse(self, value: object) -> float:
        """Return the seconds."""
        if not isinstance(value, str):
            raise RejectedValueError(
                f"{self.expected}: in quotes and with its unit", described(value)
            )
        seconds = parse_duration(value)
        if seconds is None:
            raise RejectedValueError(
                f"{self.expected}: a number and one of ms, s, m, h, d", described(value)
            )
        if not self.low <= seconds <= self.high:
            raise RejectedValueError(self.expected, described(value))
        return seconds

    def render(self, value: object) -> object:
        """Return seconds as a duration."""
        return format_duration(value) if isinstance(value, (int, float)) else value

    def schema(self) -> JsonObject:
        """Return type and pattern; a schema cannot express the bounds of a duration."""
        return {"type": "string", "pattern": DURATION_PATTERN}
