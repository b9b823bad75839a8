"""How the function's own code put its texts together, kept while an invocation runs.

The rewritten code (`rewriting.py`) calls `join`, `add`, `percent`, `call`, `joined`, `cut` and
`member` where it made or checked a text. They do what the code said, and note the result by its
identity, with what it was made of. Nothing is searched or compared until a sink asks.
"""

from __future__ import annotations

import itertools
import operator
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedWriter, FileIO
from operator import is_
from types import BuiltinMethodType, FunctionType, GeneratorType, MethodType
from typing import Any

from .bound_methods import Binder
from .calls import Calls
from .frequent import MAX_ITEMS, batcher, filler, replacer, together, together_by
from .generations import MAX_PENDING, MAX_TEXT
from .in_lines import (
    admitter,
    affirmer,
    all_grouper,
    announcer,
    equaller,
    finder_among,
    grouper,
    itemizer,
    parter,
    splitter,
    telling_splitter,
    worder,
)
from .leaks.raised import Raised
from .names import (
    ASKS,
    FILLS,
    FILLS_MARK,
    MERGES,
    READS_ANSWER,
    READS_LEVELS,
    READS_PARAMETERS,
    READS_PARTS,
)
from .notes import (
    JOINED,
    MAX_COLLECTIONS,
    PERCENT,
    TEXTS,
    Paired,
    Question,
    Several,
    in_network,
    scalars,
)
from .quick import (
    adder,
    again_cutter,
    all_finder,
    caller,
    cutter,
    finder,
    giver,
    joiner,
    longer,
    numbering,
    turner,
)
from .searching import Harmless, asker, matcher, pattern_matcher, searcher
from .shown import shower

MAX_CUTS = 4000
"""Cuts at signs of the code's that are looked at in an invocation."""
MAX_GROWN = 4096
"""Characters up to which a text that is added to is noted."""
_FROM_CODE = (tuple, set, frozenset, range)
"""Collections of numbers that no event brings."""
_OF_PAIRS = (*_FROM_CODE, list, dict)
"""Collections in which a pair that is found says something: the pairs of `items()` are the event's
where the dictionary is."""
_ONCE = frozenset(
    [
        *(GeneratorType, map, filter, zip, enumerate, reversed, itertools.chain, itertools.islice),
        *map(type, (iter(()), iter([]), iter({}), iter({}.values()), iter(set()))),
    ]
)
"""What gives its members once: afterwards nobody could tell which was found."""
_OF_BYTES = frozenset((BufferedWriter, FileIO))
"""What a standard stream writes its bytes to."""
_AT_HAND = frozenset((list, tuple, str, bytes))
"""What gives the same lines each time."""
PLAIN_COLLECTIONS = frozenset((dict, frozenset, list, set, str, tuple))
"""In which rewritten code looks for itself: they say the same however often they are asked."""

Watcher = Callable[[tuple[Any, ...], dict[str, Any]], None]
"""Takes the arguments of a call before it is made; raises to stop it."""


_OF_PYTHON = frozenset((FunctionType, MethodType))
_NO_MAPPINGS = frozenset((str, bytes, int, float, bool, tuple, list, set, type(None)))
"""What fills a template in its order."""
_NUMBERS = frozenset((int, float, bool, type(None)))
_ADDRESSES = ("IPv4Address", "IPv6Address")
_MAX_PAIR = 4
"""Parts of a pair that is looked up: `(scheme, host) in ALLOWED`."""


