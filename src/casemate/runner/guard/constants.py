"""Texts that the function's own code holds: an event's value that equals one was foreseen."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath
from types import CodeType, ModuleType

_WORD = re.compile(r"[^\W\d]\w{0,63}")
_FIELD = re.compile(r"%(?:\(\w+\))?[a-z]|\{\w*\}|\$\{?\w+\}?|:\w+|\?")
"""Where templates have their values, as they are usually written."""
_MIN_STANDING = 4
_MAX_ITEMS = 5000
_MAX_DEPTH = 4
_MAX_TEXT = 64 * 1024
"""Characters; what is longer is data, not a text that foresees a value."""


class Constants:
    """Collected from code objects when they are loaded, and from modules once they have run."""

    def __init__(self) -> None:
        """Begin empty."""
        self._texts: set[str] = set()
        self._words: set[str] = set()
        self._parts: list[str] | None = None

    def add_code(self, code: CodeType) -> None:
        """Take the constants and names of a module's code and of all code in it."""
        todo: list[object] = [code]
        while todo:
            item = todo.pop()
            if isinstance(item, CodeType):
                todo += item.co_consts
                self._words.update(name.lower() for name in item.co_names)
            elif isinstance(item, (tuple, frozenset)):
                todo += item
            else:
                self.take(item)

    def add_module(self, module: ModuleType) -> None:
        """Take the texts among a module's values, which were made before there was an event."""
        for name, value in list(vars(module).items()):
            if name != "__builtins__":  # its keys are no choice of the code
                self._walk(value, module.__name__)

    def _walk(self, value: object, module: str) -> None:
        todo: list[tuple[object, int]] = [(value, 0)]
        for _ in range(_MAX_ITEMS):
            if not todo:
                return
            item, depth = todo.pop()
            if depth > _MAX_DEPTH:
                continue
            if isinstance(item, dict):
                todo += [(part, depth + 1) for part in (*item.keys(), *item.values())]
            elif isinstance(item, (list, tuple, set, frozenset)):
                todo += [(part, depth + 1) for part in item]
            elif isinstance(item, type) and item.__module__ == module:
                # The values of an enum are attributes of its members.
                todo += [(part, depth + 1) for part in vars(item).values()]
                members = vars(item).get("_value2member_map_")
                todo.append((members, depth + 1))
            else:
                self.take(item)

    def take(self, item: object) -> None:
        """Take one value, if it is a text."""
        if isinstance(item, (bytes, str)) and len(item) > _MAX_TEXT:
            return
        if isinstance(item, bytes):
            item = item.decode("latin-1")
        elif isinstance(item, PurePath):
            item = str(item)
        if isinstance(item, str) and item:
            self._texts.add(item)
            self._parts = None
            if _WORD.fullmatch(item):
                self._words.add(item.lower())

    @property
    def texts(self) -> Collection[str]:
        """Every text that the code holds."""
        return self._texts

    def holds(self, text: str) -> bool:
        """Tell whether the code holds this very text."""
        return text in self._texts

    def standing_in(self, text: str) -> list[tuple[int, int]]:
        """Return where in a text others stand that the code holds, or literal parts of templates."""
        if self._parts is None:
            parts = {part for known in self._texts for part in _FIELD.split(known)}
            self._parts = [part for part in parts if len(part) > _MIN_STANDING]
        found: list[tuple[int, int]] = []
        for part in self._parts:
            start = text.find(part)
            while start >= 0:
                found.append((start, start + len(part)))
                start = text.find(part, start + len(part))
        return found

    def holds_word(self, text: str) -> bool:
        """Tell whether a text is a single word that the code holds, in whatever case."""
        return text.lower() in self._words
