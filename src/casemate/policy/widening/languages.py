"""Which texts a name may be, apart by the forms that policies ask for: examples of each kind.

Names are described by regular expressions (`identifiers`), forms by Cedar's `like`. Both are read
as automata that run side by side over one text; each set of answers that some text gives is found,
with the shortest texts that give it. So no kind of text is forgotten, which a search would.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import cache

from casemate.model.errors import CasemateError

MAX_STEPS = 150_000
"""Steps of the automata for one kind of names."""
_REPEAT = re.compile(r"\{(\d{1,3}),(\d{1,3})\}")
_PRINTABLE = frozenset(map(chr, range(32, 127)))

Form = tuple[str | None, ...]
"""Texts in their order; None stands for any text between them."""


class TooManyFormsError(CasemateError):
    """The forms of names are too many to be told apart."""


def matches(form: Form, text: str) -> bool:
    """Tell whether a text has a form."""
    states = _closed(form_of(form), 1)
    for char in text:
        states = _step(form_of(form), states, char)
    return bool(states >> len(form_of(form)) & 1)


@cache
def form_of(form: Form) -> tuple[str | None, ...]:
    """Return a form char by char."""
    signs: list[str | None] = []
    for part in form:
        signs += [None] if part is None else part
    return tuple(signs)


def _closed(signs: tuple[str | None, ...], states: int) -> int:
    """Add the states that are reached by passing over signs for any text."""
    for at, sign in enumerate(signs):
        if sign is None and states >> at & 1:
            states |= 1 << (at + 1)
    return states


def _step(signs: tuple[str | None, ...], states: int, char: str) -> int:
    following = 0
    for at, sign in enumerate(signs):
        if states >> at & 1:
            if sign is None:
                following |= 1 << at
            elif sign == char:
                following |= 1 << (at + 1)
    return _closed(signs, following)


class Automaton:
    """A regular expression in the few signs that identifiers are described with.

    Characters, sets, groups, `|`, `?`, `{m,n}`. Raises ValueError for any other sign. Where
    something may be repeated, it may be without end: so it is small, and accepts what the
    expression does and longer texts.
    """

    def __init__(self, pattern: str) -> None:
        """Read the expression."""
        self._arrows: list[list[tuple[frozenset[str], int]]] = []
        self._free: list[list[int]] = []
        self._pattern = pattern
        self._at = 0
        self.sets: set[frozenset[str]] = set()
        first, self._last = self._choice()
        if self._at != len(pattern):
            raise ValueError(f"{pattern!r} has a sign that is not known at {self._at}")
        self.start = self._reached({first})
        self._known: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def accepts(self, states: frozenset[int]) -> bool:
        """Tell whether a text that leads there is one of the language."""
        return self._last in states

    def step(self, states: frozenset[int], char: str) -> frozenset[int]:
        """Return where one more character leads; empty: nowhere."""
        key = (states, char)
        if key not in self._known:
            to = {end for state in states for signs, end in self._arrows[state] if char in signs}
            self._known[key] = self._reached(to)
        return self._known[key]

    def _reached(self, states: set[int]) -> frozenset[int]:
        todo, found = list(states), set(states)
        while todo:
            for each in self._free[todo.pop()]:
                if each not in found:
                    found.add(each)
                    todo.append(each)
        return frozenset(found)

    def _state(self) -> int:
        self._arrows.append([])
        self._free.append([])
        return len(self._arrows) - 1

    def _choice(self) -> tuple[int, int]:
        first, last = self._state(), self._state()
        while True:
            start, end = self._sequence()
            self._free[first].append(start)
            self._free[end].append(last)
            if self._pattern[self._at : self._at + 1] != "|":
                return first, last
            self._at += 1

    def _sequence(self) -> tuple[int, int]:
        first = last = self._state()
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            began = self._at
            start, end = self._one()
            least, repeated = self._times()
            ended = self._at
            self._free[last].append(start)
            again, last = start, end
            for _ in range(1, least):
                self._at = began
                again, end = self._one()
                self._free[last].append(again)
                last = end
            self._at = ended
            after = self._state()
            self._free[last] += [after, again] if repeated else [after]
            if least == 0:
                self._free[start].append(after)
            last = after
        return first, last

    def _times(self) -> tuple[int, bool]:
        """Return how often something stands there at least, and whether it may more often."""
        if self._pattern[self._at : self._at + 1] == "?":
            self._at += 1
            return 0, False
        found = _REPEAT.match(self._pattern, self._at)
        if found is None:
            return 1, False
        self._at = found.end()
        return int(found[1]), int(found[2]) > max(int(found[1]), 1)

    def _one(self) -> tuple[int, int]:
        sign = self._pattern[self._at]
        if self._pattern.startswith("(?:", self._at):
            self._at += 3
            found = self._choice()
            if self._pattern[self._at : self._at + 1] != ")":
                raise ValueError(f"{self._pattern!r} has a group without an end")
            self._at += 1
            return found
        if sign == "[":
            end = self._pattern.index("]", self._at)
            text = self._pattern[self._at : end + 1]
        elif sign == "\\":
            text = self._pattern[self._at : self._at + 2]
        elif sign in "()*+^$.{}?":
            raise ValueError(f"{self._pattern!r} has a sign that is not known: {sign}")
        else:
            text = sign
        self._at += len(text)
        signs = _signs(text)
        self.sets.add(signs)
        start, last = self._state(), self._state()
        self._arrows[start].append((signs, last))
        return start, last


def _signs(text: str) -> frozenset[str]:
    """Return the characters that a character, an escaped one or a set stands for."""
    if text[0] == "\\":
        if text[1:].isalnum() or len(text) != 2:
            raise ValueError(f"{text!r} is not known")
        return frozenset(text[1:])
    if text[0] != "[":
        return frozenset(text)
    inner = text[1:-1]
    if not inner or inner[0] == "^" or "\\" in inner or "[" in inner:
        raise ValueError(f"{text!r} is not known")
    found = set[str]()
    at = 0
    while at < len(inner):
        if inner[at + 1 : at + 2] == "-" and at + 2 < len(inner):
            found |= set(map(chr, range(ord(inner[at]), ord(inner[at + 2]) + 1)))
            at += 3
        else:
            found.add(inner[at])
            at += 1
    return frozenset(found)


@cache
def automaton(pattern: str) -> Automaton:
    """Return the automaton of an expression."""
    return Automaton(pattern)


def examples(pattern: re.Pattern[str], forms: tuple[Form, ...], count: int) -> tuple[str, ...]:
    """Return texts that match the pattern: for each set of forms that texts can have, `count`.

    Fewer only where there are no more. Raises TooManyFormsError beyond a bound, and where only
    texts that are longer than names may be have some set of forms.
    """
    names = automaton(pattern.pattern)
    signs = tuple(form_of(form) for form in forms)
    alphabet = _alphabet(names, signs, count)
    start = (names.start, tuple(_closed(each, 1) for each in signs))
    visits, kinds = Counter([start]), Counter[tuple[bool, ...]]()
    waiting = deque([("", start)])
    found: list[str] = []
    step = _remembered(names, signs)
    left = MAX_STEPS
    while waiting:
        text, state = waiting.popleft()
        kind = tuple(bool(s >> len(each) & 1) for s, each in zip(state[1], signs, strict=True))
        if names.accepts(state[0]) and kinds[kind] < count:
            kinds[kind] += 1
            found.append(text)
            if pattern.fullmatch(text) is None:
                raise TooManyFormsError(f"no name is long enough to have a form as {text[:40]!r}")
        left -= len(alphabet)
        if left < 0:
            raise TooManyFormsError("there are too many forms of names to distinguish")
        for char in alphabet:
            following = step(state, char)
            if following is not None and visits[following] < count:
                visits[following] += 1
                waiting.append((text + char, following))
    return tuple(found)


_State = tuple[frozenset[int], tuple[int, ...]]


def _remembered(
    names: Automaton, signs: tuple[tuple[str | None, ...], ...]
) -> Callable[[_State, str], _State | None]:
    known: dict[tuple[_State, str], _State | None] = {}

    def step(state: _State, char: str) -> _State | None:
        key = (state, char)
        if key not in known:
            to = names.step(state[0], char)
            known[key] = (
                (to, tuple(_step(each, s, char) for each, s in zip(signs, state[1], strict=True)))
                if to
                else None
            )
        return known[key]

    return step


def _alphabet(
    names: Automaton, signs: tuple[tuple[str | None, ...], ...], count: int
) -> tuple[str, ...]:
    """Return the characters of forms, and of those that nothing tells apart `count`."""
    told = {char for each in signs for char in each if char is not None} & _PRINTABLE
    return tuple(sorted(told)) + tuple(_alike(names, frozenset(told), count))


def _alike(names: Automaton, told: frozenset[str], count: int) -> Iterator[str]:
    groups = Counter[frozenset[frozenset[str]]]()
    for char in sorted(_PRINTABLE - told, key=lambda c: (not c.isalpha(), c)):
        group = frozenset(each for each in names.sets if char in each)
        groups[group] += 1
        if group and groups[group] <= count:
            yield char
