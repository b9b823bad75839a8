"""The texts, numbers, keys and objects of an invocation's sources as they are, and where each is.

Where in the event a text is is written down as steps, of which an `Origin` is made when one is
shown: of ten thousand texts none or one comes to a sink.
"""

from __future__ import annotations

import _thread
import contextlib
import gc
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from .budget import MAX_DECODED, MAX_DECODED_IN_ALL, Budget
from .identity import identity
from .origin import KEY, Origin

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
_FEW_STEPS = 32
"""Texts that are looked for in a list one by one; for more it is gone through once."""
_MANY = 64
"""Texts of a list from which on it is taken at once."""
_ONLY_TEXTS = frozenset((str,))
_NUMBERS = frozenset((int, float))
_ONLY_ROWS = frozenset((dict,))
_OF_ROWS = frozenset((str, int, float, bool, type(None)))
_LISTS = frozenset((list, tuple))
_SHOWN = frozenset((str, int, float))
_WITHOUT = frozenset((int, float, bool, type(None)))
"""Kinds of which objects are shared all over the interpreter."""
MAX_OBJECTS = 200_000

Again = Callable[[], object]
"""Makes a value that is equal to what a source's was when it came."""
Node = tuple[Any, Any, Any]
"""The node above and the step from there; or None and the origin of a value; or None and a text
with how it was decoded, or the texts of several that were, by their forms.
Then the object whose texts have this node, or None if the node is a text's
own. So a text costs no object of its own."""


