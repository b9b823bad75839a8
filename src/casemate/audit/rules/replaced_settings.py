"""Settings of Django that another file of their folder replaces: `production.py` after `base.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
        hits = list(check(subject))
        if not hits:
            return
        replaced = _replaced(subject)
        for each in hits:
            file, line = each.place.file, each.place.line
            names = replaced.get(file, frozenset())
            text = (
                (subject.code.text(file) or "").split("\n", line)[line - 1 : line] if names else []
            )
            name = _NAME.match(text[0]) if text else None
            if name is None or name[1] not in names:
                yield each

    return found


def _replaced(subject: Subject) -> dict[str, frozenset[str]]:
    """Return by file of settings which of them another file replaces."""
    found: dict[str, frozenset[str]] = {}
    for file, _ in python_files(subject.code, subject.application):
        for base in _bases(file):
            given = frozenset(match[1] for match in _GIVEN.finditer(file.text))
            found[base] = found.get(base, frozenset()) | given
    return found


def _bases(file: PythonFile) -> list[str]:
    if "import *" not in file.text or STAGES.search(file.file):
        return []
    folder = file.file.rpartition("/")[0]
    names = [match[1] for match in _STARRED.finditer(file.text)]
    return [f"{folder}/{name}.py" if folder else f"{name}.py" for name in names]
