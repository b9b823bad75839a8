"""Formulas over what is not fixed about a request: roles, flags, and the texts of its names.

`True` and `False` are formulas, too. Negations stand in front of atoms only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeGuard

import msgspec


class Role(msgspec.Struct, frozen=True):
    """The principal has this role where the resource is."""

    role: str


class Flag(msgspec.Struct, frozen=True):
    """`granted`, `internal` or `public`."""

    flag: str


class Opaque(msgspec.Struct, frozen=True):
    """A condition that is not read: it may be true or false of any request."""

    condition: str
    outcome: str
    """`true`, or `error`: that it fails."""


class Is(msgspec.Struct, frozen=True):
    """A name is this text."""

    name: str
    text: str


class Same(msgspec.Struct, frozen=True):
    """Two names are the same text."""

    one: str
    other: str


class Like(msgspec.Struct, frozen=True):
    """A name has this form; None in it stands for any text."""

    form_of: str
    form: tuple[str | None, ...]


Atom = Role | Flag | Opaque | Is | Same | Like


class Not(msgspec.Struct, frozen=True):
    """The contrary of an atom."""

    denied: Atom


class And(msgspec.Struct, frozen=True):
    """All of these hold."""

    every: tuple[Formula, ...]


class Or(msgspec.Struct, frozen=True):
    """One of these holds, or more."""

    some: tuple[Formula, ...]


Formula = bool | Atom | Not | And | Or


def is_atom(formula: Formula) -> TypeGuard[Atom]:
    """Tell whether it is an atom."""
    return not isinstance(formula, bool | Not | And | Or)


def both(formulas: Iterable[Formula]) -> Formula:
    """Return what holds if all of these hold."""
    kept: dict[Formula, None] = {}
    for each in formulas:
        if each is False:
            return False
        for part in each.every if isinstance(each, And) else (each,):
            if part is not True:
                kept[part] = None
    if any(negated(each) in kept for each in kept if is_atom(each)):
        return False
    if len(kept) == 1:
        return next(iter(kept))
    return And(tuple(kept)) if kept else True


def either(formulas: Iterable[Formula]) -> Formula:
    """Return what holds if one of these holds."""
    kept: dict[Formula, None] = {}
    for each in formulas:
        if each is True:
            return True
        for part in each.some if isinstance(each, Or) else (each,):
            if part is not False:
                kept[part] = None
    if any(negated(each) in kept for each in kept if is_atom(each)):
        return True
    if len(kept) == 1:
        return next(iter(kept))
    return Or(tuple(kept)) if kept else False


def negated(formula: Formula) -> Formula:
    """Return the contrary."""
    if isinstance(formula, bool):
        return not formula
    if isinstance(formula, Not):
        return formula.denied
    if isinstance(formula, And):
        return either(negated(each) for each in formula.every)
    if isinstance(formula, Or):
        return both(negated(each) for each in formula.some)
    return Not(formula)


def with_atoms(formula: Formula, value: Callable[[Atom], Formula]) -> Formula:
    """Return the formula with each atom replaced by what `value` says of it."""
    if isinstance(formula, bool):
        return formula
    if isinstance(formula, And):
        return both(with_atoms(each, value) for each in formula.every)
    if isinstance(formula, Or):
        return either(with_atoms(each, value) for each in formula.some)
    if isinstance(formula, Not):
        return negated(value(formula.denied))
    return value(formula)


def atoms_of(formula: Formula) -> Iterator[Atom]:
    """Yield its atoms, one as often as it stands there."""
    todo = [formula]
    while todo:
        each = todo.pop()
        if isinstance(each, And):
            todo += each.every
        elif isinstance(each, Or):
            todo += each.some
        elif isinstance(each, Not):
            yield each.denied
        elif not isinstance(each, bool):
            yield each
