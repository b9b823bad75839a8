"""What code looks up by a name that the event has: modules, attributes, variables."""

from __future__ import annotations

import builtins
import operator
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..origin import Span
from ..standing import is_direct, is_known
from ..verdict import Verdict
from . import choosing, hidden_names, left_out, plain_modules
from .hidden_names import FIX_ATTRIBUTE
from .judgement import VALUE_TYPES, judge_module

NAME = "code"
"""Of the sink."""
_OPERATIONS = frozenset(
    [
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "neg", "pos", "abs", "and_", "or_"),
        *("xor", "eq", "ne", "lt", "le", "gt", "ge", "not_", "contains", "truth", "is_", "is_not"),
    ]
)
"""Functions of `operator` that reach nothing but their arguments."""
_VALUES = frozenset(
    [
        *("bool", "bytes", "complex", "float", "int", "str"),
        *("dict", "frozenset", "list", "set", "tuple"),
    ]
)
"""Built-in types that make a value of what they are given, as the code reads columns by them."""
_MAX_FOLDERS = 50
"""Folders of the path in which a module of the code is looked for."""


def check_module(guard: Guard, name: object) -> None:
    """Block an import (BlockedError) that the event has chosen."""
    if not guard.active or not isinstance(name, str):
        return
    if is_known(guard, name) or is_direct(guard, "importlib", "runpy"):
        foreseen = _is_asked_for(guard, name) or _is_of_choice(guard, name)
        if not foreseen:
            guard.check(NAME, name, lambda text, spans: _judge_module(guard, text, spans))
    else:
        guard.decide(NAME, lambda: choosing.judge_imported(guard, name))


def _judge_module(guard: Guard, name: str, spans: Sequence[Span]) -> Verdict | None:
    asked = [s._replace(checked="") if _is_more_than_found(guard, name, s) else s for s in spans]
    verdict = judge_module(name, asked)
    if verdict is None:
        return None
    return None if plain_modules.is_chosen_freely(guard, name) else verdict


def _is_more_than_found(guard: Guard, name: str, span: Span) -> bool:
    """Tell whether a pattern found the beginning of a name alone: `re.match("[a-z]+", "a.b")`."""
    part = name[span.start : span.end]
    if span.checked != "pattern" or "." not in part:
        return False
    found = [question.find(part) for question in guard.provenance.asked_of(part)]
    return bool(found) and all(one is not None and one.end() < len(part) for one in found)


def _is_asked_for(guard: Guard, name: str) -> bool:
    """Tell whether the code has asked if a module begins as a package of its own does."""
    against = guard.provenance.kept.get(("prefix", name))
    package = name.partition(".")[0]
    return (
        isinstance(against, str)
        and against.rstrip(".") == package
        and guard.constants.holds(against)
        and os.path.isdir(guard.root + package)
    )


def _is_of_choice(guard: Guard, name: str) -> bool:
    """Tell whether a module of the code's own is in a dotted name that is a choice of its list.

    And the event has chosen this name: `tasks.Mail` of `TASKS = ["tasks.Mail", "tasks.Bill"]`.
    """
    taint = guard.taint
    if taint is None or not _is_file_of_code(guard, name):
        return False
    known = (*guard.constants.choices, *guard.constants.objects)
    return any(_module_in(text) == name and taint.exact(text) is not None for text in known)


def _is_file_of_code(guard: Guard, name: str) -> bool:
    """Tell whether a module is the code's, in its root or a folder that it has put on the path."""
    own = [one.rstrip("/") + "/" for one in sys.path[:_MAX_FOLDERS] if isinstance(one, str)]
    for folder in (guard.root, *(one for one in own if one.startswith(guard.root))):
        path = folder + name.replace(".", "/")
        if os.path.isfile(path + ".py") or os.path.isdir(path):
            return True
    return False


def _module_in(text: str) -> str:
    """Return the module of an object's name: `tasks.mail:send`, `tasks.mail.send`, `tasks`."""
    module, colon, _ = text.partition(":")
    return module if colon else (text.rpartition(".")[0] or text)


def check_attribute(guard: Guard, arguments: tuple[Any, ...]) -> None:
    """Block a look at an attribute (BlockedError) that the event has chosen: `getattr(x, name)`."""
    _, owner, name = arguments[:3]
    if not isinstance(name, str):
        return

    def judged(text: str, spans: Any) -> Verdict | None:
        verdict = _judge_attribute(guard, owner, text, spans)
        verdict = verdict or hidden_names.judge(guard, owner, text, spans)
        verdict = verdict or left_out.judge(guard, owner, text, spans)
        return verdict or hidden_names.judge_listed(guard, owner, text, spans)

    guard.check(NAME, name, judged)


def _judge_attribute(guard: Guard, owner: object, name: str, spans: Any) -> Verdict | None:
    span: Span
    for span in spans:
        if span.vouched or not hidden_names.is_chosen(guard, name, span):
            continue
        if name.startswith("__") and span.start == 0:
            return Verdict(span.origin, "chooses a special attribute", FIX_ATTRIBUTE)
        if not isinstance(owner, ModuleType) or span.start > 0:
            continue
        if (owner is operator and name in _OPERATIONS) or (owner is builtins and name in _VALUES):
            continue
        found = vars(owner).get(name)
        if name not in VALUE_TYPES.get(owner.__name__, (name,)):
            return Verdict(span.origin, "chooses what a module gives", FIX_ATTRIBUTE)
        if isinstance(found, int):
            continue  # a constant, such as `socket.AF_INET`
        if _is_part(guard, owner, found, name):
            continue
        if name.startswith("_") or owner.__name__.partition(".")[0] in choosing.CLOSED:
            return Verdict(span.origin, "chooses what a module gives", FIX_ATTRIBUTE)
        home = getattr(found, "__module__", None)
        package = owner.__name__.partition(".")[0]
        foreign = isinstance(home, str) and home.partition(".")[0].lstrip("_") != package
        if isinstance(found, ModuleType) or (callable(found) and foreign):
            return Verdict(span.origin, "chooses what a module has imported", FIX_ATTRIBUTE)
    return None


def _is_part(guard: Guard, package: ModuleType, found: object, name: str) -> bool:
    """Tell whether a name is that of a module in a package of the code's own: `tasks.mail`."""
    if not isinstance(found, ModuleType) or name.startswith("_"):
        return False
    below = found.__name__ == f"{package.__name__}.{name}"
    return below and str(getattr(found, "__file__", None)).startswith(guard.root)


def check_variable(guard: Guard, arguments: tuple[Any, ...]) -> None:
    """Block a look at a variable (BlockedError) that the event has chosen: `globals()[name]`."""
    name = arguments[0]
    if not isinstance(name, str):
        return

    def judge_name(text: str, spans: Any) -> Verdict | None:
        for span in spans:
            if not span.vouched and span.exact and span.start == 0:
                return Verdict(span.origin, "chooses a variable of the code", FIX_ATTRIBUTE)
        return None

    guard.check(NAME, name, judge_name)
