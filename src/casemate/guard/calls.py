"""What is noted of a call's result: what it was made of, or that the code checked a text by it."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType, MethodType
from typing import Any

from .frequent import MAX_ITEMS
from .generations import MAX_HELD, MAX_OBJECTS, Generations
from .identity import identity
from .names import OWN_KINDS
from .notes import (
    DERIVED,
    ESCAPERS,
    FORMAT,
    NUMBERED,
    REPLACED,
    SPREAD,
    SUBSTITUTED,
    TEXTS,
    Question,
    scalars,
    sources_of,
    words_of,
    written_by,
)
from .quick import MAX_WAITING
from .substituting import held

_ONLY_TEXTS = frozenset(TEXTS)
_PLAIN = frozenset((*TEXTS, int, float, bool, type(None)))
_WORD_CHECKS = frozenset(
    ("isalnum", "isalpha", "isdecimal", "isdigit", "isidentifier", "isnumeric")
)
_FINDERS = frozenset(("findall", "groups"))
_SPLITTERS = frozenset(("rsplit", "split", "splitlines"))
_CUTTERS = frozenset(("partition", "rpartition"))
_BEGINS = ("HTTP", "Stat", "Cont", "From", "Subj", "To: ", "Date", "MIME", "Retu", "Rece", "Repl")
_LEVELS = ("DEBU", "INFO", "WARN", "ERRO", "CRIT", "FATA", "NOTI", "AUDI")
_OF_LINES = frozenset((*_BEGINS, *_LEVELS, *(begin.encode() for begin in _BEGINS)))
"""Four signs that an answer begins with, or a mail, as it is sent or handed over, or a log."""
_FILTERS = frozenset(("sub",))
_PYTHON = frozenset((FunctionType, MethodType))
_WRITERS = frozenset(("to_bytes", "tobytes"))
_AFFIX_CHECKS = frozenset(("startswith", "endswith"))
_PURE_MODULES = frozenset(("textwrap",))
"""Modules of Python's whose functions make texts of their arguments alone."""
_MAX_QUESTIONS = 16
_LINKS = ("url", "found")
_IN_LINK = "://"
_ENDS_OF_LINKS = ("[^\\s", "\\S")
"""What a pattern has of links in texts: these go up to a blank."""
_ANCHORS = ("^", "\\A")
_MAX_LINKS = 200
_BY_PATTERN = ("pattern", None)
_PATTERN_CHECKS = frozenset(("fullmatch", "match", "search"))
_NAME_CHECKS = frozenset(("fnmatch", "fnmatchcase"))


def _looks_for_links(question: Question, *, whole: bool) -> bool:
    """Tell whether a pattern that was found somewhere in a text is one of links.

    `whole`: the text is the link, so that the pattern has to say where one ends in a text.
    """
    if question.function.__name__ != "search":
        return False
    pattern = getattr(question.function, "__self__", None)
    if pattern is None:
        pattern = question.arguments[0]
    text = str(getattr(pattern, "pattern", pattern))
    ends = any(mark in text for mark in _ENDS_OF_LINKS) and not text.startswith(_ANCHORS)
    return _IN_LINK in text and (ends or not whole)


