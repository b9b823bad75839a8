"""All texts of one invocation's sources, found again in other texts.

Nothing is looked at until the first sink asks: a handler that touches no sink pays for a list. Even
then as little as the question needs: whether a text is the event's very object needs no decoding,
and where in the event it is is written down as steps, of which an `Origin` is made when one is
shown.
"""

from __future__ import annotations

import _thread
import contextlib
import gc
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .batches import all_lowered, base64_of, lowered, plain_of, requoted, sort_out
from .binary import is_binary, texts_in
from .budget import (
    EASY_COST,
    ESCAPE_COST,
    FORM_COST,
    MAX_DECODED,
    MAX_DECODED_IN_ALL,
    QUOTED_COST,
    TEXT_COST,
    Budget,
    ExhaustedError,
)
from .decoding import bytes_forms, hex_forms, is_hex
from .forms import Forms
from .fragments import Fragments
from .needles import Needles
from .origin import KEY, Origin, Span
from .spans import merged

MAX_DEPTH = 4
"""Encodings undone one inside the other."""
MAX_NESTING = 200
MAX_TEXTS = 60_000
MAX_CHARACTERS = 64 << 20
"""Of all forms together. What a source has beyond these limits marks it as `overflown`."""
MIN_SEARCHED = 3
"""Characters of a text that is searched for in others; shorter ones are found by chance."""
MAX_DATA = 200
"""Values without text that are compared with others as they are."""
_MIN_NUMBER = 5
_MIN_PART_OF_DATA = 16
_LARGE = 4096
"""Characters of a text that is prepared for a search only when a text as long is searched."""
_MAX_ASSEMBLED = 200
_MAX_PARTS = 8
_SHOWN = frozenset((str, int, float))
_WITHOUT = frozenset((int, float, bool, type(None)))
"""Kinds of which objects are shared all over the interpreter."""
MAX_OBJECTS = 200_000
_QUOTES = "'\"`"
_LETTERS = "A-Za-z0-9_.,:@/-"  # spelled out: sets with classes in them take twice the time
_PLAIN = re.compile(
    rf"[{_LETTERS}]{{1,7}}|(?!(?i:bearer) )[{_LETTERS}]++ (?:[ {_LETTERS}]*[{_LETTERS}])?"
)
"""A text that no application writes in another way, and in which nothing can be encoded."""
_TURNED = re.compile(r"[-;<>|'\"`]|\.\.|^[B(]")
"""What an easy text has that is decoded in a seldom way, or turned round."""
_BATCH = 1024
"""Texts whose cost is taken from the budget at once."""

_Node = tuple[Any, Any, Any]
"""The node above and the step from there; or None and the origin of a value; or None and a text
with how it was decoded. Then the object whose texts have this node, or None if the node is a text's
own. So a text costs no object of its own."""


