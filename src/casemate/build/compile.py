"""Compiles a tree of Python files with the function's own interpreter, inside the sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import casemate.guard
from casemate.build import compile_script
from casemate.build.bubblewrap import Finished, Mount, hand_over, run_step
from casemate.build.errors import BuildError, CodeSyntaxError, SourceTreeError
from casemate.build.interpreters import Interpreter
from casemate.build.limits import COMPILE_TIMEOUT
from casemate.build.tree import check_path, open_regular
from casemate.decoding import DECODING_ERRORS
from casemate.guard.bytecode import VERSION, kept_path
from casemate.model.bundle import BundleFile
from casemate.shown_text import printable

RUNTIME_ROOT = "/function"
"""Where a bundle is mounted when it runs, and therefore what compiled code and traces name."""
_MAX_PYC_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A file that is not valid Python."""

    path: str
    line: int
    message: str


def compile_tree(
    root: Path,
    part: str,
    files: Sequence[BundleFile],
    interpreter: Interpreter,
    *,
    work: Path,
    own: bool = False,
) -> tuple[tuple[BundleFile, ...], tuple[Failure, ...]]:
    """Compile every `.py` file of the tree `root`, mounted as `/function/<part>`.

    Writes `__pycache__` folders into the tree and returns the added files and those that failed.
    The result depends on the sources, their order and the interpreter alone: one process, a fixed
    hash seed, the path at run time, no time stamps. `work` is a private folder. The function's
    `own` code is also kept as the sink guard rewrites it; then the result depends on that, too.
    """
    sources = [file.path for file in files if file.path.endswith(".py")]
    if not sources:
        return (), ()
    output = work / f"compiled-{part}"
    output.mkdir(mode=0o755)
    hand_over(output)
    finished = _run(root, f"{RUNTIME_ROOT}/{part}", sources, interpreter, output, own=own)
    failures = _failures(finished.output if finished.status == 0 else "", sources)
    failed = {failure.path for failure in failures}
    added = []
    for number, path in enumerate(sources):
        if path in failed:
            continue
        cached = cached_path(path, interpreter.cache_tag)
        added.append(_collect(output / f"{number}.pyc", root, cached))
        rewritten, kept = output / f"{number}.rewritten.pyc", kept_path(cached)
        if own and os.path.lexists(rewritten) and _can_be_named(f"{part}/{kept}"):
            added.append(_collect(rewritten, root, kept))
    return tuple(added), failures


def _run(
    root: Path,
    inside: str,
    sources: Sequence[str],
    interpreter: Interpreter,
    output: Path,
    *,
    own: bool,
) -> Finished:
    script = Path(compile_script.__file__).read_text(encoding="utf-8")
    guard = Path(casemate.guard.__file__).resolve().parent
    return run_step(
        interpreter,
        # Without -I, which would ignore the hash seed; the environment is empty but for ours.
        [
            *(str(interpreter.path), "-s", "-S", "-P", "-W", "ignore", "-c", script, "/output"),
            *([VERSION] if own else []),
        ],
        mounts=[
            Mount(host=root, inside=inside),
            Mount(host=output, inside="/output", writable=True),
            *([Mount(host=guard, inside="/casemate/casemate/guard")] if own else []),
        ],
        environment={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
        folder="/",
        network=False,
        timeout=COMPILE_TIMEOUT,
        stdin=json.dumps([f"{inside}/{path}" for path in sources]).encode(),
    )


def raise_syntax_errors(failures: Sequence[Failure]) -> None:
    """Raise CodeSyntaxError if files of the function did not compile, naming the first ones."""
    if not failures:
        return
    shown = "; ".join(
        f"{f.path}, line {f.line}: {f.message}" if f.line else f"{f.path}: {f.message}"
        for f in failures[:5]
    )
    more = f" ({len(failures) - 5} more)" if len(failures) > 5 else ""
    raise CodeSyntaxError(
        f"The code is not valid Python: {shown}{more}.",
        next_step="Correct it, or list files that are no code in .casemateignore.",
    )


def cached_path(path: str, tag: str) -> str:
    """Return where Python looks for the compiled form of a source file (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    cached = f"__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
    return f"{folder}/{cached}" if folder else cached


def _can_be_named(path: str) -> bool:
    """Tell whether a bundle may hold a path. The rewritten form has a longer name, and can go."""
    try:
        check_path(path)
    except SourceTreeError:
        return False
    return True


def _failures(output: str, sources: Sequence[str]) -> tuple[Failure, ...]:
    try:
        told = msgspec.json.decode(output, type=list[tuple[int, int, str]])
        return tuple(
            Failure(path=sources[number], line=line, message=_printable(message))
            for number, line, message in told
        )
    except (IndexError, *DECODING_ERRORS) as error:
        raise BuildError(
            "The code could not be compiled: the compiler ended without a result.",
            next_step="Look for a file that is nested very deeply or very large.",
        ) from error


def _printable(message: str) -> str:
    return printable(message)


def _collect(compiled: Path, root: Path, path: str) -> BundleFile:
    """Take one compiled file over into the tree."""
    with os.fdopen(open_regular(compiled), "rb") as file:
        data = file.read(_MAX_PYC_BYTES + 1)
    if len(data) > _MAX_PYC_BYTES:
        raise BuildError(f"The compiled form of {path} is too large.")
    target = root / path
    target.parent.mkdir(exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as written:
        written.write(data)
    if stat.S_IMODE(target.stat().st_mode) != 0o644:
        target.chmod(0o644)
    return BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
