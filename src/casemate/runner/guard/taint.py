"""All texts of one invocation's sources, found again in other texts.

Nothing is looked at until the first sink asks: a handler that touches no sink pays for a list.
"""

from __future__ import annotations

import _thread
import itertools
import json
from collections.abc import Callable, Iterator

from .forms import Forms
from .origin import KEY, Origin, Span

MAX_DEPTH = 4
"""Encodings undone one inside the other."""
MAX_NESTING = 200
MAX_TEXTS = 200_000
MAX_CHARACTERS = 64 << 20
"""Of all forms together. What a source has beyond these limits marks it as `overflown`."""
MIN_SEARCHED = 3
"""Characters of a text that is searched for in others; shorter ones are found by chance."""
_MIN_NUMBER = 5
_MAX_ASSEMBLED = 200
_MAX_PARTS = 8
_QUOTES = "'\"`"


class Taint:
    """Index of the texts of an invocation's sources."""

    def __init__(self, is_code: Callable[[str], bool]) -> None:
        """`is_code` tells whether a text is a word that the function's own code holds."""
        self._is_code = is_code
        self._waiting: list[tuple[str, str, object]] = []
        self._undecoded: list[tuple[str, Origin, int]] = []
        self._texts: dict[str, Origin] = {}
        self._searched: dict[str, Origin] = {}
        self._objects: dict[int, tuple[object, Origin]] = {}
        self._keys: dict[str, Origin] = {}
        self._characters = 0
        self._joined: str | None = None
        self._sizes: list[int] | None = None
        self._forms = Forms()
        self._turn = _thread.RLock()
        """Held while the index grows: a thread must not search half of it."""
        self.overflown = False
        """True if a source was too large to be looked at whole."""

    def add(self, source: str, value: object, pointer: str = "") -> None:
        """Take JSON-like data that came from `source`; it is looked at when it is first needed."""
        self._waiting.append((source, pointer, value))

    def _index(self) -> None:
        """Know every text and object of the sources as they are."""
        with self._turn:
            while self._waiting:
                source, pointer, value = self._waiting.pop()
                self._walk(value, Origin(source, pointer or ()), 0, original=True)

    def _decode(self) -> None:
        """Know their forms as well, and what to search for. Costs far more: only when needed."""
        with self._turn:
            self._index()
            if self._undecoded:
                self._joined = self._sizes = None
            while self._undecoded:
                text, origin, depth = self._undecoded.pop()
                self._search_for(text, origin)
                if depth < MAX_DEPTH:
                    for how, form in self._forms.of(text):
                        self._walk(form, origin.decoded(how), depth + 1, original=False)

    def _walk(self, value: object, origin: Origin, depth: int, *, original: bool) -> None:
        todo: list[tuple[object, Origin, int]] = [(value, origin, 0)]
        while todo:
            item, at, level = todo.pop()
            if level > MAX_NESTING or len(self._texts) >= MAX_TEXTS:
                self.overflown = True
                return
            if isinstance(item, str):
                self._take(item, at, depth, original=original)
            elif isinstance(item, (bytes, bytearray)):
                self._take(bytes(item).decode(errors="surrogateescape"), at, depth, original=False)
            elif isinstance(item, dict):
                if original:
                    self._objects[id(item)] = (item, at)
                for key, child in item.items():
                    below = at.at(key)
                    if isinstance(key, str):
                        named = below.at(KEY)
                        self._keys.setdefault(key, named)
                        self._take(key, named, depth, original=original)
                    todo.append((child, below, level + 1))
            elif isinstance(item, (list, tuple)):
                if original:
                    self._objects[id(item)] = (item, at)
                if len(item) >= MIN_SEARCHED and all(type(n) is int and 0 <= n < 256 for n in item):
                    # How JSON holds bytes, such as what Node.js makes of a `Buffer`.
                    data = bytes(item).decode(errors="surrogateescape")
                    self._take(data, at.decoded("a list of bytes"), depth, original=False)
                todo += [(child, at.at(n), level + 1) for n, child in enumerate(item)]
            elif isinstance(item, (int, float)) and not isinstance(item, bool):
                self._number(item, at)

    def _number(self, number: float, origin: Origin) -> None:
        text = repr(number)
        self._texts.setdefault(text, origin)
        if len(text) >= _MIN_NUMBER:
            self._searched.setdefault(text.lower(), origin)

    def _take(self, text: str, origin: Origin, depth: int, *, original: bool) -> None:
        if original:
            self._objects.setdefault(id(text), (text, origin))
        if not text or text in self._texts:
            return
        self._characters += len(text)
        if len(self._texts) >= MAX_TEXTS or self._characters > MAX_CHARACTERS:
            self.overflown = True
            return
        self._texts[text] = origin
        self._undecoded.append((text, origin, depth))

    def _search_for(self, text: str, origin: Origin) -> None:
        """Have a text found in others, also trimmed, without its quotes, or with them escaped."""
        forms = [text]
        stripped = text.strip()
        if len(stripped) != len(text):
            forms.append(stripped)
            self._texts.setdefault(stripped, origin)  # one character has no identity to follow
        if "'" in text or '"' in text or "`" in text:
            forms.append(stripped.strip(_QUOTES))
            self._texts.setdefault(forms[-1], origin)
            forms.append(text.replace("'", "''"))
            forms.append(text.replace("'", "\\'"))
            forms.append(text.replace("'", "\\'").replace('"', '\\"'))
        if not text.isprintable() or '"' in text or "\\" in text:
            forms += (json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
        if not text.isascii():
            forms += (json.dumps(text)[1:-1], ascii(text)[1:-1])
        for form in forms:
            if len(form) >= MIN_SEARCHED and not self._is_code(form):
                self._searched.setdefault(lowered(form), origin)

    def exact(self, text: str) -> Origin | None:
        """Return where a whole text is from, if it is one of the sources' in any form."""
        self._index()
        if text not in self._texts:
            self._decode()
        return self._texts.get(text)

    def key(self, text: str) -> Origin | None:
        """Return where a key of an object is from, also one inside JSON in a string."""
        self._index()
        if text not in self._keys:
            self._decode()
        return self._keys.get(text)

    def texts(self, most: int) -> Iterator[tuple[str, Origin]]:
        """Yield the sources' texts in all their forms, at most so many."""
        self._decode()
        return itertools.islice(self._texts.items(), most)

    def holding(self, text: str) -> Origin | None:
        """Return where a text is from that is part of one of the sources', such as a CSV field."""
        self._decode()
        if self._joined is None:
            self._joined = "\0".join(self._texts)
        if text not in self._joined:
            return None
        return next((origin for whole, origin in self._texts.items() if text in whole), None)

    def assembled(self, text: str) -> list[Span]:
        """Return the sources' texts that a short text consists of, one after the other."""
        size = len(text)
        if not MIN_SEARCHED <= size <= _MAX_ASSEMBLED or text.isalnum():
            return []
        if self._sizes is None:
            self._sizes = sorted(
                {len(known) for known in self._texts if len(known) <= _MAX_ASSEMBLED}
            )
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
            spans.insert(0, Span(start, end, self._texts[text[start:end]], exact=False))
            end = start
        whole_words = any(span.end - span.start > 1 for span in spans)
        return spans if whole_words and len(spans) <= _MAX_PARTS else []

    def is_of(self, value: object) -> Origin | None:
        """Return where a value is from if it is this very object: text, list or dict."""
        self._index()
        known = self._objects.get(id(value))
        return known[1] if known is not None and known[0] is value else None

    def search(self, text: str) -> list[Span]:
        """Return where in a text the sources' texts are, the longest first kept, in order."""
        self._decode()
        inside = lowered(text)
        found: list[Span] = []
        for needle, origin in self._searched.items():
            start = inside.find(needle)
            while start >= 0:
                found.append(Span(start, start + len(needle), origin, exact=False))
                start = inside.find(needle, start + len(needle))
        return merged(found)


def lowered(text: str) -> str:
    """Return a text in lower case, of the same length."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def merged(spans: list[Span]) -> list[Span]:
    """Return spans in order without those inside others; what overlaps becomes one."""
    spans.sort(key=lambda s: (s.start, -s.end))
    kept: list[Span] = []
    for span in spans:
        if kept and span.start < kept[-1].end:
            last = kept[-1]
            if span.end > last.end:
                kept[-1] = last._replace(end=span.end, exact=last.exact and span.exact, checked="")
        else:
            kept.append(span)
    return kept
