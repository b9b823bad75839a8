"""Splits the text of a policy file into its policies, with their lines.

Cedar's own parser gives no places, and deep nesting ends its process by a stack overflow: it is
shown only what is within these limits. What a policy means is for Cedar alone to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from casemate.policy.errors import PolicyError
from casemate.shown_text import unsafe_in

MAX_FILE_BYTES = 30 * 1024
MAX_DEPTH = 32
"""Brackets, and `if`, within each other, and attributes of attributes."""
MAX_TOKENS = 2000
"""Words and signs of one policy."""

_TOKEN = re.compile(
    r"""(?P<gap>[ \t\r\n]++)
      |(?P<comment>//[^\n]*+)
      |(?P<string>"(?:[^"\\\n]++|\\[^\n])*+")
      |(?P<word>[A-Za-z_][A-Za-z0-9_]*+|[0-9]++)
      |(?P<open>[(\[{])
      |(?P<close>[)\]}])
      |(?P<end>;)
      |(?P<sign>[@:,.=!<>&|+*?/%-])""",
    re.VERBOSE,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class Statement(NamedTuple):
    """One policy as it stands in its file, from its first word to its `;`."""

    text: str
    line: int

    def line_of(self, part: str) -> int:
        """Return the line of the file on which `part` is first, else that of the policy."""
        offset = self.text.find(part) if part else -1
        return self.line + (self.text.count("\n", 0, offset) if offset > 0 else 0)

    def with_condition(self, condition: str) -> str:
        """Return the policy's text with one more `when`."""
        return f"{self.text[:-1]}\nwhen {{ {condition} }};"


def split(text: str, file: str) -> tuple[Statement, ...]:
    """Return the policies of a file's text. Raises PolicyError with the place."""
    if len(text.encode(errors="replace")) > MAX_FILE_BYTES:
        raise PolicyError(
            f"the file is longer than {MAX_FILE_BYTES} bytes.",
            file=file,
            next_step="Split it into several files.",
        )
    return tuple(_statements(text, file))


def require_visible(text: str, file: str) -> None:
    """Raise PolicyError for a new text that does not look like what it is.

    Nobody is locked out by one that is in force, whatever is known of characters since.
    """
    hidden = unsafe_in(text.replace("\r\n", " \n"))
    if hidden is not None:
        offset, what = hidden
        raise PolicyError(
            f"found the invisible character {what}, expected none.",
            file=file,
            line=_line(text, offset),
            next_step="Remove it: it can make a policy look like another one.",
        )


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _statements(text: str, file: str) -> Iterator[Statement]:
    start: int | None = None
    reading = _Reading(text, file)
    for match in reading.tokens():
        if match.lastgroup in ("gap", "comment"):
            continue
        if start is None:
            start = match.start()
        if reading.ends(match, start):
            yield Statement(text[start : match.end()], _line(text, start))
            start = None
    if start is not None:
        raise reading.error(start, "the policy that begins here has no end.", "End it with `;`.")


class _Reading:
    """The brackets and counts of the policy that is being read."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._open: list[str] = []
        self._tokens = 0
        self._ifs = 0
        self._steps = 0
        """From one attribute to the next: what Cedar makes of `has a.b.c` grows by their square."""

    def error(self, offset: int, problem: str, next_step: str) -> PolicyError:
        return PolicyError(
            problem, file=self._file, line=_line(self._text, offset), next_step=next_step
        )

    def tokens(self) -> Iterator[re.Match[str]]:
        position = 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise self._unexpected(position)
            yield match
            position = match.end()

    def _unexpected(self, position: int) -> PolicyError:
        char = self._text[position]
        if char == '"':
            return self.error(position, "a string is not ended on its line.", 'End it with `"`.')
        return self.error(
            position,
            f"found the character {char!a}, which no policy is written with.",
            "Use ASCII outside of comments: all names on a node are ASCII.",
        )

    def ends(self, match: re.Match[str], start: int) -> bool:
        """Count a token in; tell whether it ends the policy."""
        self._tokens += 1
        self._ifs += match[0] == "if"
        if match[0] == ".":
            self._steps += 1
        elif match.lastgroup not in {"word", "gap", "comment"}:
            self._steps = 0
        if match.lastgroup == "open":
            self._open.append(_CLOSING[match[0]])
        elif match.lastgroup == "close" and (not self._open or self._open.pop() != match[0]):
            raise self.error(
                match.start(), f"found `{match[0]}` without its beginning.", "Remove it."
            )
        deepest = max(len(self._open), self._ifs, self._steps)
        if deepest > MAX_DEPTH or self._tokens > MAX_TOKENS:
            raise self.error(
                start,
                f"the policy is too large: expected at most {MAX_TOKENS} words and signs, and "
                f"{MAX_DEPTH} brackets, or attributes, within each other.",
                "Split it into several policies.",
            )
        if match.lastgroup != "end":
            return False
        if self._open:
            raise self.error(
                match.start(), f"found `;`, expected `{self._open[-1]}` before.", "Add it."
            )
        self._tokens = self._ifs = self._steps = 0
        return True
