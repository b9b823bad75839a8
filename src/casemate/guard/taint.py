"""All texts of one invocation's sources, found again in other texts.

Nothing is looked at until the first sink asks: a handler that touches no sink pays for a list. Even
then as little as the question needs: whether a text is the event's very object needs no decoding,
and where in the event it is is written down as steps, of which an `Origin` is made when one is
shown.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from .batches import lowered
from .decoded_texts import LARGE, QUOTES, DecodedTexts
from .fragments import end_of_escape
from .identity import identity
from .known import MIN_SEARCHED, uncollected
from .origin import KEY, PIECE, SCHEMA, Origin, Span
from .spans import Cover, merged

_WORD = re.compile(r"\w+")
_RULES = frozenset(("NOT NULL", "PRIMARY KEY"))
"""What any table's columns are told to be: no name, and no more than a library's own words."""
_MIN_PART_OF_DATA = 16
_MAX_ASSEMBLED = 200
_MAX_PARTS = 8


class Taint(DecodedTexts):
    """Answers where a text is from, and where in a text those of the sources are."""

    def exact(self, text: str) -> Origin | None:
        """Return where a whole text is from, if it is one of the sources' in any form."""
        self._index()
        if text not in self._texts:
            self._decode()
        node = self._texts.get(text)
        if node is None and self._data and not text.isascii():
            # What is no text is kept as it is: only here is it worth to be made one.
            return self.of_data(text.encode(errors="surrogateescape"), whole=True)
        return None if node is None else self._origin(node, text)

    def of_data(self, data: bytes, *, whole: bool = False) -> Origin | None:
        """Return where data is from that is a source's bytes, or a part of them."""
        self._decode()
        node = self._data.get(data)
        if node is None and not whole and len(data) >= _MIN_PART_OF_DATA:
            node = next((n for known, n in self._data.items() if data in known), None)
        return None if node is None else self._origin(node, None)

    def size(self) -> int:
        """Return how many texts are known by now."""
        self._index()
        return len(self._texts)

    def any_has(self, part: str) -> bool:
        """Tell whether any of the texts that are known by now has a part."""
        self._index()
        return any(part in text for text in self._texts)

    def key(self, text: str) -> Origin | None:
        """Return where a key of an object is from, also one inside JSON in a string."""
        self._index()
        if text not in self._keys:
            self._decode()
        node = self._keys.get(text)
        return None if node is None else self._origin((node, text, None), None).at(KEY)

    def texts(self, most: int) -> Iterator[tuple[str, Origin]]:
        """Yield the sources' texts in all their forms, at most so many."""
        self._decode()
        for text, node in itertools.islice(list(self._texts.items()), most):
            yield text, self._origin(node, text)

    def holding(self, text: str) -> Origin | None:
        """Return where a text is from that is part of one of the sources', such as a CSV field."""
        self._decode()
        if self._joined is None:
            self._joined = "\0".join(self._texts)
        if text not in self._joined:
            return None
        holding = ((t, n) for t, n in self._texts.items() if text in t)
        if text in _RULES:
            holding = ((t, n) for t, n in holding if not any(t in one for one in self._schemas))
        return next((self._origin(n, t) for t, n in holding), None)

    def assembled(self, text: str) -> list[Span]:
        """Return the sources' texts that a short text consists of, one after the other."""
        size = len(text)
        if not MIN_SEARCHED <= size <= _MAX_ASSEMBLED or text.isalnum():
            return []
        if self._sizes is None:
            sizes = set(map(len, self._texts))
            self._sizes = sorted(size for size in sizes if size <= _MAX_ASSEMBLED)
        # Where a run of whole texts that begins at 0 may end, and where its last text began.
        before = {0: 0}
        for start in range(size):
            if start in before:
                for end in (start + length for length in self._sizes):
                    if end <= size and end not in before and text[start:end] in self._texts:
                        before[end] = start
        spans: list[Span] = []
        end = size if size in before else 0
        while end:
            start = before[end]
            spans.insert(0, Span(start, end, self._origin_of(text[start:end]), exact=False))
            end = start
        # Single characters and digits of the event make up any text.
        whole_words = any(span.end - span.start > 1 for span in spans)
        return spans if whole_words and len(spans) <= _MAX_PARTS else []

    def is_of(self, value: object) -> Origin | None:
        """Return where a value is from if it is this very object: text, list or dict."""
        self._index()
        # By far most texts are no event's. To know all objects by identity takes as long as the
        # first index did, so it waits for the first text that says the same.
        if type(value) is str and value not in self._texts:
            return None
        if self._unidentified:
            with self._turn, uncollected():
                self._identify()
        key = identity(value)
        if key in self._ids and type(value) is str:
            return self._origin(self._texts[value], value)
        known = self._objects.get(key)
        return self._origin(known[1], None) if known is not None and known[0] is value else None

    def search(self, text: str) -> list[Span]:
        """Return where in a text the sources' texts are, the longest first kept, in order."""
        self._decode()
        if len(text) >= LARGE and self._large:
            with self._turn:
                self._search_for_large(len(text))
        inside = lowered(text)
        self._write_for(text, inside)
        found: list[Span] = []
        with self._turn:  # a question may sort some of them
            needles = list(self._needles.find(inside))
        for needle, about, places in needles:
            origin = self._origin_of(about)
            size, end = len(needle), 0
            escapes = needle[-1:] == "\\"
            for start in _places(inside, needle) if places is None else places:
                if start >= end:
                    end = start + size
                    end = end_of_escape(inside, start, end) if escapes else end
                    found.append(Span(start, end, origin, exact=False))
        return merged(found)

    def _search_for_large(self, size: int) -> None:
        """Have those large texts found that are no longer than what is searched.

        None has a form that is shorter than itself without blanks and quotes at its ends.
        """
        longer: list[str] = []
        while self._large:
            text = self._large.pop()
            if len(text) > size and len(text.strip().strip(QUOTES)) > size:
                longer.append(text)
            else:
                self._search_for(text)
        self._large = longer

    def fragments(self, text: str) -> list[Span]:
        """Return where in a text pieces of the sources' texts are that have signs in them."""
        self._decode()
        found: list[Span] = []
        of_schemas: list[Span] = []
        origins: dict[object, Origin] = {}
        with self._turn:
            pieces = list(self._fragments.find(lowered(text)))
        for start, end, about in pieces:
            origin = origins.get(about) or self._origin_of(str(about)).decoded(*PIECE)
            origins[about] = origin
            if about in self._schemas and self._names_of_code(text, start, end):
                origin = self._origin_of(str(about)).decoded(SCHEMA).decoded(*PIECE)
                of_schemas.append(Span(start, end, origin, exact=False))
            else:
                found.append(Span(start, end, origin, exact=False))
        found = merged(found)
        cover = Cover((span.start, span.end) for span in found)
        # One that meets another piece may be a part of what that is of.
        apart = [
            span._replace(origin=found[0].origin) if cover.meets(span.start, span.end) else span
            for span in of_schemas
        ]
        return merged(found + apart)

    def _names_of_code(self, text: str, start: int, end: int) -> bool:
        """Tell whether the code knows each word of a piece, but for what is cut off at its ends."""
        while start < end and _is_inside_word(text, start):
            start += 1
        while start < end and _is_inside_word(text, end):
            end -= 1
        return all(map(self._is_code, _WORD.findall(text, start, end)))


def _places(inside: str, text: str) -> Iterator[int]:
    start = inside.find(text)
    while start >= 0:
        yield start
        start = inside.find(text, start + len(text))


def _is_inside_word(text: str, place: int) -> bool:
    """Tell whether a place has a letter or a digit on either side."""
    return _WORD.fullmatch(text[place - 1 : place + 1] if place else "") is not None and (
        0 < place < len(text)
    )
