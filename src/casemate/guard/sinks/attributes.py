"""Attributes that the event names. `setattr` raises no audit event: watched in the own code.

So is `update` of an object's dictionary. A dictionary does not tell whether it is one: the code
that has it says so, by the words `__dict__` or `vars`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

from ..core import Guard
from ..sink import Sink
from ..verdict import Verdict

NAME = "attributes"
_DICTIONARIES = frozenset(("__dict__", "vars"))
_MAX_NAMES = 100
_MAX_FRAMES = 20
_FIX = "set attributes of a list in the code: `for name in ('city', 'zip'): ...`"


def _on_setattr(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    if function is setattr and len(arguments) == 3:
        name = arguments[1]
        if isinstance(name, str) and name.startswith("_"):
            guard.decide(NAME, lambda: _verdict(guard, name))


def _on_update(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    owner = getattr(function, "__self__", None)
    given = arguments[0] if arguments else None
    if type(owner) is not dict or not isinstance(given, dict):
        return
    names = [name for name in given if isinstance(name, str) and name.startswith("_")]
    if names and _says(guard.root, _DICTIONARIES):
        for name in names[:_MAX_NAMES]:
            guard.decide(NAME, lambda name=name: _verdict(guard, name))  # type: ignore[misc]


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
    chosen = next((s for s in guard.spans(name) if not s.vouched), None)
    if chosen is None:
        return None
    return Verdict(chosen.origin, "names an attribute that is no data: it begins with `_`", _FIX)


SINK = Sink(
    name=NAME,
    summary="setattr and __dict__.update: the event must not name attributes such as `__class__`.",
    calls={"setattr": _on_setattr, "update": _on_update},
)