class Calls(Generations):
    """Notes of calls by name, and of what the code asked of a text."""

    __slots__ = ("_asked", "_checked", "_members", "kept", "root")

    def __init__(self) -> None:
        """Begin with nothing noted."""
        super().__init__()
        self._checked: dict[str, tuple[str, object]] = {}
        self._asked: dict[str, list[Question]] = {}
        self._members: dict[str, tuple[str, ...]] = {}
        """Texts that were found in a collection of literals, and these."""
        self.root = "/function/code/"
        """The folder of the function's own code."""
        self.kept: dict[Any, Any] = {}
        """What sinks note for themselves while an invocation runs; a key begins with its sink."""

    def end(self) -> None:
        """Forget everything, and take no notes."""
        super().end()
        self._checked.clear()
        self._members.clear()
        self._asked.clear()
        self.kept.clear()

    def check_of(self, text: str) -> tuple[str, object]:
        """Return how the code checked a text, and the collection it was found in."""
        texts = self._members.get(text)
        if texts is not None:
            return "member", texts
        return self._checked.get(text, ("", None))

    def asked_of(self, text: str) -> Sequence[Question]:
        """Return what patterns, beginnings and ends the code found in a text."""
        return self._asked.get(text, ())

    def _looked_at(self, text: Any) -> None:
        """Judge an answer or a log that the code may have written itself, and takes apart."""
        if text[:4] in _OF_LINES:
            self._read_answer(text)

    def _read_answer(self, text: str | bytes) -> None:
        """Take in that the code reads the head of an answer, which it may have written."""

    def has_found(self, link: str) -> bool:
        """Tell whether a pattern has found a link in a text, or what the link is the beginning of.

        `search` and `match` are known by the text: what was found may not be seen being taken out.
        """
        if any(found.startswith(link) for found in self.kept.get(_LINKS, ())):
            return True
        return any(
            link in text and _looks_for_links(question, whole=link == text)
            for text, asked in self._asked.items()
            for question in asked
        )

    def checked_by(self, text: str, how: str, collection: object = None) -> None:
        """Note that the code checked a text."""
        self._checked.setdefault(text, (how, collection))

    def _noted(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        result: Any,
    ) -> None:
        if not self.active:
            return
        kind = type(result)
        if kind in TEXTS:
            self._called(function, arguments, named, result)
        elif kind is bool:
            if result:
                self._checked_by(function, arguments)
        elif kind in (list, tuple, dict):
            name = getattr(function, "__name__", "")
            owner = getattr(function, "__self__", None)
            if name in _CUTTERS and type(owner) in TEXTS:
                self._looked_at(owner)
            if type(function) in _PYTHON and self._is_own(function):
                return  # what it made was seen being made: `unpack` is of the code as well
            sources = sources_of(function, arguments, named)
            if name in _SPLITTERS and type(owner) in TEXTS:
                self._parted(result, sources)
            else:
                self._spread(result, sources)
            if name in _FINDERS:
                self._spelled(function, arguments, result)
        elif kind.__name__ == "Match":
            self._checked_by(function, arguments)

    def _is_own(self, function: Callable[..., Any]) -> bool:
        """Tell whether a function or a method is the code's own, by the file that it is in."""
        code = getattr(function, "__code__", None)  # a method has that of its function
        return code is not None and bool(code.co_filename.startswith(self.root))

    def _called(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        result: Any,
    ) -> None:
        owner = getattr(function, "__self__", None)
        # `strip` of what has nothing to strip: a note would overwrite how it was really made.
        if result is owner:
            return
        # Known by name alone: `unquote` of any library makes about the same of a text.
        name = getattr(function, "__name__", "")
        if type(owner) is str:
            if name in OWN_KINDS:
                self._called_method(owner, name, arguments, named, result)
            else:
                # What else a method of a text is given are texts and numbers.
                self._note(result, DERIVED, (owner, *arguments, *named.values()), 1)
            return
        if name in _FILTERS:
            self._filtered(function, arguments, named, result)
            return
        if name in _WRITERS:
            self._note(result, NUMBERED, ())
            return
        if name in ESCAPERS:
            self._checked.setdefault(result, (name, None))
        if isinstance(owner, string.Template):
            values = held(arguments, named)
            self._note(result, SUBSTITUTED, (owner.template, owner.pattern, values))
            return
        if name == "group":
            self._spelled(function, arguments, (result,))
        sources = sources_of(function, arguments, named)
        if all(result is not source for source in sources):
            wholly = getattr(function, "__module__", None) in _PURE_MODULES
            self._note(result, DERIVED, sources, int(wholly))

    def _filtered(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        result: Any,
    ) -> None:
        """Note what something named `sub` made: by a pattern, from what it was given."""
        if result not in self._checked:
            self._checked[result] = _BY_PATTERN
        sources = sources_of(function, arguments, named)
        for source in sources:
            if result is source:
                return
        wholly = getattr(function, "__module__", None) in _PURE_MODULES
        self._note(result, DERIVED, (*sources, written_by(function, arguments)), int(wholly))

    def _called_method(
        self, owner: str, name: str, arguments: tuple[Any, ...], named: dict[str, Any], result: str
    ) -> None:
        if name == "replace":
            if 2 <= len(arguments) <= 3 and result is not arguments[1]:
                self._note(result, REPLACED, (owner, *arguments))
            return
        if name == "translate":
            self._note(result, DERIVED, (owner,))
            return
        keyed = scalars(arguments[0] if name == "format_map" and arguments else named)
        values = scalars(arguments if name == "format" else ())
        if values is None or keyed is None:
            self._note(result, DERIVED, (owner, *(v for v in arguments if type(v) in TEXTS)))
        elif all(result is not value for value in (*values, *keyed.values())):
            # `"{}".format(text)` is that text.
            self._note(result, FORMAT, (owner, values, keyed))

    def _checked_by(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        name = getattr(function, "__name__", "")
        if name in _WORD_CHECKS:
            owner = getattr(function, "__self__", None)
            if type(owner) is str:
                self._checked.setdefault(owner, ("word", None))
        elif name in _AFFIX_CHECKS and arguments:
            owner = getattr(function, "__self__", None)
            if type(owner) is str:
                if name == "startswith":
                    self.kept[("prefix", owner)] = arguments[0]
                self._ask(owner, Question(function, arguments, -1))
        elif name in _PATTERN_CHECKS:
            # A pattern's method, or a function of `re`, which takes the pattern first.
            place = 1 if getattr(function, "__self__", None) is None else 0
            if len(arguments) > place and type(arguments[place]) is str:
                self._checked.setdefault(arguments[place], ("pattern", None))
                self._ask(arguments[place], Question(function, arguments, place))
        elif name in _NAME_CHECKS and len(arguments) > 1 and type(arguments[0]) is str:
            self._ask(arguments[0], Question(function, arguments, 0))

    def _spelled(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], found: Iterable[Any]
    ) -> None:
        """Note what a pattern found that it spells out itself: that is checked."""
        words = words_of(function, arguments)
        for item in found:
            for text in item if type(item) is tuple else (item,):
                if words and type(text) is str and text.lower() in words:
                    self._checked.setdefault(text, ("pattern", None))
                elif type(text) is str and _IN_LINK in text:
                    links = self.kept.setdefault(_LINKS, [])
                    if len(links) < _MAX_LINKS:
                        links.append(text)

    def _ask(self, text: str, question: Question) -> None:
        asked = self._asked.get(text)
        if asked is None:
            self._asked[text] = [question]
        elif len(asked) < _MAX_QUESTIONS:
            asked.append(question)

    def _parted(self, parts: list[Any], sources: tuple[Any, ...]) -> None:
        """Note the parts of a text that was split: nothing but texts."""
        if not self.active:
            return
        self._looked_at(sources[0])
        self._hold(sources)
        if len(self.objects) >= MAX_OBJECTS or self._held > MAX_HELD:
            self._settle()
            self._renew()
        self.objects[identity(parts)] = (parts, sources)
        # Of those that are looked at the list itself is one.
        self._list(parts[: MAX_ITEMS - 1], sources)

    def _list(self, texts: list[Any], sources: tuple[Any, ...]) -> None:
        if texts:
            self._listed += len(texts)
            if self._listed > MAX_WAITING:
                self._settle()
                self._listed = len(texts)
            self._waiting.append((texts, SPREAD, sources, 0))

    def _spread(self, result: Any, sources: tuple[Any, ...]) -> None:
        """Note every text in what a call returned."""
        if not sources:
            return
        self._hold(sources)
        if len(self.objects) >= MAX_OBJECTS or self._held > MAX_HELD:
            self._settle()
            self._renew()
        texts: list[Any] = []
        todo: list[Any] = [result]
        room = MAX_ITEMS
        while todo and room > 0:
            item = todo.pop()
            room -= 1
            kind = type(item)
            if kind in TEXTS:
                texts.append(item)
            elif kind is dict:
                self.objects[identity(item)] = (item, sources)
                inside = [*item.keys(), *item.values()]
                kinds = set(map(type, inside))
                if len(inside) <= room and kinds <= _PLAIN:
                    # A row: nothing in it holds anything. In the order in which one by one is.
                    inside.reverse()
                    room -= len(inside)
                    texts += (
                        inside if kinds <= _ONLY_TEXTS else [i for i in inside if type(i) in TEXTS]
                    )
                else:
                    todo += inside
            # Bounded by what it holds, not by depth: a parser's answer can refer to itself.
            elif kind in (list, tuple):
                self.objects[identity(item)] = (item, sources)
                if _ONLY_TEXTS.issuperset(map(type, item[:room])):
                    # Most calls return a list of texts.
                    texts += item[:room]
                    room -= len(item)
                else:
                    todo += item[:MAX_ITEMS]
        self._list(texts, sources)
