"""Compiles source files inside the build sandbox, with the function's own interpreter.

Standard library only; never imported by the rest of the build. Reads a JSON list of paths from
standard input, writes the n-th compiled file as `<n>.pyc` into the folder given as argument, and
prints a JSON list of `[n, line, message]` for those that do not compile. With a second argument,
the version of the sink guard's rewriting, it also writes `<n>.rewritten.pyc` for each file that the
sink guard can rewrite.

Hash-based, unchecked `.pyc` files (PEP 552) hold no time stamp and are never compared with the
source, which cannot change in an immutable bundle.
"""

from __future__ import annotations

import importlib
import json
import py_compile
import sys
from pathlib import Path

_PLATFORM = "/casemate"
"""Where `casemate.guard` is, alone of its package, if files are to be rewritten."""


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


def _rewrite(paths: dict[int, str], folder: str, version: str) -> None:
    """Write the rewritten form of files that compile."""
    # Comes after the plain forms, and from source: neither what is loaded here nor whether it was
    # compiled before may show in any output, by what strings are shared.
    sys.pycache_prefix = "/nowhere"
    sys.path.append(_PLATFORM)
    rewriting = importlib.import_module("casemate.guard.rewriting")
    bytecode = importlib.import_module("casemate.guard.bytecode")
    if version != bytecode.VERSION:  # replaced by another release since the build began
        return
    for number, path in paths.items():
        source = Path(path).read_bytes()
        code = rewriting.compile_rewritten(source, path)
        if code is not None:
            kept = bytecode.encode(code, source)
            Path(f"{folder}/{number}.rewritten.pyc").write_bytes(kept)


def main() -> None:
    """Compile everything named on standard input, in that order."""
    folder, *versions = sys.argv[1:]
    failures: list[tuple[int, int, str]] = []
    compiled: dict[int, str] = {}
    for number, path in enumerate(json.load(sys.stdin)):
        failure = _compile(path, f"{folder}/{number}.pyc")
        if failure is None:
            compiled[number] = path
        else:
            failures.append((number, failure[0], failure[1][:500]))
    if versions:
        _rewrite(compiled, folder, versions[0])
    json.dump(failures, sys.stdout)


if __name__ == "__main__":
    main()