class Provenance(Calls):
    """The notes of one process, emptied for each invocation."""

    __slots__ = (
        "add",
        "admitted",
        "affirmed",
        "all_found",
        "asked",
        "batched",
        "bound",
        "called",
        "caught",
        "cut",
        "cut_again",
        "descriptors",
        "equal",
        "forms",
        "found",
        "given",
        "group",
        "groups",
        "item",
        "join",
        "joined",
        "joined_by",
        "known",
        "len",
        "levels",
        "literals",
        "long",
        "matched_by",
        "matched_with",
        "member",
        "note",
        "numbered",
        "numbers",
        "parameters",
        "partition",
        "patterns",
        "percent",
        "plain",
        "raised",
        "replaced",
        "rpartition",
        "showing",
        "shown",
        "split",
        "split_levels",
        "split_parameters",
        "str",
        "turned",
        "type",
        "watched",
        "watchers",
        "words",
    )

    def __init__(self) -> None:
        """Make what loops call, and begin inactive."""
        super().__init__()
        self.numbers: dict[int, object] = {}
        """Numbers that the code found in a collection that no JSON has, and that."""
        self.watchers: dict[str, Watcher] = {}
        """By name of a call that rewritten code announces: set once, by the sinks."""
        self.literals: dict[str, str] = {}
        """The literals of the function's code, which its constants fill."""
        self.forms: list[str] = []
        """A text of the code's that has a parameter of a form, once there is one."""
        self.raised = Raised()
        self.caught = self.raised.caught
        append = self._waiting.append
        made = self._note_made
        self.join, self.add = joiner(append, made), adder(append, self._add_made)
        parts = (self._parted, self._grouped)
        self.called = caller(append, self._note_made, self._noted, *parts)
        self.given = giver(append, self._noted, *parts)
        self.note = append
        self.numbered, self.turned = numbering(append, made), turner(append, made)
        self.shown, self.showing = shower(append)
        self.len, self.type, self.str = len, type, str  # by names that no code uses for others
        self.plain = PLAIN_COLLECTIONS
        self.affirmed, self.equal = affirmer(self), equaller(self, self._same)
        self.admitted, self.member = (
            admitter(self, self._admitted),
            finder_among(self, self._among, self._admitted, _ONCE),
        )
        self.split, self.words = splitter(self, self.given), worder(self, self.called)
        told = (
            (READS_LEVELS, "+#*>", self.literals, (True,)),
            (READS_PARAMETERS, "&", self.literals, self.forms),
        )
        self.levels, self.parameters = (announcer(self.seen, *each) for each in told)
        self.split_levels, self.split_parameters = (
            telling_splitter(self.split, self.seen, *each) for each in told
        )
        self.partition, self.rpartition = (
            parter(self, self.given, name) for name in ("partition", "rpartition")
        )
        self.groups, self.group = all_grouper(self, self.called), grouper(self, self.given)
        self.item, self.long = itemizer(self.group), longer(self._note_made)
        self.known: list[str] = []
        """The first few texts that were found in a collection of literals: most are found again."""
        self.found = finder(self._members, self.known)
        self.all_found = all_finder(self._members, self.found)
        self.joined, self.joined_by = (
            together(append, made, self._joined),
            together_by(append, made),
        )
        self.batched = batcher(self.joined_by, self._take_batch)
        self.percent, self.replaced = (
            filler(append, self._filled),
            replacer(append, self._noted, self._marked),
        )
        self.patterns = Harmless()
        """Of the function's code, which the sink need not look at again."""
        searching = (self.patterns, self._answers, self._settle_answers)
        self.watched = searcher(*searching, self._noted, self._watched, self.literals)
        self.bound = Binder(self.watched, self.wrote, self.seen)
        self.descriptors = False
        """Whether the code may write to a standard stream by another file over its descriptor."""
        self.asked = asker(self._noted, self.watched)
        self.matched_by = matcher(*searching, self.watched)
        self.matched_with = pattern_matcher(*searching, self.watched)
        self.cut, self.cut_again = cutter(append, made), again_cutter(append, made)

    def begin(self) -> None:
        """Forget everything, and take notes."""
        # Most calls begin after one that has ended: then there is only what is written whether or
        # not one runs, unless a thread of the call before was just sorting in its notes.
        left = self._made or self._made_before or self._asked or self._objects or self._lists
        if self.active or left:
            self.end()
        # Rewritten code has some of these itself, and writes without asking.
        waiting, members, answers = self._waiting, self._members, self._answers
        for held in (waiting, members, answers, self._checked, self.known, self.kept):
            if held:
                held.clear()
        self._listed = self._pending = 0
        self.cuts_left = MAX_CUTS
        self.active = True

    def end(self) -> None:
        """Forget everything, and take no notes."""
        super().end()
        if self.known:
            self.known.clear()
        if self.numbers:
            self.numbers.clear()

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

    def _filled(self, result: Any, template: str, arguments: Any) -> None:
        """Note what `template % arguments` made."""
        if type(arguments) not in _NO_MAPPINGS and FILLS in self.watchers and self.active:
            self.watchers[FILLS]((template, arguments), {})
        values = scalars(arguments) if self.active else None
        if values is not None:
            self._note(result, PERCENT, (template, values))

    def _joined(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Do a call of something named `join`, whatever it is."""
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
        if len(parts) > 1 and len(parts) <= MAX_ITEMS and all(result is not p for p in parts):
            pieces = [parts[0]]
            for part in parts[1:]:
                pieces += (separator, part)
            self._note(result, JOINED, tuple(pieces))
        return result

    def call(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Do a call of something that makes texts of texts, or checks one."""
        result = function(*arguments, **named)
        # What a check denied says nothing of the text.
        if result is not None and result is not False:
            self._noted(function, arguments, named, result)
        return result

    def _admitted(self, value: Any, collection: Any) -> None:
        if not self.active:
            return
        # A part of a text is no member.
        if type(value) is str and not isinstance(collection, TEXTS):
            self._found_in(value, collection)
        elif type(value) is int and type(collection) in _FROM_CODE:
            self.numbers.setdefault(value, collection)
        else:
            self._looked_up(value, collection)

    def _same(self, left: str, right: str) -> None:
        if self.active:
            self._compared(left, right, 2)

    def _among(self, value: Any, members: Iterable[Any]) -> bool:
        """Do the same where members are given once, as the interpreter does."""
        for member in members:
            if member is value or member == value:
                if type(value) is str:
                    self._found_in(value, (member,))
                else:
                    self._looked_up(value, (member,))
                return True
        return False

    def _found_in(self, text: str, collection: Any) -> None:
        """Note a collection that has a text. What else was asked of the text says less."""
        how, before = self._checked.get(text, ("", None))
        if how != "member":
            self._checked[text] = ("member", collection)
        elif before is not collection:
            known = before if type(before) is Several else (before,)
            # Found in the event's as well, it is found in the code's all the same.
            if len(known) < MAX_COLLECTIONS and all(one is not collection for one in known):
                self._checked[text] = ("member", Several((*known, collection)))

    def _looked_up(self, value: Any, collection: Any) -> None:
        """Note a pair that was found in a collection, or a text in another."""
        if type(value) is str and type(collection) is str:
            self._ask(collection, Question(operator.contains, (collection, value), 0))
        elif type(value) is tuple and len(value) <= _MAX_PAIR and type(collection) in _OF_PAIRS:
            for one in value:
                if type(one) is str and self._checked.get(one, ("",))[0] != "member":
                    self._checked[one] = ("member", Paired(value, collection))
                elif type(one) is int:
                    self.numbers.setdefault(one, next((m for m in collection if m == value), ()))
        elif type(value).__name__ in _ADDRESSES and hasattr(collection, "prefixlen"):
            text = str(value)
            self._ask(text, Question(in_network, (text, str(collection)), 0))

    def same(self, left: Any, right: Any, written: int = 2) -> Any:
        """Do `left == right`, one of which the code has written: which one, if it is a name."""
        # Compared as the code did: an object may answer with one that is neither True nor False.
        result = left == right
        if result is True and self.active:
            self._found_equal(left, right, written)
        return result

    def differs(self, left: Any, right: Any, written: int = 2) -> Any:
        """Do `left != right`, one of which the code has written: which one, if it is a name."""
        result = left != right
        if result is False and self.active:
            self._found_equal(left, right, written)
        return result

    def matched(self, subject: Any, texts: tuple[Any, ...]) -> Any:
        """Do `match subject`, some of whose cases are texts."""
        if self.active and type(subject) is str and subject in texts:
            self._found_in(subject, texts)
        return subject

    def seen(self, name: str, value: Any, *given: Any) -> Any:
        """Announce what a call of `name` is given, where the call has to stay where it is."""
        if self.active and name in self.watchers:
            self.watchers[name]((value, given), {})
        return value

    def told(self, function: Any) -> Any:
        """Return a function, or one that announces its call if it is of the code's own.

        All others are called where they stand: some look at who calls them.
        """
        own = function if type(function) in _OF_PYTHON else _called_by(function)
        if own is None or not self.active or not self._is_own(own):
            return function
        makes = isinstance(function, type)

        def announced(*arguments: Any, **named: Any) -> Any:
            if self.active and ASKS in self.watchers:
                literals = self.literals
                for one in (*arguments, *named.values()) if named else arguments:
                    # Numbers are no texts, and what the code has written is as it was meant.
                    kind = type(one)
                    # Objects are made in numbers: of a class only what may be a filter is told.
                    if makes and (kind is not str or one[:1] != "("):
                        continue
                    if kind in _NUMBERS or (kind is str and literals.get(one) is one):
                        continue
                    self.watchers[ASKS]((own, *arguments), named)
                    break
            return function(*arguments, **named)

        return announced

    def merged(self, own: dict[Any, Any], over: Any, names: tuple[str, ...]) -> dict[Any, Any]:
        """Do `{"tenant": me, **over}`."""
        if self.active and MERGES in self.watchers:
            self.watchers[MERGES]((own, over, names), {})
        return {**own, **over}

    def united(self, left: Any, right: Any, names: tuple[str, ...]) -> Any:
        """Do `left | right`, which may be two dictionaries."""
        if type(left) is dict and self.active and MERGES in self.watchers:
            self.watchers[MERGES]((left, right, names), {})
        return left | right

    def _watched(
        self, name: str, function: Callable[..., Any], /, *arguments: Any, **named: Any
    ) -> Any:
        """Announce a call, then do it, whatever it is."""
        if self.active and name in self.watchers:
            self.watchers[name]((function, *arguments), named)
        result = function(*arguments, **named)
        # What an attribute holds was not made from its name.
        if function is not getattr and result is not None and result is not False:
            self._noted(function, arguments, named, result)
        return result

    def wrote(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        """Announce what standard output is given, or a file once one is watched; do the call."""
        if not self.active or "write" not in self.watchers:
            return function(*arguments, **named)
        at_once = self.descriptors or _is_standard(function)
        if not (at_once or self.kept):
            return function(*arguments, **named)
        if len(arguments) == 1 and not named and _gives_lines(function, arguments[0]):
            return self._wrote_each(function, arguments[0], at_once=at_once)
        self.watchers["write"]((function, *arguments), named)
        return function(*arguments, **named)

    def _wrote_each(
        self, function: Callable[..., Any], lines: Iterable[Any], *, at_once: bool
    ) -> Any:
        """Announce lines that are given once when they are written, if they are not too many.

        What is told `at_once`, as of a standard stream, is announced line by line, before it is
        written.
        """
        held: list[Any] = []
        room = MAX_PENDING
        write = getattr(getattr(function, "__self__", None), "write", None)
        at_once = at_once and write is not None

        def each() -> Iterator[Any]:
            nonlocal room
            for line in lines:
                if at_once:
                    self.watchers["write"]((write, line), {})
                    yield line
                    continue
                room -= len(line) + 1 if type(line) in TEXTS else MAX_PENDING
                if room > 0:
                    held.append(line)
                yield line

        result = function(each())
        if room > 0 and not at_once:
            self.watchers["write"]((function, held), {})
        return result

    def _read_answer(self, text: str | bytes) -> None:
        """Announce that the code reads the head of an answer, which it may have written."""
        if READS_ANSWER in self.watchers:
            self.watchers[READS_ANSWER]((text,), {})

    def _marked(self, text: str, *given: Any) -> None:
        """Announce that the code fills a mark of a text: by what, or how a pattern has."""
        if self.active and FILLS_MARK in self.watchers:
            self.watchers[FILLS_MARK]((text, given), {})

    def _divided(
        self, text: str, sign: str, most: int, backwards: bool, index: int | None = None
    ) -> None:
        """Announce that the code cuts a text at a sign that it may have put there."""
        if self.cuts_left <= 0 or READS_PARTS not in self.watchers:
            return
        self.cuts_left -= 1
        values = self._last_values(text)
        # Most are cut soon after they were put together, and no value has the sign.
        if values is None or any(type(one) is str and sign in one for one in values):
            self.watchers[READS_PARTS]((text, (sign, most, backwards, index)), {})

    def _found_equal(self, left: Any, right: Any, written: int) -> None:
        if type(left) is str and type(right) is str:
            self._compared(left, right, written)
        elif type(left) is tuple and type(right) is tuple and written < 2:
            # `(url.hostname, url.port) == ("files.example", 443)`: as one that is looked up.
            own = (left, right)[written]
            self._looked_up(left, (own,))
            for number in left:
                if type(number) is int:
                    self.numbers.setdefault(number, own)

    def _compared(self, left: str, right: str, written: int) -> None:
        # Which of both the code has written is found out when a sink asks, if nothing says so: a
        # literal. What a name stands for may be the event's.
        given = (left, right) if written > 1 else ((left, right)[written],)
        before = self._checked.get(left, ("", None))[1]
        for known in before if type(before) is Several else (before,):
            if type(known) is tuple and len(known) == len(given) and all(map(is_, known, given)):
                return  # compared in a loop
        self._found_in(left, given)

    # -- notes ---------------------------------------------------------------------------------

    def _added(self, result: Any, left: Any, right: Any, constant: int) -> None:
        if result is left or result is right:
            return
        # Parsers return texts of their own types, such as lxml's.
        if type(left) is type(right) or (isinstance(left, str) and isinstance(right, str)):
            self._note(result, JOINED, (left, right), constant)


def _called_by(function: Any) -> Any:
    """Return the function that an object is called by: `partial(ask, 1)`, or one that has it.

    Of a class, what its objects are made by.
    """
    if isinstance(function, type):
        made = function.__init__  # type: ignore[misc]
        return made if type(made) is FunctionType else None
    if type(function) is partial:
        return function.func if type(function.func) in _OF_PYTHON else None
    called = getattr(type(function), "__call__", None)  # noqa: B004 - it is looked at
    return called if type(called) is FunctionType else None


def _is_standard(function: Callable[..., Any]) -> bool:
    """Tell whether a function writes to standard output or error, or may by a descriptor."""
    owner = getattr(function, "__self__", None)
    if owner is None:
        return False
    if owner is sys.stdout or owner is sys.stderr:
        return True
    if type(owner) in _OF_BYTES:
        streams = (sys.stdout, sys.stderr)
        if any(owner is getattr(stream, "buffer", None) for stream in streams):
            return True
        return type(owner) is FileIO and not owner.closed and owner.fileno() in (1, 2)
    return function is os.write or function is os.writev


def _gives_lines(function: Callable[..., Any], lines: object) -> bool:
    """Tell whether a file is given lines of which nobody could tell afterwards what they were."""
    kind = type(lines)
    if kind in _ONCE:
        return True
    written = type(function) is BuiltinMethodType and function.__name__ == "writelines"
    return written and kind not in _AT_HAND
