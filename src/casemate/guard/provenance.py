"""How the function's own code put its texts together, kept while an invocation runs.

The rewritten code (`rewriting.py`) calls `join`, `add`, `percent`, `call`, `joined`, `cut` and
`member` where it made or checked a text. They do what the code said, and note the result by its
identity, with what it was made of. Nothing is searched or compared until a sink asks.
"""

from __future__ import annotations

import _thread
import collections
import itertools
import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .names import OWN_KINDS
from .notes import (
    DERIVED,
    ESCAPERS,
    FORMAT,
    JOINED,
    PERCENT,
    REPLACED,
    SPREAD,
    SUBSTITUTED,
    TEXTS,
    Made,
    Question,
    scalars,
    sources_of,
    words_of,
)
from .quick import (
    MAX_SHORT,
    MAX_WAITING,
    adder,
    again_cutter,
    all_finder,
    caller,
    cutter,
    finder,
    giver,
    joiner,
    longer,
    turner,
    written_out,
)
from .substituting import held

MAX_TEXT = 32 * 1024
"""Characters of a text whose making is noted; longer ones are searched at the sink instead."""
MAX_GROWN = 4096
"""Characters up to which a text that is added to is noted."""
MAX_NOTED = 8192
MAX_CHARACTERS = 4 << 20
MAX_PENDING = 1 << 20
"""Characters of longer texts, and of what they were made from, that wait until a sink asks."""
MAX_HELD = 16 << 20
"""Characters that are kept from being freed, since texts were made of them."""
MAX_OBJECTS = 8192
"""Bounds of one generation of notes; when it is full, the one before it is forgotten."""
_MAX_ITEMS = 1000
_ONLY_TEXTS = frozenset(TEXTS)
_WORD_CHECKS = frozenset(
    ("isalnum", "isalpha", "isdecimal", "isdigit", "isidentifier", "isnumeric")
)
_FINDERS = frozenset(("findall", "groups"))
_SPLITTERS = frozenset(("rsplit", "split", "splitlines"))
_FILTERS = frozenset(("sub",))
_AFFIX_CHECKS = frozenset(("startswith", "endswith"))
_MAX_QUESTIONS = 16
_FROM_CODE = (tuple, set, frozenset, range)
"""Collections of numbers that no event brings."""
_PATTERN_CHECKS = frozenset(("fullmatch", "match", "search"))

Watcher = Callable[[tuple[Any, ...], dict[str, Any]], None]
"""Takes the arguments of a call before it is made; raises to stop it."""


