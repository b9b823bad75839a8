"""Functions that import what a text names: `package.module.name`, `package.module:name`.

Most end in `importlib.import_module`, with a part of the text as a new one. So what a dependency
imports is compared with the event's dotted names, and the few that end elsewhere are wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..origin import Origin, Span
from ..sink import Patch
from ..verdict import Verdict
from . import plain_modules
from .judgement import FIX, judge_module

CLOSED = frozenset(
    [
        *("os", "posix", "sys", "subprocess", "builtins", "importlib", "shutil", "pty", "ctypes"),
        *("pickle", "marshal", "code", "runpy", "socket", "types", "inspect", "gc", "operator"),
        *("_io", "io", "platform", "signal", "multiprocessing", "threading", "asyncio", "pathlib"),
    ]
)
"""Modules of which no event may choose a function."""
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:[.:][A-Za-z_]\w*)+")
_MAX_TEXTS = 2000
_MAX_NODES = 10_000
_TARGET = "_target_"
"""The key by which hydra's configurations name what is called."""


_RUNNING = frozenset(
    [
        *("os", "posix", "nt", "sys", "subprocess", "_posixsubprocess", "importlib", "shutil"),
        *("pty", "ctypes", "_ctypes", "pickle", "_pickle", "marshal", "code", "codeop", "runpy"),
        *("socket", "_socket", "inspect", "gc", "pdb", "bdb", "timeit", "profile", "cProfile"),
        *("trace", "webbrowser", "pydoc", "doctest", "multiprocessing", "pip", "test"),
    ]
)
"""Modules whose functions and classes run code, or lead to it."""
_RUNNING_NAMED = frozenset(
    [
        *(("builtins", name) for name in ("eval", "exec", "compile", "__import__", "breakpoint")),
        *(("builtins", name) for name in ("getattr", "setattr", "delattr", "globals", "locals")),
        *(("builtins", name) for name in ("vars", "input", "open", "function", "code")),
        *(("_io", "open"), ("io", "open"), ("operator", "attrgetter"), ("_operator", "attrgetter")),
        *(("operator", "methodcaller"), ("_operator", "methodcaller")),
    ]
)


def runs_code(found: object) -> bool:
    """Tell whether an object is a module, or what runs code or reaches all of a module."""
    if isinstance(found, ModuleType):
        return True
    home, name = getattr(found, "__module__", None), getattr(found, "__name__", None)
    if not isinstance(home, str) or not isinstance(name, str) or not callable(found):
        return False
    return home.partition(".")[0] in _RUNNING or (home, name) in _RUNNING_NAMED


def judge_imported(guard: Guard, name: str) -> Verdict | None:
    """Return a verdict if the event names what a dependency imports: as `name.x` or `name:x`."""
    if guard.taint is None or guard.constants.holds(name):
        return None
    if "." in name and (origin := guard.taint.exact(name)) is not None:
        return _judge_named(guard, name, origin)
    for text, origin in guard.taint.texts(_MAX_TEXTS):
        named = text.startswith(name) and text[len(name) : len(name) + 1] in (".", ":")
        if named and len(text) <= 200 and _DOTTED.fullmatch(text):
            return _judge_named(guard, text, origin)
    return None


def _judge_named(guard: Guard, text: str, origin: Origin) -> Verdict | None:
    verdict = judge_module(text, [_whole(guard, text, origin)])
    return None if verdict is not None and _is_of_plain_module(guard, text) else verdict


def _whole(guard: Guard, text: str, origin: Any) -> Span:
    how = guard.check_of(text)
    if not how and guard.constants.holds(text):
        how = "constant"
    return Span(0, len(text), origin, exact=True, checked=how)


def check_named(guard: Guard, sink: str, name: object) -> None:
    """Block a dotted name (BlockedError) that the event has chosen, of a function made for them."""
    if guard.active and isinstance(name, str):

        def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
            verdict = judge_object(text, spans)
            return None if verdict is not None and _is_of_plain_module(guard, text) else verdict

        guard.check(sink, name, judged)


def _is_of_plain_module(guard: Guard, text: str) -> bool:
    """Tell whether a name is of what a module of the code's defines that only calculates."""
    module, _, name = text.replace(":", ".").rpartition(".")
    return plain_modules.is_chosen_freely(guard, module) and plain_modules.defines(module, name)


def judge_object(text: str, spans: Sequence[Span]) -> Verdict | None:
    """As `judge_module`, of a name that leads to a function: some modules have none for events."""
    verdict = judge_module(text, spans)
    if verdict is not None or text.partition(".")[0].partition(":")[0] not in CLOSED:
        return verdict
    doubtful = (s for s in spans if s.checked not in ("member", "constant", "pattern"))
    span = next(doubtful, None)
    if span is None:
        return None
    return Verdict(span.origin, "chooses what a module gives", FIX)


def resolving(sink: str) -> Patch:
    """Return the patch of `pkgutil.resolve_name`."""

    def patch(guard: Guard, module: ModuleType) -> None:
        wrap(
            module, "resolve_name", lambda a, n: check_named(guard, sink, argument(a, n, 0, "name"))
        )

    return patch


def patches(sink: str) -> dict[str, Patch]:
    """Return the patches of functions that take a dotted name, by module."""

    def naming(*names: str, place: int = 0, parameter: str = "") -> Patch:
        def patch(guard: Guard, module: ModuleType) -> None:
            def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
                check_named(guard, sink, argument(arguments, named, place, parameter))

            for name in names:
                *steps, last = name.split(".")
                owner: Any = getattr(module, steps[0], None) if steps else module
                if owner is not None and callable(getattr(owner, last, None)):
                    wrap(owner, last, before)

        return patch

    def entry_points(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            check_named(guard, sink, getattr(arguments[0], "value", None))

        wrap(vars(module)["EntryPoint"], "load", before)

    def hydra(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            config = argument(arguments, named, 0, "config")
            if guard.active:
                guard.decide(sink, lambda: _targets(guard, config))

        for name in ("instantiate", "call"):
            if callable(getattr(module, name, None)):
                wrap(module, name, before)

    return {
        "pydoc": naming("locate", "resolve", "safeimport", parameter="path"),
        "django.utils.module_loading": naming("import_string", parameter="dotted_path"),
        "werkzeug.utils": naming("import_string", parameter="import_name"),
        "zope.dottedname.resolve": naming("resolve", parameter="name"),
        "celery.utils.imports": naming("symbol_by_name", parameter="name"),
        "kombu.utils.imports": naming("symbol_by_name", parameter="name"),
        "stevedore.driver": naming("DriverManager", place=1, parameter="name"),
        "hydra.utils": naming("get_class", "get_method", "get_object", parameter="path"),
        "hydra._internal.instantiate._instantiate2": hydra,
        "logging.config": naming("BaseConfigurator.resolve", place=1, parameter="s"),
        "importlib.metadata": entry_points,
    }


def _targets(guard: Guard, config: Any) -> Verdict | None:
    """Judge what a configuration of hydra calls, wherever in it."""
    todo = [config]
    for _ in range(_MAX_NODES):
        if not todo:
            return None
        item = todo.pop()
        if isinstance(item, Mapping):
            target = item.get(_TARGET)
            if isinstance(target, str) and (spans := guard.spans(target)):
                verdict = judge_object(target, spans)
                if verdict is not None:
                    return verdict
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
    raise ValueError(f"the configuration has more than {_MAX_NODES} parts")
