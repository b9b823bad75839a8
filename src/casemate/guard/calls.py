"""What is noted of a call's result: what it was made of, or that the code checked a text by it."""

from __future__ import annotations

import collections
import re
import string
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType, MethodType
from typing import Any

from .frequent import BEGINS_WITH, IN_LINK, MAX_ITEMS
from .generations import MAX_HELD, MAX_OBJECTS, Generations
from .identity import identity
from .matched import substitution
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
    Asked,
    Question,
    scalars,
    sources_of,
    spelled_by,
    takes_anything,
    takes_others_out,
    words_of,
    written_by,
)
from .quick import MAX_SHORT, MAX_WAITING
from .rows import Rows, rows_in
from .substituting import held

_ONLY_TEXTS = frozenset(TEXTS)
_PLAIN = frozenset((*TEXTS, int, float, bool, type(None)))
_WORD_CHECKS = frozenset(
    ("isalnum", "isalpha", "isdecimal", "isdigit", "isidentifier", "isnumeric")
)
_FINDERS = frozenset(("findall", "groups"))
_SPLITTERS = frozenset(("rsplit", "split", "splitlines"))
_CUTTERS = frozenset(("partition", "rpartition"))
_DIVIDING = _CUTTERS | frozenset(("rsplit", "split"))
_FILTERS = frozenset(("sub",))
_PYTHON = frozenset((FunctionType, MethodType))
_WRITERS = frozenset(("to_bytes", "tobytes"))
_AFFIX_CHECKS = frozenset(("startswith", "endswith"))
_PURE_MODULES = frozenset(("textwrap",))
"""Modules of Python's whose functions make texts of their arguments alone."""
_MAX_QUESTIONS = 16
Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""What is called, and the arguments."""
_LINKS = ("url", "found")
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
    return IN_LINK in text and (ends or not whole)


class Calls(Generations):
    """Notes of calls by name, and of what the code asked of a text."""

    __slots__ = (
        "_answers",
        "_asked",
        "_checked",
        "_members",
        "_wordless",
        "cuts_left",
        "divides",
        "kept",
        "root",
    )

    def __init__(self) -> None:
        """Begin with nothing noted."""
        super().__init__()
        self._checked: dict[str, tuple[str, object]] = {}
        self._asked: dict[str, list[Asked]] = {}
        self._answers: list[tuple[Any, Any, Any]] = []
        """What was asked and answered by yes, and nobody wanted to know yet: a call of a pattern,
        as in `Asked`; or a text, `startswith` or `endswith`, and with what."""
        self._members: dict[str, tuple[str, ...]] = {}
        """Texts that were found in a collection of literals, and these."""
        self._wordless: object = None
        """The last pattern that was found to spell out no word."""
        self.root = "/function/code/"
        """The folder of the function's own code."""
        self.divides: dict[str, bool] = collections.defaultdict(bool)
        """Of signs at which texts are cut, whether the code may have put them between values."""
        self.cuts_left = 0
        """Texts that are cut which are still looked at in this invocation."""
        self.kept: dict[Any, Any] = {}
        """What sinks note for themselves while an invocation runs; a key begins with its sink."""

    def end(self) -> None:
        """Forget everything, and take no notes."""
        super().end()
        self._wordless = None
        for kept in (self._answers, self._checked, self._members, self._asked, self.kept):
            if kept:
                kept.clear()

    def check_of(self, text: str) -> tuple[str, object]:
        """Return how the code checked a text, and the collection it was found in."""
        if self._answers:
            self._settle_answers()
        texts = self._members.get(text)
        if texts is not None:
            return "member", texts
        checked = self._checked.get(text)
        if checked is None:
            return _BY_PATTERN if self._is_matched(text) else ("", None)
        return checked

    def _is_matched(self, text: str) -> bool:
        """Tell whether a pattern of the code's matched all of a text.

        One that looks at its beginning, or for something in it, has checked nothing of the rest.
        """
        for question in self.asked_of(text):
            if question.function.__name__ in _PATTERN_CHECKS:
                found = question.find(text)
                if found is None or takes_anything(found.re.pattern):
                    continue
                if found.span() == (0, len(text)):
                    return True
        return False

    def asked_of(self, text: str) -> Sequence[Question]:
        """Return what patterns, beginnings and ends the code found in a text."""
        if self._answers:
            self._settle_answers()
        return [Question(*asked) for asked in self._asked.get(text, ())]

    def _looked_at(self, text: Any) -> None:
        """Judge an answer or a log that the code may have written itself, and takes apart."""
        if text[:4] in BEGINS_WITH:
            self._read_answer(text)

    def _divided(
        self, text: str, sign: str, most: int, backwards: bool, index: int | None = None
    ) -> None:
        """Take in that the code cuts a text at a sign that it may have put there."""

    def _marked(self, text: str, *given: Any) -> None:
        """Take in that the code fills a mark of a text."""

    def _read_answer(self, text: str | bytes) -> None:
        """Take in that the code reads the head of an answer, which it may have written."""

    def has_found(self, link: str) -> bool:
        """Tell whether a pattern has found a link in a text, or what the link is the beginning of.

        `search` and `match` are known by the text: what was found may not be seen being taken out.
        """
        if any(found.startswith(link) for found in self.kept.get(_LINKS, ())):
            return True
        if self._answers:
            self._settle_answers()
        return any(
            link in text and _looks_for_links(Question(*question), whole=link == text)
            for text, asked in self._asked.items()
            for question in asked
        )

    def checked_by(self, text: str, how: str, collection: object = None) -> None:
        """Note that the code checked a text."""
        if self._answers:
            self._settle_answers()
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
            if type(function) is FunctionType:
                self._returned(function, arguments, named, result)
            else:
                self._gave(function, arguments, named, result)
        elif kind.__name__ == "Match":
            self._checked_by(function, arguments)

    def _gave(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        result: Any,
    ) -> None:
        """Note what a method gave, or what is written in C."""
        name = getattr(function, "__name__", "")
        owner = getattr(function, "__self__", None)
        if name in _CUTTERS and type(owner) in TEXTS:
            self._looked_at(owner)
        if type(owner) is str and name in _DIVIDING and arguments:
            self._cut_at(owner, name, arguments)
        if type(function) in _PYTHON and self._is_own(function):
            return  # what it made was seen being made: `unpack` is of the code as well
        sources = sources_of(function, arguments, named)
        if name in _SPLITTERS and type(owner) in TEXTS:
            self._parted(result, sources)
        else:
            self._spread(result, sources)
        if name in _FINDERS:
            self._spelled(function, arguments, result)

    def _returned(
        self,
        function: FunctionType,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        result: Any,
    ) -> None:
        """Note what a function returned that is written in Python: it is no text's method."""
        # A sink's wrapper is none of the code's. To ask for a function's code raises an event.
        own = function.__globals__.get("__package__") != __package__ and self._is_own(function)
        if own:
            return  # what it made was seen being made
        self._spread(result, sources_of(function, arguments, named))
        if function.__name__ in _FINDERS:
            self._spelled(function, arguments, result)

    def _cut_at(self, text: str, name: str, arguments: tuple[Any, ...]) -> None:
        sign, most = arguments[0], arguments[1] if len(arguments) > 1 else -1
        if type(sign) is str and type(most) is int and sign in text and self.divides[sign]:
            self._divided(text, sign, 1 if name in _CUTTERS else most, name[:1] == "r")

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
            self.checked_by(result, name)
        if isinstance(owner, string.Template):
            values = held(arguments, named)
            # Of a template without a place it is the template, and of one with no more its value.
            if all(result is not text for text in (owner.template, *values.values())):
                self._note(result, SUBSTITUTED, (owner.template, owner.pattern, values))
            return
        if name == "group":
            self._spelled(function, arguments, (result,))
        sources = sources_of(function, arguments, named)
        if self._is_made(function, result) or any(result is source for source in sources):
            return
        wholly = getattr(function, "__module__", None) in _PURE_MODULES
        self._note(result, DERIVED, sources, int(wholly))

    def _is_made(self, function: Callable[..., Any], result: str) -> bool:
        """Tell whether a text was seen being made within a function of the code's, or `reduce`."""
        if type(function) in _PYTHON:
            return self._is_own(function) and self._is_of_last(result)
        return getattr(function, "__name__", "") == "reduce" and self.has(result)

    def _filtered(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        result: Any,
    ) -> None:
        """Note what something named `sub` made: by a pattern, from what it was given."""
        if result not in self._checked and takes_others_out(function, arguments, named, result):
            self._checked[result] = _BY_PATTERN
        sources = sources_of(function, arguments, named)
        for source in sources:
            if result is source:
                return
        wholly = getattr(function, "__module__", None) in _PURE_MODULES
        written = written_by(function, arguments)
        again = substitution(function, arguments, named)
        if again is not None and callable(again.by):
            self._marked(again.text, again, result)
        parts = (*sources, written) if again is None else (*sources, again, written)
        self._note(result, DERIVED, parts, int(wholly))

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
            # A date or a list beside them is not held: how it is shown is not known, only of what.
            mapped = arguments[0] if name == "format_map" and arguments else named
            given = (*arguments, *(mapped.values() if isinstance(mapped, dict) else ()))
            self._note(result, DERIVED, (owner, *(v for v in given if type(v) in TEXTS)))
        elif all(result is not value for value in (*values, *keyed.values())):
            # `"{}".format(text)` is that text.
            self._note(result, FORMAT, (owner, values, keyed))

    def _checked_by(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        name = getattr(function, "__name__", "")
        if name in _WORD_CHECKS:
            owner = getattr(function, "__self__", None)
            if type(owner) is str:
                self.checked_by(owner, "word")
        elif name in _AFFIX_CHECKS and arguments:
            owner = getattr(function, "__self__", None)
            if type(owner) is str:
                if name == "startswith":
                    self.kept[("prefix", owner)] = arguments[0]
                self._ask(owner, (function, arguments, -1))
        elif name in _PATTERN_CHECKS:
            # A pattern's method, or a function of `re`, which takes the pattern first.
            place = 1 if getattr(function, "__self__", None) is None else 0
            if len(arguments) > place and type(arguments[place]) is str:
                self._ask(arguments[place], (function, arguments, place))
        elif name in _NAME_CHECKS and len(arguments) > 1 and type(arguments[0]) is str:
            self._ask(arguments[0], (function, arguments, 0))

    def _spelled(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], found: Iterable[Any]
    ) -> None:
        """Note what a pattern found that it spells out itself: that is checked."""
        words = words_of(function, arguments)
        for item in found:
            for text in item if type(item) is tuple else (item,):
                if words and type(text) is str and text.lower() in words:
                    self._checked.setdefault(text, ("pattern", None))
                elif type(text) is str and IN_LINK in text:
                    links = self.kept.setdefault(_LINKS, [])
                    if len(links) < _MAX_LINKS:
                        links.append(text)

    def _settle_answers(self) -> None:
        """Know what was asked since somebody wanted to."""
        with self._turn:
            answers = self._answers[:]
            del self._answers[: len(answers)]
            for first, second, third in answers:
                if type(first) is str:
                    self._ask(first, (getattr(first, second), (third,), -1))
                    continue
                self._ask(second[third], (first, second, third))

    def _ask(self, text: str, question: Asked) -> None:
        if self._answers:
            self._settle_answers()
        asked = self._asked.get(text)
        if asked is None:
            self._asked[text] = [question]
        elif len(asked) < _MAX_QUESTIONS:
            asked.append(question)

    def _parted(self, parts: list[Any], sources: tuple[Any, ...], at: str = "") -> None:
        """Note the parts of a text that was split: nothing but texts."""
        if not self.active:
            return
        owner = sources[0]
        if at and type(owner) is str and len(parts) > 1 and self.divides[at]:
            self._divided(owner, at, -1, False)
        # Without a separator it was split at the ends of its lines, or is long.
        if len(sources) == 1 or sources[-1] == "\n" or owner[:4] in BEGINS_WITH:
            self._read_answer(owner)
        if len(owner) > MAX_SHORT or len(sources[-1]) > MAX_SHORT:
            self._hold_more(sources)
        # The code may change its list. Of those that are looked at the list itself is one.
        self._list((parts, SPREAD, sources, parts[: MAX_ITEMS - 1]))

    def _partitioned(self, found: tuple[str, ...], sources: tuple[str, str]) -> None:
        """Note the two parts of a text that was cut at a separator."""
        if not self.active:
            return
        self._looked_at(sources[0])
        self._hold_more(sources)
        self._list((found, SPREAD, sources, found[::2]))

    def _grouped(self, call: Call, match: re.Match[Any], found: Any) -> None:
        """Note what `group` or `groups` of a match found: a text, or several and None."""
        text, pattern = match.string, match.re.pattern
        if not self.active:
            return
        if type(text) is not str or type(pattern) is not str:
            self._noted(*call, {}, found)
            return
        several = type(found) is tuple
        words = spelled_by(pattern)
        if not words:
            self._wordless = match.re
        if words or IN_LINK in text:
            self._spelled(*call, found if several else (found,))
        if several:
            if len(text) > MAX_SHORT:
                self._hold_more((text,))
            self._list((found, SPREAD, (text,), found[: MAX_ITEMS - 1]))
        elif found is not text:
            self._note(found, DERIVED, (text,))

    def _hold_more(self, sources: tuple[Any, ...]) -> None:
        """Count what a list is made of, and make room for it."""
        self._hold(sources)
        if self._held > MAX_HELD:
            self._settle()
            self._renew()

    def _list(self, note: tuple[Any, ...]) -> None:
        """Take the note of a list or a tuple, as it is told by `SPREAD`."""
        self._lists.append(note)
        self._waiting.append(note)
        self._listed += len(note[3])
        if self._listed > MAX_WAITING:
            self._forget_lists()

    def _spread(self, result: Any, sources: tuple[Any, ...]) -> None:
        """Note every text in what a call returned."""
        self._hold_more(sources)
        if not sources or self._is_one_row(result, sources):
            return
        if len(self.objects) >= MAX_OBJECTS:
            self._renew_objects()
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
                self._objects[identity(item)] = (item, sources)
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
                self._objects[identity(item)] = (item, sources)
                if _ONLY_TEXTS.issuperset(map(type, item[:room])):
                    # Most calls return a list of texts.
                    texts += item[:room]
                    room -= len(item)
                else:
                    inside, taken = self._without_rows(list(item[:MAX_ITEMS]), room, sources)
                    todo += inside
                    room -= taken
        if texts:
            self._waiting.append((texts, SPREAD, sources, texts))
            self._listed += len(texts)
            if self._listed > MAX_WAITING:
                self._forget_lists()

    def _is_one_row(self, row: Any, sources: tuple[Any, ...]) -> bool:
        """Take the note of a dictionary in which nothing holds anything; False for another."""
        if type(row) is not dict:
            return False
        inside = [*row.keys(), *row.values()]
        kinds = set(map(type, inside))
        if not 0 < len(inside) < MAX_ITEMS or not kinds <= _PLAIN:
            return False
        inside.reverse()
        texts = inside if kinds <= _ONLY_TEXTS else [i for i in inside if type(i) in TEXTS]
        self._list((row, SPREAD, sources, texts))
        return True

    def _without_rows(
        self, items: list[Any], room: int, sources: tuple[Any, ...]
    ) -> tuple[list[Any], int]:
        """Take the note of rows at the end of a list: return what is left, and the room taken."""
        found = rows_in(items, room)
        if not found:
            return items, 0
        rows = Rows(found)
        self._uncounted = True
        self._list((found, SPREAD, sources, rows))
        return items[: -len(found)], rows.room
