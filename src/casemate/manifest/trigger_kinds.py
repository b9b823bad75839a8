"""Kinds of values that only triggers have: times, zones, values of any form, destinations."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import msgspec
from cronsim import CronSim, CronSimError

from casemate.decoding import DECODING_ERRORS
from casemate.manifest.kinds import JsonObject, Plain
from casemate.manifest.problem import described, quoted, suggestion
from casemate.manifest.rejection import RejectedValueError
from casemate.model.function import DestinationKind

MAX_DATA = 64 * 1024
MAX_FILTER_VALUES = 100
MAX_FILTER_TEXT = 256

_CRON_FIELDS = 5
_FIELD_NAMES = ("minute", "hour", "day-of-month", "month", "day-of-week")
_MAX_CRON = 256
_START = datetime(2024, 1, 1, tzinfo=UTC)
"""In a leap year, so that 29 February is found."""


@dataclass(frozen=True)
class Cron(Plain):
    """A cron expression of five fields."""

    expected: str = (
        'five fields (minute, hour, day of the month, month, day of the week) such as "30 4 * * 1"'
    )

    def parse(self, value: object) -> str:
        """Return the expression with single spaces."""
        if not isinstance(value, str):
            raise RejectedValueError(self.expected, described(value))
        fields = value.split()
        if len(fields) != _CRON_FIELDS or len(value) > _MAX_CRON or not value.isascii():
            alias = "; there are no names such as @daily" if value.startswith("@") else ""
            if value.startswith("rate("):
                alias = '; for a fixed interval write every = "5m" in place of cron'
            elif value.startswith("cron("):
                alias = "; without cron(...) around them, and without the year"
            raise RejectedValueError(self.expected + alias, described(value))
        text = " ".join(fields)
        try:
            never = next(CronSim(text, _START), None) is None
        except (CronSimError, AssertionError, TypeError, ValueError) as error:
            wrong = str(error).removeprefix("Bad ")
            a = "an" if wrong == "hour" else "a"
            field = f", with {a} {wrong} that exists" if wrong in _FIELD_NAMES else ""
            raise RejectedValueError(f"{self.expected}{field}", described(value)) from error
        except RecursionError as error:
            raise RejectedValueError(self.expected, described(value)) from error
        if never:
            raise RejectedValueError(
                "times that there are", f"{described(value)}, which no day ever is"
            )
        return text

    def schema(self) -> JsonObject:
        """Return type, length and the number of fields."""
        return {
            "type": "string",
            "pattern": r"^\s*\S+(?:\s+\S+){4}\s*$",
            "maxLength": _MAX_CRON,
        }


@dataclass(frozen=True)
class TimeZone(Plain):
    """The name of a time zone."""

    expected: str = 'an IANA time zone such as "Europe/Berlin" or "UTC"'

    def parse(self, value: object) -> str:
        """Return the name."""
        if not isinstance(value, str):
            raise RejectedValueError(self.expected, described(value))
        if value not in _zones():
            known = sorted(_zones()) if len(value) <= 64 else []
            raise RejectedValueError(self.expected + suggestion(value, known), described(value))
        return value

    def schema(self) -> JsonObject:
        """Return type, pattern and length; which zones there are is beyond a schema."""
        return {"type": "string", "pattern": r"^[A-Za-z0-9_+/-]+$", "maxLength": 64}


@dataclass(frozen=True)
class JsonValue:
    """Any value of TOML that JSON has too; the model gets its JSON."""

    expected: str = "a value that JSON has: no date or time, and numbers that are some"

    def parse(self, value: object) -> str:
        """Return the JSON text."""
        _require_json(value, self.expected)
        try:
            text = msgspec.json.encode(value).decode()
        except (ValueError, TypeError, *DECODING_ERRORS) as error:
            raise RejectedValueError(self.expected, described(value)) from error
        if len(text) > MAX_DATA:
            raise RejectedValueError(
                f"at most {MAX_DATA // 1024} KiB of JSON", f"{len(text)} characters of it"
            )
        return text

    def render(self, value: object) -> object:
        """Return what the JSON text stands for, None for null."""
        return msgspec.json.decode(str(value))

    def schema(self) -> JsonObject:
        """Return the types."""
        return {"type": ["object", "array", "string", "number", "boolean"]}


@dataclass(frozen=True)
class FilterValues:
    """A value or an array of values, any of which an attribute may have."""

    expected: str = (
        f"a string, number, boolean or an array of 1 to {MAX_FILTER_VALUES} of them, each once"
    )

    def parse(self, value: object) -> list[object]:
        """Return the values."""
        values = value if isinstance(value, list) else [value]
        if not 1 <= len(values) <= MAX_FILTER_VALUES:
            raise RejectedValueError(self.expected, f"an array of {len(values)} values")
        seen: set[tuple[bool, object]] = set()
        parsed = [self._one(item) for item in values]
        for item in parsed:
            mark = (isinstance(item, bool), item)
            if mark in seen:
                raise RejectedValueError(self.expected, f"{described(item)} once more")
            seen.add(mark)
        return list(parsed)

    def _one(self, item: object) -> str | float | bool:
        if isinstance(item, bool):
            return item
        if isinstance(item, str):
            if len(item) > MAX_FILTER_TEXT:
                raise RejectedValueError(
                    f"at most {MAX_FILTER_TEXT} characters", f"a string of {len(item)} characters"
                )
            return item
        if not isinstance(item, (int, float)):
            raise RejectedValueError(self.expected, described(item))
        if not abs(item) <= 1 << 53:
            raise RejectedValueError("a number up to 2^53", described(item))
        return float(item)

    def render(self, value: object) -> object:
        """Return the values as an array."""
        return list(value) if isinstance(value, (list, tuple)) else value

    def schema(self) -> JsonObject:
        """Return both forms."""
        scalar: JsonObject = {"type": ["string", "number", "boolean"]}
        return {
            "anyOf": [
                scalar,
                {"type": "array", "items": scalar, "minItems": 1, "maxItems": MAX_FILTER_VALUES},
            ]
        }


@dataclass(frozen=True)
class DestinationText:
    """A destination as `kind:name`; the model gets both."""

    pattern: str = r"^(?:queue|topic|function):[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$"
    expected: str = 'a destination such as "queue:done", "topic:orders" or "function:report"'

    def parse(self, value: object) -> dict[str, str]:
        """Return kind and name."""
        if not isinstance(value, str):
            raise RejectedValueError(self.expected, described(value))
        if not re.fullmatch(self.pattern, value, re.ASCII) or value.endswith("\n"):
            kind, colon, name = value.partition(":")
            guess = suggestion(kind, [k.value for k in DestinationKind]) if colon and name else ""
            raise RejectedValueError(self.expected + guess, quoted(value))
        kind, _, name = value.partition(":")
        return {"kind": kind, "name": name}

    def render(self, value: object) -> object:
        """Return the text of a destination of the model."""
        return f"{getattr(value, 'kind', '')}:{getattr(value, 'name', '')}"

    def schema(self) -> JsonObject:
        """Return type and pattern."""
        return {"type": "string", "pattern": self.pattern}


@cache
def _zones() -> frozenset[str]:
    """Return the zones there are, without those that are the host's own or no zone at all."""
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "posixrules", "Factory"}


def _require_json(value: object, expected: str) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _require_json(item, expected)
    elif isinstance(value, list):
        for item in value:
            _require_json(item, expected)
    elif isinstance(value, float):
        if not abs(value) < float("inf"):
            raise RejectedValueError(expected, described(value))
    elif isinstance(value, int):
        if abs(value) > 1 << 63:
            raise RejectedValueError(expected, described(value))
    elif not isinstance(value, (str, bool)):
        raise RejectedValueError(expected, described(value))
