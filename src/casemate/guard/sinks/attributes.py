"""Attributes that the event names. `setattr` raises no audit event: watched in the own code.

So is what is put into an object's dictionary. A dictionary does not tell whether it is one: the
code that has it says so, by the words `__dict__` or `vars`.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from types import CodeType
from typing import Any

from .. import merged_keys
from ..core import Guard
from ..names import MERGES, OF_TABLES, SETS
from ..plain_names import is_of_rights
from ..sink import Sink
from ..verdict import Verdict

NAME = "attributes"
_DICTIONARIES = frozenset(("__dict__", "vars"))
QUERIES = (
    *("aggregate", "count_documents", "delete_many", "delete_one", "find", "find_one", "search"),
    *("update_many", "update_one", *OF_TABLES),
)
_MAX_NAMES = 100
_MAX_FRAMES = 20
_FIX = "set attributes of a list in the code: `for name in ('city', 'zip'): ...`"


def _on_setattr(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    if function is setattr and len(arguments) == 3:
        _set(guard, *arguments[:2])


def _on_method(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Do so of `object.__setattr__(user, name, value)` and of `user.__setattr__(name, value)`."""
    if len(arguments) == 2:
        _set(guard, getattr(function, "__self__", None), arguments[0])
    elif len(arguments) == 3:
        _set(guard, *arguments[:2])


def _set(guard: Guard, thing: object, name: object) -> None:
    if isinstance(name, str) and (name.startswith("_") or _gives_rights(thing, name)):
        guard.decide(NAME, lambda: _verdict(guard, name))


def _gives_rights(thing: object, name: str) -> bool:
    """Tell whether an object has an attribute that says what somebody may do, or has."""
    return is_of_rights(name) and _has(thing, name)


def _has(thing: object, name: str) -> bool:
    # Asked without `__getattr__` of the code: the call that is watched has not been made yet.
    with contextlib.suppress(AttributeError):
        inspect.getattr_static(thing, name)
        return True
    return False


def _on_update(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    merged_keys.on_update(guard, function, arguments, named)
    owner = getattr(function, "__self__", None)
    given = arguments[0] if arguments else None
    if type(owner) is dict and isinstance(given, dict):
        _put(guard, given, owner)


def _on_item(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Do so of `operator.setitem(vars(user), name, value)` and `vars(user).__setitem__(...)`."""
    if function is operator.setitem and len(arguments) == 3 and type(arguments[0]) is dict:
        _put(guard, arguments[1:2], arguments[0])
    elif len(arguments) == 2 and type(getattr(function, "__self__", None)) is dict:
        _put(guard, arguments[:1], function.__self__)  # type: ignore[attr-defined]


def _on_fields(guard: Guard, given: object, fields: Sequence[Any], named: object) -> None:
    """Do so of `user.__dict__[name] = value`, and of a dictionary that is put over it."""
    names = given if isinstance(given, dict) else (given,)
    for name in _judged(names, fields[0][0]):
        guard.decide(NAME, lambda name=name: _verdict(guard, name))  # type: ignore[misc]


def _put(guard: Guard, names: Iterable[object], held: dict[Any, Any]) -> None:
    judged = _judged(names, held)
    if judged and _says(guard.root, _DICTIONARIES):
        for name in judged:
            guard.decide(NAME, lambda name=name: _verdict(guard, name))  # type: ignore[misc]


def _judged(names: Iterable[object], held: Any) -> list[str]:
    """Return the names that are no data, or of what somebody may do, where there is such a one."""
    found = (
        name
        for name in names
        if isinstance(name, str)
        and (name.startswith("_") or (is_of_rights(name) and _is_in(name, held)))
    )
    return list(itertools.islice(found, _MAX_NAMES))


def _is_in(name: str, held: Any) -> bool:
    with contextlib.suppress(TypeError):
        return name in held
    return False


def _says(root: str, words: frozenset[str]) -> bool:
    """Tell whether the function of the own code that calls has one of these names in it."""
    frame = sys._getframe(2)
    for _ in range(_MAX_FRAMES):
        code: CodeType = frame.f_code
        if code.co_filename.startswith(root):
            return not words.isdisjoint(code.co_names)
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _verdict(guard: Guard, name: str) -> Verdict | None:
    chosen = next((s.origin for s in guard.spans(name) if not s.vouched), None)
    # One that the code has as well is another object: a key of the event's is none of its texts.
    if chosen is None and not (guard.constants.is_literal(name) or guard.check_of(name)):
        chosen = guard.key(name)
    if chosen is None:
        return None
    what = "is no data: it begins with `_`" if name[:1] == "_" else "says what somebody may do"
    return Verdict(chosen, f"names an attribute that {what}", _FIX)


SINK = Sink(
    name=NAME,
    summary="setattr and __dict__.update: the event must not name attributes such as "
    "`__class__` or `is_admin`.",
    calls={
        "setattr": _on_setattr,
        "__setattr__": _on_method,
        "update": _on_update,
        **dict.fromkeys(("setitem", "__setitem__"), _on_item),
        SETS: _on_fields,
        "ChainMap": merged_keys.on_chained,
        MERGES: merged_keys.on_merged,
        **dict.fromkeys(QUERIES, merged_keys.on_query),
    },
)
