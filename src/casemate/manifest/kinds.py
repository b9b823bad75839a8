"""Kinds of values: each checks one value of a manifest and describes itself to a schema.

Numbers, sizes and durations are in `numeric_kinds`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from casemate.manifest import routes
from casemate.manifest.problem import described, suggestion
from casemate.manifest.rejection import RejectedValueError
from casemate.shown_text import UNSAFE_BELOW_10000, unsafe_in

JsonObject = dict[str, object]

_MAX_PATH = 1024
_TEXT_PATTERN = rf"^[^{UNSAFE_BELOW_10000}]*$"
_PATH_PATTERN = rf"^(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\\\t\n{UNSAFE_BELOW_10000}]+$"
"""What a JSON Schema says of these. Not all that read one take a class beyond U+FFFF."""


class ValueKind(Protocol):
    """What every kind can do."""

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        ...

    def parse(self, value: object) -> object:
        """Return `value` as the model holds it, or raise RejectedValueError."""
        ...

    def render(self, value: object) -> object:
        """Return a value of the model as a manifest writes it."""
        ...

    def schema(self) -> JsonObject:
        """Return the JSON Schema of what `parse` accepts, or of a little more than that."""
        ...


class Plain:
    """A kind whose values are the same in the manifest and in the model."""

    def render(self, value: object) -> object:
        return value


@dataclass(frozen=True)
class Pattern(Plain):
    """A string that one regular expression matches as a whole, ASCII classes only."""

    pattern: str
    expected: str
    max_length: int = 200

    def parse(self, value: object) -> str:
        """Return the string."""
        text = _string(value, self.expected)
        if len(text) > self.max_length or not re.fullmatch(self.pattern, text, re.ASCII):
            raise RejectedValueError(self.expected, described(value))
        return text

    def schema(self) -> JsonObject:
        """Return type, pattern and length."""
        return {"type": "string", "pattern": self.pattern, "maxLength": self.max_length}


@dataclass(frozen=True)
class Text(Plain):
    """Free text of `min_length` to `max_length` characters, without control characters."""

    max_length: int
    min_length: int = 0

    @property
    def expected(self) -> str:
        """Name the bounds."""
        length = f"{self.min_length} to" if self.min_length else "at most"
        return (
            f"a string of {length} {self.max_length} characters, "
            "without control characters other than tab and newline, and without invisible ones"
        )

    def parse(self, value: object) -> str:
        """Return the text."""
        text = _string(value, self.expected)
        if not self.min_length <= len(text) <= self.max_length:
            raise RejectedValueError(self.expected, f"a string of {len(text)} characters")
        if self.min_length and len(text.strip()) < self.min_length:
            raise RejectedValueError(self.expected, "a string of mostly white space")
        if (found := unsafe_in(text)) is not None:
            place, what = found
            raise RejectedValueError(self.expected, f"{what} as its character {place + 1}")
        return text

    def schema(self) -> JsonObject:
        """Return type, pattern and length."""
        schema: JsonObject = {
            "type": "string",
            "pattern": _TEXT_PATTERN,
            "maxLength": self.max_length,
        }
        return {**schema, "minLength": self.min_length} if self.min_length else schema


@dataclass(frozen=True)
class Choice:
    """One of a few strings."""

    values: tuple[str, ...]

    @property
    def expected(self) -> str:
        """List the values."""
        return "one of " + ", ".join(f'"{value}"' for value in self.values)

    def parse(self, value: object) -> str:
        """Return the string."""
        text = _string(value, self.expected)
        if text not in self.values:
            guess = suggestion(text, list(self.values))
            raise RejectedValueError(self.expected + guess, described(value))
        return text

    def render(self, value: object) -> object:
        """Return the text of an enumeration's member."""
        return str(value)

    def schema(self) -> JsonObject:
        """Return the enumeration."""
        return {"enum": list(self.values)}


@dataclass(frozen=True)
class Flag(Plain):
    """True or false."""

    expected: str = "true or false, without quotes"

    def parse(self, value: object) -> bool:
        """Return the flag."""
        if not isinstance(value, bool):
            raise RejectedValueError(self.expected, described(value))
        return value

    def schema(self) -> JsonObject:
        """Return the type."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class RelativePath(Plain):
    """A path below the project's folder, as written; what is there is checked later."""

    expected: str

    def parse(self, value: object) -> str:
        """Return the path without `.` parts and repeated or trailing slashes."""
        text = _string(value, self.expected)
        if text.startswith("/"):
            raise RejectedValueError(self.expected, f"{described(value)}, an absolute path")
        if ".." in text.split("/"):
            raise RejectedValueError(self.expected, f'{described(value)}, which contains ".."')
        if (found := unsafe_in(text)) is not None:
            place, what = found
            raise RejectedValueError(
                f"{self.expected}, without control characters and invisible ones",
                f"{what} as character {place + 1} of {described(value)}",
            )
        if len(text) > _MAX_PATH or not re.fullmatch(_PATH_PATTERN, text):
            raise RejectedValueError(
                f"{self.expected}, without backslashes and control characters", described(value)
            )
        return str(PurePosixPath(text))

    def schema(self) -> JsonObject:
        """Return type, pattern and length."""
        return {"type": "string", "pattern": _PATH_PATTERN, "maxLength": _MAX_PATH}


@dataclass(frozen=True)
class PathTemplate(Plain):
    """The path of a route: `/users/{id}`, `/files/{rest...}`."""

    expected: str = "a path such as /users/{id} or /files/{rest...}"

    def parse(self, value: object) -> str:
        """Return the template."""
        text = _string(value, self.expected)
        routes.parse_template(text)
        return text

    def schema(self) -> JsonObject:
        """Return type, pattern and length."""
        return {
            "type": "string",
            "pattern": routes.TEMPLATE_PATTERN,
            "maxLength": routes.MAX_TEMPLATE,
        }


def _string(value: object, expected: str) -> str:
    if not isinstance(value, str):
        raise RejectedValueError(expected, described(value))
    return value
