"""How long the import of a handler takes, by package: measured in the sandbox of a build."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, NamedTuple

from casemate.cli.bundle_sandbox import run_program

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle
    from casemate.model.function import FunctionSpec

SECONDS = 30.0
"""How long an import may take until it is not measured any more."""
_PROGRAM = """\
import json, os, sys
sys.path[:0] = ["/function/code", "/function/deps", "/casemate"]
given = json.load(sys.stdin)
os.environ.update(given["environment"])
from casemate.runner.handlers import load_handler, offer_names
offer_names()
load_handler(given["handler"])
"""
_TIMES = {"PYTHONPROFILEIMPORTTIME": "1"}
_ROW = re.compile(r"import time: +([0-9]{1,12}) \| +[0-9]+ \| *(\S{1,500})")


class ImportTimes(NamedTuple):
    """What an import took."""

    packages: dict[str, int]
    """Microseconds of a package's own modules: what is saved without it and its imports of them."""
    why: str = ""
    """Why it was not measured; empty: it was."""


NOT_MEASURED = ImportTimes({})


def import_times(
    spec: FunctionSpec, built: BuiltBundle, owners: Callable[[str], Collection[str]]
) -> ImportTimes:
    """Import a handler once without network and files of the host, and return what that took.

    `owners` returns whose module a dotted name is. The figures are what the process says of itself:
    code that wants to can make them up.
    """
    import msgspec

    from casemate.build.errors import BuildTimeoutError

    given = msgspec.json.encode({"environment": spec.environment, "handler": spec.handler})
    try:
        finished = run_program(built, _PROGRAM, given=given, seconds=SECONDS, environment=_TIMES)
    except BuildTimeoutError:
        return ImportTimes({}, f"it takes more than {SECONDS:.0f} s")
    if finished.status:
        lines = [line for line in finished.errors.splitlines() if not _ROW.match(line)]
        return ImportTimes({}, lines[-1][:200] if lines else f"it ends with {finished.status}")
    found: dict[str, int] = defaultdict(int)
    for row in map(_ROW.match, finished.errors.splitlines()):
        if row is not None:
            whose = owners(row[2])
            for name in whose:
                found[name] += int(row[1]) // len(whose)
    return ImportTimes(dict(found))
