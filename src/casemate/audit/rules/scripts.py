"""JavaScript of an application, one file of handlers after the other: syntax is let go in between.

That of a thousand files takes hundreds of megabytes. So data is followed from a file's handlers as
soon as the rights are known that they need (`done`), and what rules look for is looked for then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from time import thread_time
from typing import NamedTuple

from casemate.audit.code.reading import owned_files
from casemate.audit.flow import Analysis, Entry, Limits
from casemate.audit.flow import Place as At
from casemate.audit.javascript import SUFFIXES as ENDINGS
from casemate.audit.javascript import Parsed, Watcher, analyse
from casemate.audit.javascript.parts import parsed_file
from casemate.audit.javascript.script_file import ScriptFile, TooMuchError
from casemate.audit.model import Function, Place
from casemate.audit.rule import Subject
from casemate.audit.rules.followed_code import (
    ScriptPart,
    handler_of,
    script_of,
    script_parts,
)
from casemate.audit.rules.javascript_answers import told_errors, told_traces
from casemate.audit.rules.javascript_between import BETWEEN
from casemate.audit.rules.javascript_connections import plain_connections
from casemate.audit.rules.javascript_looks import LOOKS as SINGLE
from casemate.audit.rules.javascript_web import LOOKS as WEB

SUFFIXES = tuple(f".{each}" for each in ENDINGS)
FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
MAX_FOLLOWED = 30.0
"""Seconds of processor time in which data is followed; what was not looked at then is told."""
_CUT = "analysed"
"""What was not read to its end is told with this word."""
MAX_LOOKED = 20.0
"""Seconds of processor time in which syntax is looked at for rules."""
LOOKS = {
    **SINGLE,
    **WEB,
    "told errors": told_errors,
    "told traces": told_traces,
    "plain connections": plain_connections,
    **BETWEEN,
}


class Seen(NamedTuple):
    """What a look has found in a file; lines and columns count from 1."""

    line: int
    column: int
    text: str


Looked = dict[str, list[Seen]]


class Scripts:
    """What is found in the JavaScript of an application."""

    def __init__(self, subject: Subject) -> None:
        """Find its parts; nothing is read yet."""
        self._subject = subject
        self._parts = script_parts(subject.application, subject.code)
        self.spent = 0.0
        """Seconds in which data was followed."""
        self._looked = 0.0
        self._done: dict[tuple[str, str], Analysis] = {}
        self._faults: dict[tuple[str, str], Exception] = {}
        self._of_file = Counter(script_of(f) for f in subject.application.functions)
        self._waiting = Counter(self._of_file)
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        """Of each part and file, in their order."""
        for name, part in self._parts.items():
            for entry in part.entries:
                self._entries.setdefault((name, entry.path), []).append(entry)

    def follow(self, function: Function, limits: Limits, watcher: Watcher) -> bool:
        """Follow data from a function's handler, and tell a watcher of what its code calls.

        Both read the code in the same way, so once is enough; not where a file has the handlers of
        several functions, whose calls could not be told apart.
        """
        key = name, path = script_of(function)
        part = self._parts.get(name)
        if part is None or key in self._done or self._of_file[key] != 1:
            return False
        if (path, handler_of(function)) not in part.functions or self.spent >= MAX_FOLLOWED:
            return False
        self._follow(part, key, limits, watcher)
        if key in self._faults:
            raise self._faults[key]
        return True

    def done(self, function: Function) -> None:
        """Take that the rights of a function are known: what is to be followed is followed now."""
        key = script_of(function)
        self._waiting[key] -= 1
        part = self._parts.get(key[0])
        if part is not None and not self._waiting[key]:
            self._finish(part, key)

    def flows(self) -> Iterator[tuple[ScriptPart, Analysis]]:
        """Yield what data does in each file with handlers."""
        for key in self._entries:
            part = self._parts[key[0]]
            yield part, self._finish(part, key)

    def _finish(self, part: ScriptPart, key: tuple[str, str]) -> Analysis:
        if key not in self._done:
            self._follow(part, key, Limits(seconds=MAX_FOLLOWED - self.spent), None)
        if part.files is not None:
            self.looked(part.files.file(key[1]))
        return self._done[key]

    def _follow(
        self, part: ScriptPart, key: tuple[str, str], limits: Limits, watcher: Watcher | None
    ) -> None:
        entries = self._entries.get(key, [])
        began = thread_time()
        try:
            self._done[key] = analyse(part.parsed, entries, limits, watcher)
        except FAULTS as error:
            # A fault on code that nobody thought of must not hide what is in all other files.
            what = f"data could not be followed here: {type(error).__name__}"
            self._subject.workspace.notes.say(part.place(At(key[1], 1)), what)
            self._done[key] = Analysis(flows=(), unresolved=())
            self._faults[key] = error
        self.spent += thread_time() - began
        self._take(part, self._done[key])

    def _take(self, part: ScriptPart, analysis: Analysis) -> None:
        """Remember which command lines are of checked data alone, if everything was read."""
        whole = not any(_CUT in each.what for each in analysis.unresolved)
        known = self._subject.code.commands
        for at, is_checked in analysis.commands:
            place = part.place(at)
            line = place.file, place.line
            known[line] = is_checked and whole and known.get(line, True)

    def files(self) -> Iterator[tuple[Function, Place, str, Looked]]:
        """Yield each file: whose it is, where it begins, its text and what there is in it."""
        application, code = self._subject.application, self._subject.code
        for part, _ in self.flows():
            if part.inline is not None and part.any is not None:
                for path, parsed in part.parsed.items():
                    key = f"{part.inline.file}#{part.any.name}"
                    found, _ = code.once("looks", key, partial(look, path, parsed))
                    yield part.any, part.inline, part.any.inline, found
        for file, function in owned_files(application, SUFFIXES):
            if not file.endswith(".d.ts"):
                yield function, Place(file, 1), code.text(file) or "", self.looked(file)

    def looked(self, file: str) -> Looked:
        """Return what there is in a file for rules that look at its syntax, which then goes."""
        code = self._subject.code
        found = code.once("looks", file, partial(self._look, file))
        code.forget("javascript", file)
        return found

    def _look(self, file: str) -> Looked:
        code, note = self._subject.code, self._subject.workspace.note
        if code.text(file) is None:
            return {}
        if self._looked > MAX_LOOKED:
            note(file, "not checked by JavaScript rules: the time was used up before")
            return {}
        began = thread_time()
        parsed, found = parsed_file(code, file), Looked()
        if parsed.broken and not parsed.tree.kids:
            note(file, f"not checked by JavaScript rules: {parsed.broken[0][1]}")
        try:
            found, whole = look(file, parsed)
            if not whole:
                note(file, "not checked by every JavaScript rule: it is nested too deeply")
        except FAULTS as error:
            note(file, f"not checked by JavaScript rules: {type(error).__name__}")
        self._looked += thread_time() - began
        return found


def scripts_of(subject: Subject) -> Scripts:
    """Return the JavaScript of an application, found once."""
    application = subject.application
    name = f"{application.importer}#{application.name}#{application.place}"
    return subject.code.once("scripts", name, partial(Scripts, subject))


def look(file: str, parsed: Parsed) -> tuple[Looked, bool]:
    """Return what there is in a file for rules that look at its syntax, and whether that is all.

    Of each there is one on a line.
    """
    script = ScriptFile(file, parsed)
    found: Looked = {}
    for name, find in LOOKS.items():
        lines: dict[int, Seen] = {}
        try:
            for node, text in find(script):
                lines.setdefault(node.line, Seen(node.line, node.column + 1, text))
        except TooMuchError:
            return found, False
        finally:
            if lines:
                found[name] = list(lines.values())
    return found, True
