"""Whether the place of a guard's exception is one that a record can name.

An exception that matches nothing looks like one that does: the call is stopped all the same, or,
after a line has moved, another is let through. Nothing is imported or run.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from casemate.manifest.folder import ProjectFolder
from casemate.manifest.handlers import MAX_SOURCE, find_module
from casemate.manifest.problem import quoted, suggestion
from casemate.manifest.rejection import RejectedValueError

ANSWERS = "response"
"""The sink that is asked after the handler returned: its records name the handler."""


def check_location(
    folder: ProjectFolder, source: str, sink: str, location: str, handler: str
) -> None:
    """Raise RejectedValueError if `location` (`module:line` or `module:function`) is no place."""
    if location == "*":
        return
    module, _, where = location.partition(":")
    path = find_module(folder, source, module)
    if path is None:
        return
    code = _compiled(path)
    if code is None:
        return
    names, lines = _places(code)
    if sink == ANSWERS:
        _check_answer(location, handler, lines)
    elif where.isdecimal():
        if int(where) not in lines:
            raise RejectedValueError(
                f"a line of {path.name} that runs code, as `casemate denials` shows it",
                f"{quoted(location)}, where no code is",
            )
    elif where not in names and not where.endswith(">"):
        raise RejectedValueError(
            f"a function of {path.name}, methods as Class.method"
            f"{suggestion(where, sorted(n for n in names if '<' not in n))}",
            f"{quoted(location)}, but {module} defines no {where}",
        )


def _check_answer(location: str, handler: str, lines: set[int]) -> None:
    """An answer is judged once the handler has returned: no other code can be its place."""
    where = location.partition(":")[2]
    if location != handler and not (where.isdecimal() and int(where) in lines):
        raise RejectedValueError(
            f'"{handler}", the handler, whose answer it is, or "*"',
            f"{quoted(location)}, which no record of an answer names",
        )


def _compiled(path: Path) -> CodeType | None:
    """Return a module's code; None of one that this interpreter does not read."""
    try:
        if path.stat().st_size > MAX_SOURCE:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(path.read_bytes(), path.name, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _places(code: CodeType) -> tuple[set[str], set[int]]:
    """Return the qualified names in a module, and the lines that have code."""
    names: set[str] = set()
    lines: set[int] = set()
    for inner in _all_code(code):
        names.add(inner.co_qualname)
        lines.update(line for _, _, line in inner.co_lines() if line)
    return names, lines


def _all_code(code: CodeType) -> Iterator[CodeType]:
    todo = [code]
    while todo:
        item = todo.pop()
        yield item
        todo += [constant for constant in item.co_consts if isinstance(constant, CodeType)]
