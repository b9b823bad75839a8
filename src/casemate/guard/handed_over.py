"""Notes exceptions that are handed over as values: no `except` of the function's code meets them.

A task of asyncio keeps what ended it, for `gather(..., return_exceptions=True)` and `exception()`;
so does a future of a pool. What leaves a block of an exit stack is an argument of its callbacks,
what ends a thread one of `threading.excepthook`, and what Flask caught one of functions for errors.
What is logged is handed to handlers of logs, which may keep it for an answer.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from .core import Guard
from .hooks import argument, wrap
from .sink import Sink

OWN_LOG = "__casemate_log__"
"""What the platform's own handler of logs has."""
_CLOSING = {"shutdown_asyncgens": "", "shutdown_default_executor": "_default_executor"}
"""Coroutines of a loop's own, which `asyncio.run` ends with, and the attribute that has to be set
for them to raise: what ends a generator is that of a task by itself."""


def _tasks(guard: Guard, kind: Any) -> None:
    """Note what ends each task of a kind of loop, before anybody who waits for it goes on."""
    original = kind.create_task
    if getattr(original, "__casemate_watched__", False):
        return
    # By their names first: to ask a coroutine for its code raises an audit event.
    unraising = {name: (_code_of(kind, name), state) for name, state in _CLOSING.items()}
    nothing: tuple[Any, str] = (None, "")

    def ended(task: Any) -> None:
        # `exception()` would count as if the function had asked for it.
        error = getattr(task, "_exception", None)
        if error is not None:
            guard.raised.note(error)

    @functools.wraps(original)
    def create_task(*arguments: Any, **named: Any) -> Any:
        task = original(*arguments, **named)
        begun = arguments[1] if len(arguments) > 1 else named.get("coro")
        code, state = unraising.get(getattr(begun, "__name__", ""), nothing)
        # A callback of a task costs a turn of the loop: these are begun at the end of each.
        unraised = code is not None and getattr(begun, "cr_code", None) is code
        if unraised and not (state and getattr(arguments[0], state, True)):
            return task
        if task.done():
            ended(task)
        else:
            task.add_done_callback(ended)
        return task

    create_task.__casemate_watched__ = True  # type: ignore[attr-defined]
    kind.create_task = create_task


def _code_of(kind: Any, name: str) -> Any:
    return getattr(getattr(kind, name, None), "__code__", None)


def _loops(guard: Guard, module: ModuleType) -> None:
    _tasks(guard, module.BaseEventLoop)


def _uvloop(guard: Guard, module: ModuleType) -> None:
    _tasks(guard, module.Loop)


def _futures(guard: Guard, module: ModuleType) -> None:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _note(guard, argument(arguments, named, 1, "exception"))

    wrap(module.Future, "set_exception", before)


def _exit_stacks(guard: Guard, module: ModuleType) -> None:
    _leaving(guard, module.ExitStack, "__exit__")
    _leaving(guard, module.AsyncExitStack, "__aexit__")


def _leaving(guard: Guard, kind: Any, name: str) -> None:
    """Note the exception that a kind of stack is left with.

    Frameworks leave several in each call, hardly one with an exception: so this is the one step
    more that it has to be, and adds no coroutine to that of an asynchronous stack.
    """
    original = getattr(kind, name)
    if getattr(original, "__casemate_watched__", False):
        return

    @functools.wraps(original)
    def left(stack: Any, /, *details: Any) -> Any:
        if len(details) > 1 and details[1] is not None:
            _note(guard, details[1])
        return original(stack, *details)

    if inspect.iscoroutinefunction(original) and hasattr(inspect, "markcoroutinefunction"):
        inspect.markcoroutinefunction(left)
    left.__casemate_watched__ = True  # type: ignore[attr-defined]
    setattr(kind, name, left)


def _threads(guard: Guard, module: Any) -> None:
    # Not public; without it what the hook makes of an exception is known if it formats it.
    make = getattr(module, "_make_invoke_excepthook", None)
    if make is None or getattr(make, "__casemate_watched__", False):
        return

    def made() -> Any:
        invoke = make()

        def ended(thread: Any) -> None:
            _note(guard, sys.exc_info()[1])
            invoke(thread)

        return ended

    made.__casemate_watched__ = True  # type: ignore[attr-defined]
    module._make_invoke_excepthook = made


def _flask(guard: Guard, module: ModuleType) -> None:
    # Its functions for errors are given the exception by code that is not the function's own.
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _note(guard, argument(arguments, named, 1, "e"))

    wrap(module.Flask, "handle_user_exception", before)
    wrap(module.Flask, "handle_exception", before)


def _log_handlers(guard: Guard, module: ModuleType) -> None:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        record = argument(arguments, named, 1, "record")
        if hasattr(arguments[0], OWN_LOG):
            return  # what it makes of it goes to the log alone
        given = getattr(record, "args", None)
        for each in (getattr(record, "msg", None), given, *_values(given)):
            _note(guard, each)

    wrap(module.Handler, "handle", before)


def _values(given: Any) -> tuple[Any, ...]:
    if isinstance(given, Mapping):
        return tuple(given.values())
    return tuple(given) if isinstance(given, (tuple, list)) else ()


def _note(guard: Guard, error: object) -> None:
    if isinstance(error, BaseException):
        guard.raised.note(error)


HANDED_OVER = Sink(
    "errors",
    "What answers tell of exceptions.",
    patches={
        "asyncio.base_events": _loops,
        "concurrent.futures._base": _futures,
        "contextlib": _exit_stacks,
        "flask.app": _flask,
        "logging": _log_handlers,
        "threading": _threads,
        "uvloop": _uvloop,
    },
)
"""No sink that data reaches, but modules that are patched as those of sinks are."""
