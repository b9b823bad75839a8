"""Compiles source files inside the build sandbox, with the function's own interpreter.

Standard library only; never imported by the rest of the build. Reads a JSON list of paths from
standard input, writes the n-th compiled file as `<n>.pyc` into the folder given as argument, and
prints a JSON list of `[n, line, message]` for those that do not compile.

Hash-based, unchecked `.pyc` files (PEP 552) hold no time stamp and are never compared with the
source, which cannot change in an immutable bundle.
"""

from __future__ import annotations

import json
import py_compile
import sys


def _compile(path: str, target: str) -> tuple[int, str] | None:
    """Compile one file; return line and message if it is not valid Python."""
    try:
        py_compile.compile(
            path,
            cfile=target,
            doraise=True,
            optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError as error:
        cause = error.exc_value
        if isinstance(cause, SyntaxError):
            return cause.lineno or 0, cause.msg
        return 0, str(cause)
    except (RecursionError, MemoryError):
        return 0, "the file is nested too deeply"
    return None


def main() -> None:
    """Compile everything named on standard input, in that order."""
    folder = sys.argv[1]
    failures: list[tuple[int, int, str]] = []
    for number, path in enumerate(json.load(sys.stdin)):
        failure = _compile(path, f"{folder}/{number}.pyc")
        if failure is not None:
            failures.append((number, failure[0], failure[1][:500]))
    json.dump(failures, sys.stdout)


if __name__ == "__main__":
    main()