class Provenance:
    """The notes of one process, emptied for each invocation."""

    __slots__ = (
        "_asked",
        "_characters",
        "_checked",
        "_generation",
        "_held",
        "_held_last",
        "_listed",
        "_made",
        "_made_before",
        "_members",
        "_objects_before",
        "_pending",
        "_turn",
        "_waiting",
        "active",
        "add",
        "all_found",
        "called",
        "cut",
        "cut_again",
        "found",
        "given",
        "join",
        "kept",
        "known",
        "len",
        "long",
        "note",
        "numbers",
        "objects",
        "str",
        "turned",
        "type",
        "watchers",
    )

    def __init__(self) -> None:
        """Begin inactive: what is made at import holds no event."""
        self.active = False
        self._made: dict[Any, tuple[Any, ...]] = {}
        self._made_before: dict[Any, tuple[Any, ...]] = {}
        self._checked: dict[str, tuple[str, object]] = {}
        self._asked: dict[str, list[Question]] = {}
        self._characters = 0
        self._generation = 0
        self.numbers: set[int] = set()
        """Numbers that the code found in a collection that no JSON has."""
        self._held = 0
        self._held_last: object = None
        self._objects_before: dict[int, tuple[object, tuple[Any, ...]]] = {}
        self.objects: dict[int, tuple[object, tuple[Any, ...]]] = {}
        """Lists and dicts that a call made from texts, and these texts."""
        self.kept: dict[Any, Any] = {}
        """What sinks note for themselves while an invocation runs; a key begins with its sink."""
        self.watchers: dict[str, Watcher] = {}
        """By name of a call that rewritten code announces: set once, by the sinks."""
        self._waiting: collections.deque[tuple[Any, ...]] = collections.deque(maxlen=MAX_WAITING)
        """Notes as in `Made` that nobody has asked about."""
        self._listed = 0
        """Texts in lists among these, at least."""
        self._pending = 0
        """Characters of texts among these that are too long for `quick`, at most."""
        self._turn = _thread.RLock()
        """Held while these become known: a thread must not miss what another has in its hands."""
        append = self._waiting.append
        self.join = joiner(append, self._note_made)
        self.add = adder(append, self._add_made)
        self.called = caller(append, self._noted)
        self.given = giver(append, self._noted)
        self.note = append
        self.long = longer(self._note_made)
        self.turned = turner(append, self._note_made)
        self.len, self.type, self.str = len, type, str  # by names that no code uses for others
        self._members: dict[str, tuple[str, ...]] = {}
        self.known: list[str] = []
        """The first few texts that were found in a collection of literals: most are found again."""
        self.found = finder(self._members, self.known)
        self.all_found = all_finder(self._members, self.found)
        self.cut = cutter(append, self._note_made)
        self.cut_again = again_cutter(append, self._note_made)

    def begin(self) -> None:
        """Forget everything, and take notes."""
        self.end()
        self.active = True

    def end(self) -> None:
        """Forget everything, and take no notes."""
        self.active = False
        self._waiting.clear()
        self._listed = self._pending = 0
        self._made = {}
        self._made_before = {}
        self._checked.clear()
        self._members.clear()
        self.known.clear()
        self._asked.clear()
        self.numbers.clear()
        self.objects = {}
        self._objects_before = {}
        self.kept.clear()
        self._characters = self._held = 0
        self._held_last = None

    def of(self, value: object) -> Made | None:
        """Return how a text was made, if it was seen."""
        if self._waiting:
            self._settle()
        single = (type(value) is str or type(value) is bytes) and len(value) == 1
        key: Any = value if single else id(value)
        made = self._made.get(key) or self._made_before.get(key)
        # A note holds its text, so an id is no other's. Of single characters only those of Latin-1
        # are one object each: an equal one of others may not be the one that was noted.
        return Made(*made) if made is not None and made[0] is value else None

    def has(self, value: str) -> bool:
        """Tell whether a text was noted, or is of one character, which has no identity."""
        if self._waiting:
            self._settle()
        key = id(value)
        return key in self._made or key in self._made_before or len(value) == 1

    def since(self, mark: tuple[int, int]) -> tuple[list[tuple[Any, ...]], tuple[int, int]]:
        """Return the notes, as in `Made`, that were taken after a mark, and the mark of now.

        The first mark is `(-1, 0)`. A mark of a generation that is forgotten has all that are left.
        """
        if self._waiting:
            self._settle()
        generation, count = mark
        now = (self._generation, len(self._made))
        if generation == self._generation:
            return list(itertools.islice(self._made.values(), count, None)), now
        return [*self._made_before.values(), *self._made.values()], now

    def check_of(self, text: str) -> tuple[str, object]:
        """Return how the code checked a text, and the collection it was found in."""
        texts = self._members.get(text)
        if texts is not None:
            return "member", texts
        return self._checked.get(text, ("", None))

    def asked_of(self, text: str) -> Sequence[Question]:
        """Return what patterns, beginnings and ends the code found in a text."""
        return self._asked.get(text, ())

    def derived(self, value: object, sources: Iterable[object]) -> None:
        """Note that `value` was made from `sources`, in a way that only a sink can judge."""
        self._note(value, DERIVED, tuple(sources))

    def joins(self, value: object, parts: tuple[Any, ...]) -> None:
        """Note that `value` was put together from `parts`, none of them known as a literal."""
        self._note(value, JOINED, parts)

    def checked_by(self, text: str, how: str, collection: object = None) -> None:
        """Note that the code checked a text."""
        self._checked.setdefault(text, (how, collection))

    def _settle(self) -> None:
        """Know what was noted since somebody asked."""
        waiting = self._waiting
        with self._turn:
            if not self.active:
                waiting.clear()
            self._listed = self._pending = 0
            while waiting:
                # Away only when it is known: without the turn, others look whether it is empty.
                self._keep(waiting[0])
                waiting.popleft()

    def _note(self, value: Any, kind: str, parts: tuple[Any, ...], constant: int = 0) -> None:
        length = len(value)
        if not 1 <= length <= MAX_TEXT:
            return
        if kind is not JOINED:
            length += sum(len(p) for p in parts if type(p) is str or type(p) is bytes)
        self._pending += length
        if self._pending > MAX_PENDING:
            self._settle()
            self._pending = length
        self._waiting.append((value, kind, parts, constant))

    def _keep(self, note: tuple[Any, ...]) -> None:
        if type(note[1]) is not str or len(note) < 4:
            for each in written_out(note):
                self._keep_whole(each)
        else:
            self._keep_whole(note)

    def _keep_whole(self, note: tuple[Any, ...]) -> None:
        value = note[0]
        if note[1] is SPREAD:
            sources = note[2]
            for text in value:
                if all(text is not source for source in sources):
                    self._keep((text, DERIVED, sources, 0))
            return
        length = len(value)
        # Texts of one character are shared by the whole interpreter: they have no identity, and
        # are known by what they are, if it is no letter that is anywhere.
        single = length == 1 and note[1] == DERIVED and not value.isalnum()
        if not (single or 2 <= length <= MAX_TEXT):
            return
        made = self._made
        self._characters += length
        if note[1] is DERIVED or note[1] is REPLACED:
            self._hold(note[2])
        if len(made) >= MAX_NOTED or self._characters > MAX_CHARACTERS or self._held > MAX_HELD:
            self._renew()
            made = self._made
        made[value if single else id(value)] = note

    def _hold(self, sources: Iterable[object]) -> None:
        """Count the long texts that a note keeps: what was cut from them can be much shorter."""
        for source in sources:
            if (type(source) is str or type(source) is bytes) and len(source) > MAX_SHORT:
                # Most are cut, or split, many times in a row.
                if source is not self._held_last:
                    self._held += len(source)
                self._held_last = source

    def _renew(self) -> None:
        """Begin a generation, and forget the one before the one that ends."""
        # Two of them: what was made last is what a sink is asked about next.
        self._made_before, self._made = self._made, {}
        self._objects_before, self.objects = self.objects, {}
        self._characters = self._held = 0
        self._generation += 1

    def made_from(self, value: object) -> tuple[Any, ...] | None:
        """Return the texts that a call made a list or dict from, if it was seen."""
        found = self.objects.get(id(value)) or self._objects_before.get(id(value))
        return found[1] if found is not None and found[0] is value else None

    def _note_made(self, value: Any, kind: str, parts: tuple[Any, ...], constant: int) -> None:
        if self.active:
            self._note(value, kind, parts, constant)

    def _add_made(self, result: Any, left: Any, right: Any, constant: int) -> None:
        if self.active:
            self._added(result, left, right, constant)

    # -- called by rewritten code --------------------------------------------------------------

    def short(self, text: Any) -> bool:
        """Tell whether a growing text is noted: held by a note, it could not grow in place."""
        return type(text) not in TEXTS or len(text) <= MAX_GROWN

    def grows(self, text: Any) -> bool:
        """Tell the same of what may be no text at all: then it is not noted."""
        return type(text) in TEXTS and len(text) <= MAX_GROWN

    def augment(self, constant: int, left: Any, right: Any) -> Any:
        """Do `left += right`."""
        # Held here, it cannot grow in place; so rewritten code asks `short` or `grows` before.
        before = left
        left += right
        if self.active and type(left) in TEXTS:
            self._added(left, before, right, constant)
        return left

    def percent(self, template: Any, arguments: Any) -> Any:
        """Do `template % arguments`."""
        result = template % arguments
        if self.active and type(template) is str and result is not template:
            values = scalars(arguments)
            if values is not None:
                self._note(result, PERCENT, (template, values))
        return result

    def joined(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Do a call of something named `join`."""
        separator = getattr(function, "__self__", None)
        if not self.active or type(separator) not in TEXTS or named or len(arguments) != 1:
            return function(*arguments, **named)
        parts = arguments[0]
        # A generator gives its texts once.
        if type(parts) not in (list, tuple):
            parts = list(parts)
        result = function(parts)
        if len(result) > MAX_TEXT:
            return result
        if len(parts) > 1 and len(parts) <= _MAX_ITEMS and all(result is not p for p in parts):
            pieces = [parts[0]]
            for part in parts[1:]:
                pieces += (separator, part)
            self._note(result, JOINED, tuple(pieces))
        return result

    def call(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Do a call of something that makes texts of texts, or checks one."""
        result = function(*arguments, **named)
        self._noted(function, arguments, named, result)
        return result

    def member(self, value: Any, collection: Any) -> bool:
        """Do `value in collection`."""
        found = value in collection
        # A part of a text is no member. What else was asked of the text says less than this.
        if found and self.active and type(value) is str and not isinstance(collection, TEXTS):
            self._checked[value] = ("member", collection)
        elif found and self.active and type(value) is int and type(collection) in _FROM_CODE:
            self.numbers.add(value)
        return found

    def same(self, left: Any, right: Any) -> Any:
        """Do `left == right`, one of which the code has written."""
        # Compared as the code did: an object may answer with one that is neither True nor False.
        result = left == right
        if result is True and self.active and type(left) is str and type(right) is str:
            self._compared(left, right)
        return result

    def differs(self, left: Any, right: Any) -> Any:
        """Do `left != right`, one of which the code has written."""
        result = left != right
        if result is False and self.active and type(left) is str and type(right) is str:
            self._compared(left, right)
        return result

    def matched(self, subject: Any, texts: tuple[Any, ...]) -> Any:
        """Do `match subject`, some of whose cases are texts."""
        if self.active and type(subject) is str and subject in texts:
            self._checked[subject] = ("member", texts)
        return subject

    def seen(self, name: str, value: Any) -> Any:
        """Announce what a call of `name` is given, where the call has to stay where it is."""
        if self.active and name in self.watchers:
            self.watchers[name]((value,), {})
        return value

    def watched(
        self, name: str, function: Callable[..., Any], /, *arguments: Any, **named: Any
    ) -> Any:
        """Announce a call, then do it."""
        if self.active and name in self.watchers:
            self.watchers[name]((function, *arguments), named)
        # What an attribute holds was not made from its name.
        if function is getattr:
            return function(*arguments, **named)
        return self.call(function, *arguments, **named)

    def _compared(self, left: str, right: str) -> None:
        # Which of both the code has written is found out when a sink asks.
        self._checked[left] = ("member", (left, right))

    # -- notes ---------------------------------------------------------------------------------

    def _added(self, result: Any, left: Any, right: Any, constant: int) -> None:
        if result is left or result is right:
            return
        # Parsers return texts of their own types, such as lxml's.
        if type(left) is type(right) or (isinstance(left, str) and isinstance(right, str)):
            self._note(result, JOINED, (left, right), constant)

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
            split = name in _SPLITTERS and type(getattr(function, "__self__", None)) in TEXTS
            self._spread(result, sources_of(function, arguments, named), split=split)
            if name in _FINDERS:
                self._spelled(function, arguments, result)
        elif kind.__name__ == "Match":
            self._checked_by(function, arguments)

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
        name = getattr(function, "__name__", "")
        if type(owner) is str:
            if name in OWN_KINDS:
                self._called_method(owner, name, arguments, named, result)
            else:
                # What else a method of a text is given are texts and numbers.
                self._note(result, DERIVED, (owner, *arguments, *named.values()))
            return
        if name in ESCAPERS:
            self._checked.setdefault(result, (name, None))
        if name in _FILTERS:
            self._checked.setdefault(result, ("pattern", None))
        if isinstance(owner, string.Template):
            values = held(arguments, named)
            self._note(result, SUBSTITUTED, (owner.template, owner.pattern, values))
            return
        if name == "group":
            self._spelled(function, arguments, (result,))
        sources = sources_of(function, arguments, named)
        if all(result is not source for source in sources):
            self._note(result, DERIVED, sources)

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

    def _spelled(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], found: Iterable[Any]
    ) -> None:
        """Note what a pattern found that it spells out itself: that is checked."""
        words = words_of(function, arguments)
        for item in found:
            for text in item if type(item) is tuple else (item,):
                if words and type(text) is str and text.lower() in words:
                    self._checked.setdefault(text, ("pattern", None))

    def _ask(self, text: str, question: Question) -> None:
        asked = self._asked.setdefault(text, [])
        if len(asked) < _MAX_QUESTIONS:
            asked.append(question)

    def _spread(self, result: Any, sources: tuple[Any, ...], *, split: bool = False) -> None:
        """Note every text in what a call returned. What split a text returned nothing but texts."""
        if not sources:
            return
        self._hold(sources)
        if len(self.objects) >= MAX_OBJECTS or self._held > MAX_HELD:
            self._settle()
            self._renew()
        texts: list[Any] = []
        todo: list[Any] = [result]
        room = _MAX_ITEMS
        while todo and room > 0:
            item = todo.pop()
            room -= 1
            kind = type(item)
            if kind in TEXTS:
                texts.append(item)
            elif kind is dict:
                self.objects[id(item)] = (item, sources)
                todo += item.keys()
                todo += item.values()
            elif kind in (list, tuple):
                self.objects[id(item)] = (item, sources)
                if split or set(map(type, item[:room])) <= _ONLY_TEXTS:
                    # Most calls return a list of texts.
                    texts += item[:room]
                    room -= len(item)
                else:
                    todo += item[:_MAX_ITEMS]
        if texts:
            self._listed += len(texts)
            if self._listed > MAX_WAITING:
                self._settle()
                self._listed = len(texts)
            self._waiting.append((texts, SPREAD, sources, 0))