class Known:
    """Index of values, without their forms."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: list[tuple[str, str, object, Again | None]] = []
        self._undecoded: list[list[str]] = [[] for _ in range(MAX_DEPTH + 1)]
        """By how many encodings were undone already."""
        self._unread: list[tuple[bytes, Node, int]] = []
        self._texts: dict[str, Node] = {}
        self._numbers: dict[float, Node] = {}
        self._data: dict[bytes, Node] = {}
        self._unidentified: list[tuple[object, Node]] = []
        self._steps: dict[int, dict[object, object]] = {}
        self._sought: dict[int, int] = {}
        """How often a list of texts alone is still looked through for one, by its identity."""
        self._ids: set[int] = set()
        self._objects: dict[int, tuple[object, Node]] = {}
        self._keys: dict[str, Node] = {}
        self._characters = 0
        self._budget = Budget(0)
        self._granted = 0
        self._turn = _thread.RLock()
        """Held while the index grows: a thread must not search half of it."""
        self.sources = 0
        """How many were added: what was found out before one came may not be so after it."""
        self.overflown = False
        """True if a source was too large to be looked at whole."""

    def add(
        self, source: str, value: object, pointer: str = "", again: Again | None = None
    ) -> None:
        """Take JSON-like data that came from `source`; it is looked at when it is first needed.

        By then code may have changed it: `again` makes an equal one of what it was.
        """
        self.sources += 1
        self._waiting.append((source, pointer, value, again))

    def remember(self) -> None:
        """Look at the sources now."""
        self._index()

    def _index(self) -> None:
        """Know every text and object of the sources as they were when they came."""
        if not self._waiting:
            return
        with self._turn, uncollected():
            while self._waiting:
                # Each answer of a capability brings work of its own, but not without end: beyond
                # all grants its forms are refused as overflown, never let through.
                source, pointer, value, again = self._waiting.pop()
                if self._granted < MAX_DECODED_IN_ALL:
                    self._granted += MAX_DECODED
                    self._budget.left = max(self._budget.left, 0) + MAX_DECODED
                node = (None, Origin(source, pointer or ()), None)
                self._unidentified.append((value, node))
                self._walk(value if again is None else again(), node, 0)

    def _walk(self, value: object, node: Node, depth: int) -> None:  # noqa: PLR0912
        """Take every text in a value: the loop over ten thousand rows, with nothing for show."""
        texts, numbers, keys, new = self._texts, self._numbers, self._keys, self._undecoded[depth]
        above, step, _ = node
        # A list instead of recursion: an event may be nested deeper than the interpreter goes.
        todo: list[tuple[Any, Any, Any, int]] = [(value, above, step, 0)]
        while todo:
            item, above, step, level = todo.pop()
            if isinstance(item, dict):
                at: Node = (above, step, item)
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
            if len(item) >= _MANY and (
                self._take_list_of_texts(item, at, depth)
                or self._take_list_of_numbers(item, at)
                or (level < MAX_NESTING and self._take_rows(item, at, depth))
            ):
                continue
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
                # Keys are the caller's choice as much as values: `{name: 1}` can name a column.
                if type(step) is str and step not in keys:
                    keys[step] = at
                    if step not in texts:
                        texts[step] = at
                        new.append(step)
                if len(texts) >= MAX_TEXTS or len(numbers) >= MAX_TEXTS:
                    self.overflown = True
                    return

    def _take_list_of_texts(self, items: Any, at: Node, depth: int) -> bool:
        """Take a list of nothing but texts at once; False if it is another, or some are left."""
        texts = self._texts
        if isinstance(items, dict) or type(items[0]) is not str:
            return False
        room = MAX_TEXTS - len(texts) - 1
        some = items if len(items) <= room else items[:room]
        if set(map(type, some)) != _ONLY_TEXTS:
            return False
        fresh = dict.fromkeys(some, at)
        for known in texts.keys() & fresh.keys():
            del fresh[known]
        texts.update(fresh)
        self._undecoded[depth] += fresh
        return some is items

    def _take_list_of_numbers(self, items: Any, at: Node) -> bool:
        """Take a list of nothing but numbers at once; False if it is another, or too many."""
        if isinstance(items, dict) or not _NUMBERS.issuperset(map(type, items)):
            return False
        fresh = dict.fromkeys(items, at)
        if len(self._numbers) + len(fresh) >= MAX_TEXTS:
            return False
        self._numbers.update(fresh)
        return True

    def _take_rows(self, items: Any, at: Node, depth: int) -> bool:
        """Take a list of dictionaries of the same keys that hold texts and numbers alone at once.

        False if it is another, or too much is in it.
        """
        if isinstance(items, dict) or set(map(type, items)) != _ONLY_ROWS:
            return False
        names = items[0].keys()
        if set(map(tuple, items)) != {tuple(names)} or not _ONLY_TEXTS.issuperset(map(type, names)):
            return False
        columns = list(zip(*map(dict.values, items), strict=True))
        kinds = [set(map(type, column)) for column in columns]
        if not _OF_ROWS.issuperset(set().union(*kinds)):
            return False
        nodes = list(zip(repeat(at), range(len(items)), items))
        texts, numbers, keys = self._texts, self._numbers, self._keys
        fresh: dict[str, Node] = {}
        held: dict[float, Node] = {}
        for column, of in zip(reversed(columns), reversed(kinds), strict=True):
            if of == _ONLY_TEXTS:
                fresh.update(zip(column, nodes, strict=True))
            elif str in of:
                fresh.update(p for p in zip(column, nodes, strict=True) if type(p[0]) is str)
            if of <= _NUMBERS:
                held.update(zip(reversed(column), reversed(nodes), strict=True))
            elif not of.isdisjoint(_NUMBERS):
                pairs = zip(reversed(column), reversed(nodes), strict=True)
                held.update(p for p in pairs if type(p[0]) in _NUMBERS)
        for known in texts.keys() & fresh.keys():
            del fresh[known]
        room = MAX_TEXTS - len(fresh) - len(names)
        if len(texts) >= room or len(numbers) + len(held) >= MAX_TEXTS:
            return False
        numbers.update(held)
        texts.update(fresh)
        self._undecoded[depth] += fresh
        for name in names:
            keys.setdefault(name, nodes[-1])
            if name not in texts:
                texts[name] = nodes[-1]
                self._undecoded[depth].append(name)
        return True

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
                    ids.update(map(identity, item))
                    children: Any = item.items()
                elif isinstance(item, (list, tuple)):
                    children = enumerate(item)
                else:
                    objects[identity(item)] = (item, (above, step, None))
                    continue
                objects[identity(item)] = (item, at)
                for step, child in children:
                    kind = type(child)
                    if kind is str:
                        ids.add(identity(child))
                    elif kind not in _WITHOUT:
                        todo.append((child, at, step))

    def _take_one(self, item: object, node: Node, depth: int) -> None:
        if isinstance(item, str):
            if item and item not in self._texts:
                self._new(item, node, depth)
        elif isinstance(item, (bytes, bytearray)):
            self._take_data(bytes(item), node, depth)
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            self._numbers.setdefault(item, node)

    def _take_list_of_bytes(self, item: Any, node: Node, depth: int) -> None:
        """How JSON holds bytes, such as what Node.js makes of a `Buffer`."""
        if len(item) < MIN_SEARCHED:
            return
        # Whether all are bytes is told by the conversion, in C, and by its error.
        try:
            data = bytes(item)
        except (ValueError, TypeError):
            return
        self._take_data(
            data, (None, self._origin(node, None).decoded("a list of bytes"), None), depth
        )

    def _take_data(self, data: bytes, node: Node, depth: int) -> None:
        """Take bytes. What is in them is looked at when forms are: most are never asked about."""
        self._characters += len(data)
        if self._characters > MAX_CHARACTERS or len(self._data) >= MAX_DATA:
            self.overflown = True
            return
        # Two hundred, for `of_data` compares with each of them.
        self._data.setdefault(data, node)
        self._unread.append((data, node, depth))

    def _new(self, text: str, node: Node, depth: int) -> None:
        """Take a text that is not known yet."""
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS or len(self._texts) >= MAX_TEXTS:
            self.overflown = True
            return
        self._texts[text] = node
        self._undecoded[depth].append(text)

    def _origin(self, node: Node, value: object) -> Origin:
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
            text = text if type(text) is str else text[value]
            step = self._origin_of(text).decoded(how)
        origin: Origin = step
        if not steps:
            return origin
        before = (origin.steps,) if isinstance(origin.steps, str) else origin.steps
        return Origin(origin.source, (*before, *reversed(steps)), origin.decoding)

    def _step_to(self, holder: Any, value: object) -> list[object]:
        """Return the last steps to a text in an object, the very last first."""
        known = self._steps.get(identity(holder))
        if known is None and type(value) is str and type(holder) in _LISTS:
            # Most are asked for a few, which are compared in C.
            left = self._sought.get(identity(holder), -1)
            if left < 0:  # what is no text may be compared in a way of its own
                left = _FEW_STEPS if _ONLY_TEXTS.issuperset(map(type, holder)) else 0
            self._sought[identity(holder)] = max(left - 1, 0)
            if left and value in holder:
                return [holder.index(value)]
        if known is None:
            # Found at once for all of it: a list of ten thousand texts is asked for each of them.
            children = holder.items() if isinstance(holder, dict) else enumerate(holder)
            known = self._steps[identity(holder)] = {}
            for step, child in list(children):
                if type(child) in _SHOWN:
                    known.setdefault(child if type(child) is str else repr(child), step)
        if value in known:
            return [known[value]]
        return [KEY, value] if isinstance(holder, dict) and value in holder else []

    def _origin_of(self, text: str) -> Origin:
        return self._origin(self._texts[text], text)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep the collector away: it would go through all that the function has, for nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
