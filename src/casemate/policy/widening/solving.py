"""Finds a request for which a formula holds, or proves that there is none.

Every text that a name can be is alike, for a formula, to one of finitely many: the texts that it
compares with, and others, apart by their forms. Trying these is trying all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from functools import partial

from casemate.model.errors import CasemateError
from casemate.policy.widening.formula import (
    And,
    Atom,
    Formula,
    Is,
    Like,
    Not,
    Or,
    Same,
    atoms_of,
    is_atom,
    with_atoms,
)
from casemate.policy.widening.languages import Form, examples, matches

MAX_STEPS = 20_000
"""Decisions about one formula."""


class TooHardError(CasemateError):
    """The conditions are too many to be decided in the time that there is."""


class Values:
    """The texts that stand for all that names can be, for the formulas of one shape."""

    def __init__(self, names: Mapping[str, re.Pattern[str]], formulas: Iterable[Formula]) -> None:
        """Take up what the formulas compare names with."""
        self._names = names
        self._texts: dict[str, None] = {}
        self._forms: dict[str, dict[Form, None]] = {}
        self._compared = set[str]()
        for formula in formulas:
            for atom in atoms_of(formula):
                if isinstance(atom, Is):
                    self._texts[atom.text] = None
                elif isinstance(atom, Like):
                    self._forms.setdefault(names[atom.form_of].pattern, {})[atom.form] = None
                elif isinstance(atom, Same):
                    self._compared |= {names[atom.one].pattern, names[atom.other].pattern}
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, name: str) -> tuple[str, ...]:
        """Return the texts that stand for all that this name can be."""
        pattern = self._names[name]
        if pattern.pattern not in self._known:
            self._known[pattern.pattern] = self._made(pattern)
        return self._known[pattern.pattern]

    def _made(self, pattern: re.Pattern[str]) -> tuple[str, ...]:
        alike = [name for name, other in self._names.items() if other.pattern == pattern.pattern]
        count = len(alike) if pattern.pattern in self._compared else 1
        texts = tuple(text for text in self._texts if pattern.fullmatch(text))
        forms = tuple(self._forms.get(pattern.pattern, ()))
        if forms:
            each = tuple((text,) for text in texts)
            return examples(pattern, (*forms, *each), count)
        found: list[str] = []
        number = 0
        while len(found) < count:
            text = next(t for t in (f.format(number) for f in _OTHERS) if pattern.fullmatch(t))
            number += 1
            if text not in self._texts:
                found.append(text)
        return (*found, *texts)


_OTHERS = ("any{}", "any{}:443")
"""Names, and hosts."""

Assignment = dict[Atom | str, bool | str]
"""Of atoms whether they hold, of names their texts."""


def solve(formula: Formula, values: Values, *, until: float) -> Assignment | None:
    """Return what makes the formula true; None is the proof that nothing does.

    Raises TooHardError after `until` (of `time.monotonic`) or too many steps.
    """
    search = _Search(values, until)
    return search.run(formula, {})


class _Search:
    def __init__(self, values: Values, until: float) -> None:
        self._values = values
        self._until = until
        self._steps = 0

    def run(self, formula: Formula, made: Assignment) -> Assignment | None:
        """Decide one thing after the other; the depth is at most the number of atoms."""
        self._steps += 1
        if self._steps > MAX_STEPS or time.monotonic() > self._until:
            raise TooHardError("the conditions are too many to be decided")
        formula, made = _forced(formula, made)
        if isinstance(formula, bool):
            return made if formula else None
        atom, first = _next(formula)
        if isinstance(atom, Is | Like | Same):
            name = _name_of(atom)
            for text in self._tried(formula, name):
                found = self.run(_with_text(formula, name, text), {**made, name: text})
                if found is not None:
                    return found
            return None
        for value in (first, not first):
            found = self.run(_with_atom(formula, atom, value), {**made, atom: value})
            if found is not None:
                return found
        return None

    def _tried(self, formula: Formula, name: str) -> tuple[str, ...]:
        """Return the texts to try: all, or where texts are only compared, these and another."""
        every = self._values.of(name)
        asked = set[str]()
        for atom in atoms_of(formula):
            if isinstance(atom, Same) and name in (atom.one, atom.other):
                return every
            if isinstance(atom, Like) and atom.form_of == name:
                return every
            if isinstance(atom, Is) and atom.name == name:
                asked.add(atom.text)
        other = next((text for text in every if text not in asked), None)
        return tuple(t for t in every if t in asked or t == other)


def _forced(formula: Formula, made: Assignment) -> tuple[Formula, Assignment]:
    """Decide what must be so, all at once, until nothing is forced any more."""
    while isinstance(formula, And):
        forced: dict[Atom, bool] = {}
        for each in formula.every:
            atom = each.denied if isinstance(each, Not) else each
            if is_atom(atom) and not isinstance(atom, Is | Like | Same):
                forced[atom] = atom is each
        if not forced:
            break
        made = {**made}
        for atom, truth in forced.items():
            made[atom] = truth
        formula = with_atoms(formula, partial(_decided, forced))
    return formula, made


def _decided(decided: dict[Atom, bool], atom: Atom) -> Formula:
    return decided.get(atom, atom)


def _next(formula: Formula) -> tuple[Atom, bool]:
    """Return the atom to decide next, and what to try first: of what must hold, that."""
    while not is_atom(formula):
        if isinstance(formula, Not):
            return formula.denied, False
        if isinstance(formula, And):
            formula = min(formula.every, key=_size)
        elif isinstance(formula, Or):
            formula = min(formula.some, key=_size)
        else:  # a truth has no atoms, and is not asked for any
            raise TooHardError("there is nothing to decide")
    return formula, True


def _size(formula: Formula) -> int:
    if isinstance(formula, Or):
        return 1 + len(formula.some)
    return 2 + len(formula.every) if isinstance(formula, And) else 1


def _name_of(atom: Is | Like | Same) -> str:
    if isinstance(atom, Is):
        return atom.name
    return atom.form_of if isinstance(atom, Like) else atom.one


def _with_text(formula: Formula, name: str, text: str) -> Formula:
    def value(atom: Atom) -> Formula:
        if isinstance(atom, Is) and atom.name == name:
            return atom.text == text
        if isinstance(atom, Like) and atom.form_of == name:
            return matches(atom.form, text)
        if isinstance(atom, Same) and name in (atom.one, atom.other):
            return Is(atom.other if atom.one == name else atom.one, text)
        return atom

    return with_atoms(formula, value)


def _with_atom(formula: Formula, decided: Atom, truth: bool) -> Formula:
    return with_atoms(formula, lambda atom: truth if atom == decided else atom)
