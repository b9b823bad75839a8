"""Puts code that is written to with every call side by side, on as few pages as it fits on.

CPython counts in its code (PEP 659): an instruction that cannot be specialised counts each time it
is run, for ever, and a conditional jump notes each time whether it was taken. Most functions on
the path of an invocation have such instructions, many of them on a page of their own that every
instance has copied, and that is written back after each call when it is restored. What such
functions are is found out by having the path run.

What each zygote runs once, before a function's first call and at rest, is written to as well. It is
put on pages of its own, so that a function at rest holds those and no others.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import opcode
import os
import sys
from collections.abc import Callable, Collection, Sequence
from types import CodeType, FunctionType

from . import allocating
from .filling import fill_chunks

_PASSES = 4
_MOST_BYTES = 8192
"""Of code: what is longer has pages of its own anyway."""
_BRANCHES = frozenset(
    number for name, number in opcode.opmap.items() if name.startswith("POP_JUMP_IF_")
)
"""Each of them notes where it stands which ways it took last, whether that is news or not."""
_SELDOM = ("_frozen_importlib", "_frozen_importlib_external", "ctypes", "enum", "signal", "socket")
"""Modules of the standard library which zygotes use, and handlers seldom or by the interpreter."""


def put_side_by_side(
    once: Callable[[], None],
    rehearse: Callable[[], None],
    prepare: Callable[[], None] = lambda: None,
    preparing: Collection[str] = (),
) -> int:
    """Put code that is written to side by side; return of how many functions of each call.

    `once` runs what every call runs, whose code comes first; `rehearse` runs that and what is run
    before, often enough for all that can be specialised to be so. `prepare` runs what a zygote
    does before; `preparing` names the modules whose functions are taken to be run by it.
    """
    kinds = allocating.choices()
    if not kinds:
        return 0
    every, ran, prepared = _run_by(once, rehearse, prepare)
    fill_chunks()
    _in_a_row(_of_zygotes(prepared, ran, preparing), kinds)
    found = [each for each in ran if _branches(each.__code__)]
    new = found
    for _ in range(_PASSES):
        # Whoever calls a function with other code than it was made with counts from then on.
        _in_a_row(new, kinds)
        rehearse()
        new = [each for each in _changed_by(rehearse, ran) if each not in found]
        if not new:
            break
        found += new
    each_time = [each for each in found if each in every]
    fill_chunks()
    _in_a_row(each_time + [each for each in found if each not in each_time], kinds)
    rehearse()
    return len(found)


def _of_zygotes(
    prepared: Sequence[FunctionType], ran: Sequence[FunctionType], preparing: Collection[str]
) -> list[FunctionType]:
    """Return functions that zygotes run and calls do not: those that are known to run first.

    Of other modules only some: whoever calls a function that was given other code counts from then
    on, and so would a handler.
    """
    known, excepted = set(map(id, prepared)), set(map(id, ran))
    modules = (__name__.partition(".")[0], *_SELDOM)
    found = [
        each
        for each in _functions()
        if id(each) not in excepted
        and (
            each.__module__ in preparing
            or (id(each) in known and str(each.__module__).partition(".")[0] in modules)
        )
        and len(each.__code__.co_code) <= _MOST_BYTES
    ]
    return sorted(found, key=lambda each: id(each) not in known)


def _functions() -> list[FunctionType]:
    return [each for each in gc.get_objects() if isinstance(each, FunctionType)]


def _changed_by(run: Callable[[], None], functions: Sequence[FunctionType]) -> list[FunctionType]:
    """Return the functions whose code is another after `run`."""
    before = [_adaptive(each.__code__) for each in functions]
    run()
    return [
        function
        for function, was in zip(functions, before, strict=True)
        if len(was) <= _MOST_BYTES and _adaptive(function.__code__) != was
    ]


def _branches(code: CodeType) -> bool:
    """Tell whether code has branches that note in it which way was taken (Python 3.12)."""
    return sys.version_info >= (3, 12) and not _BRANCHES.isdisjoint(code.co_code[::2])


def _run_by(*runs: Callable[[], None]) -> list[list[FunctionType]]:
    """Return the functions that each of `runs` runs; none if that cannot be told.

    A fork finds out: to watch what is run changes the code of whoever watches. One for all of them,
    since whatever is written to from then on is copied.
    """
    functions = _functions()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with open(write, "wb") as file:
                for run in runs:
                    ran = _codes_run_by(run)
                    file.write(bytes(id(each.__code__) in ran for each in functions))
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as file:
        told = file.read()
    with contextlib.suppress(ChildProcessError):  # the kernel reaps those of the base zygote
        os.waitpid(child, 0)
    if len(told) != len(functions) * len(runs):
        return [[] for _ in runs]
    parts = (told[number * len(functions) :] for number in range(len(runs)))
    return [list(itertools.compress(functions, part)) for part in parts]


def _codes_run_by(run: Callable[[], None]) -> set[int]:
    """Return the ids of the code that `run` runs."""
    ran: set[int] = set()
    if sys.version_info < (3, 12):
        sys.setprofile(lambda frame, event, _: ran.add(id(frame.f_code)))
        run()
        sys.setprofile(None)
        return ran
    # Told of each code once (PEP 669), this takes a fifth of what it takes to be told of each call.
    watching = sys.monitoring
    events = watching.events.PY_START | watching.events.PY_RESUME

    def started(code: CodeType, _: int) -> object:
        ran.add(id(code))
        return watching.DISABLE

    watching.restart_events()  # what was told of in the run before
    watching.use_tool_id(watching.PROFILER_ID, __name__)
    for event in (watching.events.PY_START, watching.events.PY_RESUME):
        watching.register_callback(watching.PROFILER_ID, event, started)
    watching.set_events(watching.PROFILER_ID, events)
    run()
    watching.set_events(watching.PROFILER_ID, 0)
    watching.free_tool_id(watching.PROFILER_ID)
    return ran


def _adaptive(code: CodeType) -> bytes:
    """Return the code as it stands in memory, counters included."""
    found: bytes = code._co_code_adaptive  # type: ignore[attr-defined]
    return found


def _copied(code: CodeType) -> CodeType:
    """Return a copy of code, and of that of the functions which are made when it runs."""
    parts = [_copied(one) if isinstance(one, CodeType) else one for one in code.co_consts]
    return code.replace(co_consts=tuple(parts))


def _in_a_row(functions: list[FunctionType], kinds: Sequence[allocating.Choice]) -> None:
    """Give functions copies of their code that were made one after the other, whatever their size.

    So they are taken from malloc(3), as code of more than 512 bytes is.
    """
    codes = [each.__code__ for each in functions]
    for code in codes:
        # Made when it is asked for, and kept: not in between the copies.
        _ = code.co_code, code.co_varnames, code.co_cellvars, code.co_freevars
    made: list[CodeType] = []
    try:
        allocating.use_malloc(kinds)
        made.extend(map(_copied, codes))
    finally:
        allocating.use_pools(kinds)
    for function, code in zip(functions, made, strict=True):
        function.__code__ = code
