"""What is wrong with a manifest, and the one error that tells all of it."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import msgspec

from casemate.manifest.locator import KeyLocator, KeyPath, Position
from casemate.model.errors import InvalidInputError
from casemate.near_names import near, question
from casemate.shown_text import UNSAFE

MAX_PROBLEMS = 500
"""Problems told of one manifest; the number of those left out is told too."""

_TYPE_NAMES: dict[type, str] = {int: "an integer", float: "a float"}
_MAX_SHOWN = 80
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake. Every text is free of control characters and safe to print."""

    file: str
    line: int | None
    """Counts from 1; None if the file as a whole is meant."""
    column: int | None
    """Counts characters from 1; None with `line`."""
    key: str
    """Dotted, as `function.thumbnail.http[0].path`; empty if no key is meant."""
    found: str
    expected: str

    def __str__(self) -> str:
        """Return `file:line:column: key: found ..., expected ...`."""
        place = [self.file, *(str(n) for n in (self.line, self.column) if n is not None)]
        key = f" {self.key}:" if self.key else ""
        return f"{':'.join(place)}:{key} found {self.found}, expected {self.expected}"


class ManifestError(InvalidInputError):
    """The manifest has mistakes."""

    def __init__(
        self, problems: tuple[Problem, ...], *, left_out: int = 0, next_step: str | None = None
    ) -> None:
        """Keep `problems`, in the order of the file, and how many more there were."""
        self.problems = problems
        self.left_out = left_out
        total = len(problems) + left_out
        lines = [f"The manifest has {total} mistake{'' if total == 1 else 's'}:"]
        lines += [f"  {problem}" for problem in problems]
        if left_out:
            lines.append(f"  and {left_out} more")
        super().__init__(
            "\n".join(lines),
            next_step=next_step
            or "Correct the lines above and run the command again; "
            "docs/reference/manifest.md describes every key.",
        )

    def __str__(self) -> str:
        """Return one line per problem and the next step on the last line."""
        return f"{self.message}\nNext: {self.next_step}"


class ProblemCollector:
    """Gathers the problems of one manifest."""

    def __init__(self, file: str, locator: KeyLocator) -> None:
        """Report for `file`, taking places from `locator`."""
        self._file = printable(file)
        self._locator = locator
        self._problems: list[Problem] = []
        self._left_out = 0

    def add(self, path: KeyPath, found: str, expected: str) -> None:
        """Note a problem of the key at `path`, or of the table it is missing from."""
        if self.full:
            self._left_out += 1
            return
        place = self._locator.locate(path)
        self._problems.append(
            Problem(
                file=self._file,
                line=place.line,
                column=place.column,
                key=dotted(path),
                found=found,
                expected=expected,
            )
        )

    def __len__(self) -> int:
        """Return how many were noted."""
        return len(self._problems) + self._left_out

    @property
    def full(self) -> bool:
        """Whether those that come now are counted, and nothing else of them is kept."""
        return len(self._problems) >= MAX_PROBLEMS

    @property
    def noted(self) -> tuple[Problem, ...]:
        """What was noted, in that order; at most MAX_PROBLEMS."""
        return tuple(self._problems)

    def line(self, path: KeyPath) -> int:
        """Return the line that `path` is on."""
        return self._locator.locate(path).line

    def raise_if_any(self) -> None:
        """Raise ManifestError with everything noted, if anything was."""
        if self._problems:
            ordered = sorted(self._problems, key=lambda p: (p.line or 0, p.column or 0))
            raise ManifestError(tuple(ordered), left_out=self._left_out)


def file_problem(
    path: Path, found: str, expected: str, place: Position | None = None, *, next_step: str = ""
) -> ManifestError:
    """Return the error of a file that cannot be read as a manifest at all."""
    line, column = place or (None, None)
    problem = Problem(
        file=printable(str(path)),
        line=line,
        column=column,
        key="",
        found=found,
        expected=expected,
    )
    return ManifestError((problem,), next_step=next_step or None)


def dotted(path: KeyPath) -> str:
    """Write a path as one would in TOML: `function.thumbnail.http[0].path`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _is_bare(part) else quoted(part))
    return text


def quoted(text: str) -> str:
    """Return `text` in quotes, shortened and with control characters escaped."""
    shown = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
    return '"' + printable(shown.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def printable(text: str) -> str:
    """Return `text` with everything that a terminal could obey or hide escaped."""
    seen = UNSAFE.sub(lambda found: "".join(map(_escape, found[0])), text)
    return "".join(c if unicodedata.category(c)[0] != "C" else _escape(c) for c in seen)


def described(value: object) -> str:
    """Say what a value of a TOML text is, in the words of TOML."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return f"{str(value).lower()} (a boolean)"
    # str() refuses integers of very many digits.
    shown = "a huge number" if isinstance(value, int) and abs(value) >= 10**30 else f"{value}"
    return f"{shown} ({_TYPE_NAMES.get(type(value), 'a date or time')})"


def suggestion(word: str, known: list[str]) -> str:
    """Return `; did you mean "..."?` for a word close to a known one, else nothing."""
    by_lower = {name.lower(): name for name in known}
    return question(near(word.lower(), by_lower))


def _is_bare(name: str) -> bool:
    return len(name) <= _MAX_SHOWN and _BARE_KEY.fullmatch(name) is not None


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
