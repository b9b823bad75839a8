"""Where a piece of text came from."""

from __future__ import annotations

import re
from typing import NamedTuple

KEY = object()
"""Last step to a key of an object, where others lead to its value."""
PIECE = ("what some code made of it",)
"""How a text was decoded that only a piece was found of."""
SCHEMA = "the tables of a database"
"""The same, of a text that tells of these, where the code knows all of the piece's words."""
_PLAIN_STEP = re.compile(r"[\w.~-]{1,64}")


class Origin(NamedTuple):
    """One value of one source, and how it was decoded on the way."""

    source: str
    """`event`, or what the data was read from, such as `table:orders`."""
    steps: tuple[object, ...] | str
    """Keys and indexes that lead to the value, or a JSON pointer that was given."""
    decoding: tuple[str, ...] = ()
    """What was undone to get the text, outermost first, such as `("URL encoding", "base64")`."""

    def decoded(self, how: str) -> Origin:
        """Return the origin of a form of this text with one more decoding undone."""
        return Origin(self.source, self.steps, (*self.decoding, how))

    def at(self, step: object) -> Origin:
        """Return the origin of a value below this one."""
        before = (self.steps,) if isinstance(self.steps, str) else self.steps
        return Origin(self.source, (*before, step), self.decoding)

    @property
    def pointer(self) -> str:
        """JSON pointer (RFC 6901) to the value in it; a key ends in `#`.

        A step that is no plain word is `?`: keys are data as well, and data is not shown.
        """
        if isinstance(self.steps, str):
            return self.steps
        shown = ""
        for number, step in enumerate(self.steps):
            if step is KEY:
                shown += "#"
            elif number == 0 and isinstance(step, str) and step[:1] in ("", "/"):
                shown += step
            else:
                escaped = str(step).replace("~", "~0").replace("/", "~1")
                shown += "/" + (escaped if _PLAIN_STEP.fullmatch(escaped) else "?")
        return shown

    @property
    def text(self) -> str:
        """For records: `/items/0/name of the event, decoded from base64`. Never the value."""
        decoded = f", decoded from {', then '.join(self.decoding)}" if self.decoding else ""
        source = "the event" if self.source == "event" else self.source
        return f"{self.pointer or 'the whole'} of {source}{decoded}"


class Span(NamedTuple):
    """Part of a text that came from outside: characters `start` up to, not including, `end`."""

    start: int
    end: int
    origin: Origin
    exact: bool
    """True if the function's own code was seen to put it there. False if it was found by search:
    the text is the same, which can be chance if it is a common word."""
    checked: str = ""
    """How the function's code vouches for this very value: `member` (found in a collection that is
    not from the event, or equal to a text of the code), `pattern` (matched a regular expression),
    `word` (`isalnum`, `isidentifier` and the like said yes), `named` (a name that the code holds as
    well, which only says that such a name is there), `constant` (what was found by search is as
    likely the code's own text), or empty."""

    @property
    def vouched(self) -> bool:
        """Whether the function's code has this very value: then it is no data in any syntax."""
        return self.checked in ("member", "constant")

    @property
    def is_piece(self) -> bool:
        """Whether only a piece was found here of what some code has made of a text."""
        return self.origin.decoding[-1:] == PIECE

    @property
    def is_of_schema(self) -> bool:
        """Whether such a piece has only words of the code's, and tells of a database's tables."""
        return self.is_piece and SCHEMA in self.origin.decoding

    def moved(self, by: int) -> Span:
        """Return the span in a text that has `by` more characters before it."""
        return self._replace(start=self.start + by, end=self.end + by)