class Taint:
    """Index of the texts of an invocation's sources."""

    def __init__(self, is_code: Callable[[str], bool]) -> None:
        """`is_code` tells whether a text is a word that the function's own code holds."""
        self._is_code = is_code
        self._waiting: list[tuple[str, str, object]] = []
        self._undecoded: list[list[str]] = [[] for _ in range(MAX_DEPTH + 1)]
        """By how many encodings were undone already."""
        self._unread: list[tuple[bytes, _Node, int]] = []
        self._texts: dict[str, _Node] = {}
        self._numbers: dict[float, _Node] = {}
        self._data: dict[bytes, _Node] = {}
        self._needles = Needles()
        self._fragments = Fragments()
        self._large: list[str] = []
        self._unidentified: list[tuple[object, _Node]] = []
        self._steps: dict[int, dict[object, object]] = {}
        self._ids: set[int] = set()
        self._objects: dict[int, tuple[object, _Node]] = {}
        self._keys: dict[str, _Node] = {}
        self._characters = 0
        self._budget = Budget(0)
        self._granted = 0
        self._joined: str | None = None
        self._sizes: list[int] | None = None
        self._forms = Forms()
        self._turn = _thread.RLock()
        """Held while the index grows: a thread must not search half of it."""
        self.sources = 0
        """How many were added: what was found out before one came may not be so after it."""
        self.overflown = False
        """True if a source was too large to be looked at whole."""

    def add(self, source: str, value: object, pointer: str = "") -> None:
        """Take JSON-like data that came from `source`; it is looked at when it is first needed."""
        self.sources += 1
        self._waiting.append((source, pointer, value))

    # -- knowing the sources -------------------------------------------------------------------

    def _index(self) -> None:
        """Know every text and object of the sources as they are."""
        if not self._waiting:
            return
        with self._turn, _uncollected():
            while self._waiting:
                source, pointer, value = self._waiting.pop()
                if self._granted < MAX_DECODED_IN_ALL:
                    self._granted += MAX_DECODED
                    self._budget.left = max(self._budget.left, 0) + MAX_DECODED
                node = (None, Origin(source, pointer or ()), None)
                self._unidentified.append((value, node))
                self._walk(value, node, 0)

    def _decode(self) -> None:
        """Know their forms as well, and what to search for. Costs far more: only when needed."""
        self._index()
        if not any(self._undecoded) and not self._numbers and not self._unread:
            return
        with self._turn, _uncollected():
            self._joined = self._sizes = None
            self._take_numbers()
            try:
                for depth, texts in enumerate(self._undecoded):
                    while self._unread:
                        self._read(*self._unread.pop(0))
                    # Forms of these texts are one deeper, so this list does not grow meanwhile.
                    self._characters += sum(map(len, texts))
                    other = [text for text in texts if not _PLAIN.fullmatch(text)]
                    if len(other) < len(texts):
                        done = set(other)
                        self._plain([t for t in texts if t not in done] if done else texts)
                    self._signed(other, depth)
                    texts.clear()
            except ExhaustedError:
                for texts in self._undecoded:
                    texts.clear()
                self._unread.clear()
                self.overflown = True

    def _plain(self, texts: list[str]) -> None:
        """Most texts of an event are names, dates and sentences: nothing is encoded in them."""
        is_code = self._is_code
        searched = [
            text
            for text in texts
            # A word of the code has no blank.
            if len(text) >= MIN_SEARCHED and (" " in text or not is_code(text))
        ]
        self._needles.add_all(
            dict(zip("\0".join(searched).lower().split("\0"), searched, strict=False))
        )

    def _signed(self, texts: list[str], depth: int) -> None:
        """Prepare texts with signs for searches, and take in what they may be decoded to."""
        words, coded, easy, quoted, hard = sort_out(texts)
        searched = list(itertools.filterfalse(self._is_code, words))
        self._needles.add_all(dict(zip(all_lowered(searched), searched, strict=True)))
        whole = [text for text in easy if len(text) >= MIN_SEARCHED]
        for batch in _batches([*whole, *[text for text in coded if text[-1] == "="]]):
            self._budget.spend(sum(map(len, batch)) + EASY_COST * len(batch))
            lower = all_lowered(batch)
            self._needles.add_all(dict(zip(lower, batch, strict=True)))
            self._fragments.add_all(lower, batch)
        for batch in _batches(quoted):
            self._quoted(batch)
        if depth < MAX_DEPTH:
            self._seldom_forms([*easy, *quoted], depth)
            self._coded(coded, depth)
            done = set(coded)
            for text in [text for text in words if text not in done]:
                self._take_forms(text, self._forms.of(text), depth)
        for text in hard:
            escapes = text.count("%") + text.count("&") + text.count("\\")
            self._budget.spend(TEXT_COST + len(text) + ESCAPE_COST * escapes)
            if len(text) < _LARGE:
                self._search_for(text)
                self._fragments.add(lowered(text), text)
            else:
                self._large.append(text)
            if depth < MAX_DEPTH:
                self._take_forms(text, self._forms.of(text), depth)

    def _quoted(self, texts: list[str]) -> None:
        """Have texts with quotes found as they are, with these escaped or doubled, or without."""
        self._budget.spend(sum(map(len, texts)) + QUOTED_COST * len(texts))
        lower = all_lowered(texts)
        self._fragments.add_all(lower, texts)
        short = any(len(text) < MIN_SEARCHED for text in texts)
        # None is a word of the code: that has no quotes.
        for forms in (lower, *requoted(lower)):
            pairs = zip(forms, texts, strict=True)
            self._needles.add_all(
                {form: text for form, text in pairs if len(form) >= MIN_SEARCHED}
                if short
                else dict(pairs)
            )
        for text in texts:
            bare = text.strip(_QUOTES)
            if bare is not text:
                self._texts.setdefault(bare, self._texts[text])
                if self._is_searched(bare):
                    self._needles.add(bare.lower(), text)

    def _is_searched(self, text: str) -> bool:
        return len(text) >= MIN_SEARCHED and not self._is_code(text)

    def _take_forms(self, text: str, forms: Iterable[tuple[str, object]], depth: int) -> None:
        for how, form in forms:
            self._budget.spend(FORM_COST)
            self._walk(form, (None, (text, how), None), depth + 1)

    def _seldom_forms(self, texts: list[str], depth: int) -> None:
        """Of easy texts, these few forms are the only ones, as long as they are looked for."""
        for text in texts:
            if not self._forms.turns:
                return
            if _TURNED.search(text):
                self._take_forms(text, self._forms.seldom(text), depth)

    def _coded(self, texts: list[str], depth: int) -> None:
        """Take in what base64 looks like: thousands of short ones are decoded together."""
        data = base64_of(texts)
        for batch in _batches(texts):
            self._budget.spend(EASY_COST * len(batch))
            plain, others = plain_of(batch, data)
            self._take_plain(plain, "base64", depth + 1)
            for text in others:
                self._take_forms(text, bytes_forms(data[text], "base64"), depth)
            for text in self._forms.likely(batch):
                self._take_forms(text, self._forms.seldom(text), depth)
            for text in filter(is_hex, batch):
                self._take_forms(text, hex_forms(text), depth)

    def _take_plain(self, forms: dict[str, str], how: str, depth: int) -> None:
        """Take what texts were decoded to, by the text."""
        known, new = self._texts, self._undecoded[depth]
        fresh: dict[str, _Node] = {
            form: (None, (text, how), None) for text, form in forms.items() if form not in known
        }
        self._characters += sum(map(len, fresh))
        if self._characters > MAX_CHARACTERS or len(known) + len(fresh) > MAX_TEXTS:
            self.overflown = True
            return
        known.update(fresh)
        new += fresh

    def _walk(self, value: object, node: _Node, depth: int) -> None:  # noqa: PLR0912
        """Take every text in a value: the loop over ten thousand rows, with nothing for show."""
        texts, numbers, keys, new = self._texts, self._numbers, self._keys, self._undecoded[depth]
        above, step, _ = node
        todo: list[tuple[Any, Any, Any, int]] = [(value, above, step, 0)]
        while todo:
            item, above, step, level = todo.pop()
            if isinstance(item, dict):
                at: _Node = (above, step, item)
                children: Any = item.items()
            elif isinstance(item, (list, tuple)):
                at = (above, step, item)
                children = enumerate(item)
                if item and type(item[0]) is int:
                    self._take_list_of_bytes(item, at, depth)
            else:
                self._take_one(item, (above, step, None), depth)
                continue
            if level > MAX_NESTING or len(texts) >= MAX_TEXTS:
                self.overflown = True
                return
            for step, child in children:
                kind = type(child)
                if kind is str:
                    if child not in texts:
                        texts[child] = at
                        new.append(child)
                elif kind is int or kind is float:
                    numbers[child] = at
                elif kind is not bool and child is not None:
                    todo.append((child, at, step, level + 1))
                if type(step) is str and step not in keys:
                    keys[step] = at
                    if step not in texts:
                        texts[step] = at
                        new.append(step)
                if len(texts) >= MAX_TEXTS or len(numbers) >= MAX_TEXTS:
                    self.overflown = True
                    return

    def _identify(self) -> None:
        """Know the sources' very objects: only asked for when a text is equal to one of theirs."""
        ids, objects = self._ids, self._objects
        while self._unidentified:
            value, node = self._unidentified.pop()
            todo: list[tuple[Any, Any, Any]] = [(value, *node[:2])]
            for _ in range(MAX_OBJECTS):
                if not todo:
                    break
                item, above, step = todo.pop()
                at = (above, step, item)
                if isinstance(item, dict):
                    ids.update(map(id, item))
                    children: Any = item.items()
                elif isinstance(item, (list, tuple)):
                    children = enumerate(item)
                else:
                    objects[id(item)] = (item, (above, step, None))
                    continue
                objects[id(item)] = (item, at)
                for step, child in children:
                    kind = type(child)
                    if kind is str:
                        ids.add(id(child))
                    elif kind not in _WITHOUT:
                        todo.append((child, at, step))

    def _take_one(self, item: object, node: _Node, depth: int) -> None:
        if isinstance(item, str):
            if item and item not in self._texts:
                self._new(item, node, depth)
        elif isinstance(item, (bytes, bytearray)):
            self._take_data(bytes(item), node, depth)
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            self._numbers.setdefault(item, node)

    def _take_list_of_bytes(self, item: Any, node: _Node, depth: int) -> None:
        """How JSON holds bytes, such as what Node.js makes of a `Buffer`."""
        if len(item) < MIN_SEARCHED:
            return
        try:
            data = bytes(item)
        except (ValueError, TypeError):
            return
        self._take_data(
            data, (None, self._origin(node, None).decoded("a list of bytes"), None), depth
        )

    def _take_data(self, data: bytes, node: _Node, depth: int) -> None:
        """Take bytes. What is in them is looked at when forms are: most are never asked about."""
        self._characters += len(data)
        if self._characters > MAX_CHARACTERS or len(self._data) >= MAX_DATA:
            self.overflown = True
            return
        self._data.setdefault(data, node)
        self._unread.append((data, node, depth))

    def _read(self, data: bytes, node: _Node, depth: int) -> None:
        """Know the texts in bytes."""
        if is_binary(data):
            for text in texts_in(data):
                if text not in self._texts:
                    self._new(text, node, MAX_DEPTH)
        elif data and (text := data.decode()) not in self._texts:
            self._new(text, node, depth)

    def _new(self, text: str, node: _Node, depth: int) -> None:
        """Take a text that is not known yet."""
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS or len(self._texts) >= MAX_TEXTS:
            self.overflown = True
            return
        self._texts[text] = node
        self._undecoded[depth].append(text)

    def _take_numbers(self) -> None:
        numbers, self._numbers = self._numbers, {}
        texts = dict(zip(map(repr, numbers), numbers.values(), strict=False))
        self._texts = texts | self._texts
        self._needles.add_all({text: text for text in texts if len(text) >= _MIN_NUMBER})

    def _search_for(self, text: str) -> None:
        """Have a text found in others, also trimmed, without its quotes, or with them escaped."""
        forms = [text]
        stripped = text.strip()
        if len(stripped) != len(text):
            forms.append(stripped)
            self._texts.setdefault(stripped, self._texts[text])  # one character has no identity
        if "'" in text or '"' in text or "`" in text:
            forms.append(stripped.strip(_QUOTES))
            self._texts.setdefault(forms[-1], self._texts[text])
            forms.append(text.replace("'", "''"))
            forms.append(text.replace("'", "\\'"))
            forms.append(text.replace("'", "\\'").replace('"', '\\"'))
        if not text.isprintable() or '"' in text or "\\" in text:
            forms += (json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1])
        if not text.isascii():
            forms += (json.dumps(text)[1:-1], ascii(text)[1:-1])
        for form in forms:
            if self._is_searched(form):
                self._needles.add(lowered(form), text)

    def _origin(self, node: _Node, value: object) -> Origin:
        """Return the origin of a text or number that has this node, or of the node's own object."""
        above, step, holder = node
        steps: list[object] = []
        if holder is not None and value is not None and value is not holder:
            steps = self._step_to(holder, value)
        while above is not None:
            steps.append(step)
            above, step, _ = above
        if type(step) is tuple:
            text, how = step
            step = self._origin_of(text).decoded(how)
        origin: Origin = step
        if not steps:
            return origin
        before = (origin.steps,) if isinstance(origin.steps, str) else origin.steps
        return Origin(origin.source, (*before, *reversed(steps)), origin.decoding)

    def _step_to(self, holder: Any, value: object) -> list[object]:
        """Return the last steps to a text in an object, the very last first."""
        known = self._steps.get(id(holder))
        if known is None:
            # Found at once for all of it: a list of ten thousand texts is asked for each of them.
            children = holder.items() if isinstance(holder, dict) else enumerate(holder)
            known = self._steps[id(holder)] = {}
            for step, child in list(children):
                if type(child) in _SHOWN:
                    known.setdefault(child if type(child) is str else repr(child), step)
        if value in known:
            return [known[value]]
        return [KEY, value] if isinstance(holder, dict) and value in holder else []

    def _origin_of(self, text: str) -> Origin:
        return self._origin(self._texts[text], text)

    # -- questions -----------------------------------------------------------------------------

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
        return next((self._origin(n, t) for t, n in self._texts.items() if text in t), None)

    def assembled(self, text: str) -> list[Span]:
        """Return the sources' texts that a short text consists of, one after the other."""
        size = len(text)
        if not MIN_SEARCHED <= size <= _MAX_ASSEMBLED or text.isalnum():
            return []
        if self._sizes is None:
            sizes = set(map(len, self._texts))
            self._sizes = sorted(size for size in sizes if size <= _MAX_ASSEMBLED)
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
        whole_words = any(span.end - span.start > 1 for span in spans)
        return spans if whole_words and len(spans) <= _MAX_PARTS else []

    def is_of(self, value: object) -> Origin | None:
        """Return where a value is from if it is this very object: text, list or dict."""
        self._index()
        if type(value) is str and value not in self._texts:
            return None
        if self._unidentified:
            with self._turn, _uncollected():
                self._identify()
        key = id(value)
        if key in self._ids and type(value) is str:
            return self._origin(self._texts[value], value)
        known = self._objects.get(key)
        return self._origin(known[1], None) if known is not None and known[0] is value else None

    def search(self, text: str) -> list[Span]:
        """Return where in a text the sources' texts are, the longest first kept, in order."""
        self._decode()
        if len(text) >= _LARGE and self._large:
            with self._turn:
                while self._large:
                    self._search_for(self._large.pop())
        inside = lowered(text)
        found: list[Span] = []
        for needle in self._needles.find(inside):
            origin = self._origin_of(str(self._needles.about(needle)))
            start = inside.find(needle)
            while start >= 0:
                found.append(Span(start, start + len(needle), origin, exact=False))
                start = inside.find(needle, start + len(needle))
        return merged(found)

    def fragments(self, text: str) -> list[Span]:
        """Return where in a text pieces of the sources' texts are that have signs in them."""
        self._decode()
        return merged(
            [
                Span(
                    start,
                    end,
                    self._origin_of(str(about)).decoded("what some code made of it"),
                    exact=False,
                )
                for start, end, about in self._fragments.find(lowered(text))
            ]
        )


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector away: it would go through all that the function has, for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _batches(texts: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), _BATCH):
        yield texts[start : start + _BATCH]
