"""Settings of Django that another file of their folder replaces: `production.py` after `base.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from casemate.audit.code.reading import PythonFile, python_files
from casemate.audit.rule import Check, Hit, Subject
from casemate.audit.rules.python_settings import STAGES

_STARRED = re.compile(r"^from \.(\w{1,80}) import \*", re.M)
_NAME = re.compile(r"\s{0,40}([A-Z][A-Z0-9_]{2,60})\s{0,5}(?::[^=\n]{1,60})?=")
_GIVEN = re.compile(r"^[ \t]{0,20}([A-Z][A-Z0-9_]{2,60})[ \t]{0,5}=(?!=)", re.M)


def unless_replaced(check: Check) -> Check:
    """Return a check without what a file that builds upon the settings gives another value.

    That file is looked at by itself; those for one's own machine replace nothing.
    """

    def found(subject: Subject) -> Iterator[Hit]:
        hits = [(each, _name(subject, each)) for each in check(subject)]
        asked: dict[str, set[str]] = {}
        for each, name in hits:
            if name:
                asked.setdefault(each.place.file, set()).add(name)
        replaced = _replaced(subject, asked)
        for each, name in hits:
            if (each.place.file, name) not in replaced:
                yield each

    return found


def _name(subject: Subject, found: Hit) -> str:
    """Return the setting that a hit is about, nothing if it is about none."""
    file = found.place.file
    read = subject.code.python(file) if file.endswith(".py") else None
    text = read.lines[found.place.line - 1 : found.place.line] if read is not None else ()
    name = _NAME.match(text[0]) if text else None
    return name[1] if name else ""


def _replaced(subject: Subject, asked: Mapping[str, set[str]]) -> set[tuple[str, str]]:
    """Return which settings of a file that are asked for another file replaces."""
    found: set[tuple[str, str]] = set()
    for file, _ in python_files(subject.code, subject.application):
        bases = [each for each in dict.fromkeys(_bases(file)) if each in asked]
        given = {match[1] for match in _GIVEN.finditer(file.text)} if bases else set[str]()
        for base in bases:
            found.update((base, name) for name in asked[base] & given)
    return found


def _bases(file: PythonFile) -> list[str]:
    if "import *" not in file.text or STAGES.search(file.file):
        return []
    folder = file.file.rpartition("/")[0]
    names = [match[1] for match in _STARRED.finditer(file.text)]
    return [f"{folder}/{name}.py" if folder else f"{name}.py" for name in names]
