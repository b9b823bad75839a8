"""Files of code, each read and parsed once for all rules."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Set
from functools import cached_property
from typing import TypeVar

from casemate.audit.code.inline import parsable_python
from casemate.audit.limits import MAX_LINE
from casemate.audit.model import Application, Function, Place
from casemate.audit.syntax import syntax_of
from casemate.audit.workspace import Workspace

_MadeT = TypeVar("_MadeT")
_MAX_PARSED = 600_000
"""Characters of a file that is parsed."""


class PythonFile:
    """One file of Python, or what stands in a template."""

    def __init__(self, file: str, text: str, tree: ast.Module, first_line: int = 1) -> None:
        """Keep the tree and its nodes."""
        self.file = file
        self.text = text
        self.tree = tree
        self._first = first_line
        self.syntax = syntax_of(tree)
        self.nodes = self.syntax.nodes
        self.imported = dict(_imports(self.nodes))
        """What names stand for: `loads` for `pickle.loads`."""

    def place(self, node: ast.AST) -> Place:
        """Return where a node stands."""
        line = getattr(node, "lineno", 1) + self._first - 1
        return Place(self.file, line, getattr(node, "col_offset", 0) + 1)

    def name(self, node: ast.AST) -> str:
        """Return the dotted name of a call or a value, with imports followed: `os.system`."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return "." + ".".join(reversed(parts)) if parts else ""
        parts.append(self.imported.get(node.id, node.id))
        return ".".join(reversed(parts))

    @cached_property
    def given(self) -> frozenset[str]:
        """All names that stand in it for anything: assigned, imported, defined, passed, used.

        Those that are only read are left out.
        """
        return frozenset(_given(self.nodes))

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """What names stand for that the file gives once, by a plain assignment."""
        found: dict[str, list[ast.expr]] = {}
        for node in self.nodes:
            for target in node.targets if isinstance(node, ast.Assign) else ():
                if isinstance(target, ast.Name) and isinstance(node, ast.Assign):
                    found.setdefault(target.id, []).append(node.value)
        return {name: given[0] for name, given in found.items() if len(given) == 1}

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.text.split("\n")

    @cached_property
    def _calls(self) -> tuple[tuple[ast.Call, str], ...]:
        return tuple((n, self.name(n.func)) for n in self.nodes if isinstance(n, ast.Call))

    def calls(self) -> tuple[tuple[ast.Call, str], ...]:
        """Return each call and the name of what is called."""
        return self._calls


def _imports(nodes: tuple[ast.AST, ...]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    yield alias.asname, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _given(nodes: tuple[ast.AST, ...]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load) or node.id in _MAKING_NAMES:
                yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from node.names
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            yield node.name
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest


_MAKING_NAMES = frozenset(("globals", "exec", "vars", "locals", "setattr"))
"""What gives names that do not stand in the code."""


class Code:
    """The code of what is audited."""

    def __init__(self, workspace: Workspace) -> None:
        """Read files of this workspace."""
        self._workspace = workspace
        self._texts: dict[str, str | None] = {}
        self._python: dict[str, PythonFile | None] = {}
        self._made: dict[tuple[str, str], object] = {}
        self._every: frozenset[str] | None = None
        self.commands: dict[tuple[str, int], bool] = {}
        """Lines of command lines in JavaScript, and whether all in them was checked before."""

    @property
    def files(self) -> Set[str]:
        """Return the names of all files of what is audited."""
        if self._every is None:
            self._every = frozenset(self._workspace.files)
        return self._every

    def once(self, what: str, file: str, make: Callable[[], _MadeT]) -> _MadeT:
        """Return what several rules make of a file, made once."""
        key = (what, file)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[return-value]

    def forget(self, what: str, file: str) -> None:
        """Let go of what was made of a file; it is made again if it is asked for."""
        self._made.pop((what, file), None)

    def text(self, file: str) -> str | None:
        """Return the text of a file; None if it has none or was made by a program.

        Python is not bundled, so a long line in it is data: it hides nothing.
        """
        if file not in self._texts:
            text = self._workspace.text(file)
            if made_by_program(file):
                text = None
            elif text is not None and not file.endswith(".py") and has_endless_line(text):
                what = f"a line has more than {MAX_LINE} characters: it seems to be generated"
                self._workspace.note(file, f"{what}, not checked for code and secrets")
                text = None
            self._texts[file] = text
        return self._texts[file]

    def lock(self, file: str) -> str | None:
        """Return the text of a file that locks dependencies, which a program has made."""
        return self._workspace.template(file)

    def python(self, file: str) -> PythonFile | None:
        """Return a file of Python, parsed; None if it cannot be: that is noted once."""
        if file not in self._python:
            text = self.text(file)
            self._python[file] = None if text is None else self._parsed(file, text, 1)
        return self._python[file]

    def inline(self, function: Function) -> PythonFile | None:
        """Return the code that stands in a template."""
        key = f"{function.place.file}#{function.name}"
        if key not in self._python:
            found = None
            if function.inline and function.language == "python":
                place = function.inline_place or function.place
                found = self._parsed(place.file, parsable_python(function.inline), place.line)
            self._python[key] = found
        return self._python[key]

    def _parsed(self, file: str, text: str, line: int) -> PythonFile | None:
        if len(text) > _MAX_PARSED:
            self._workspace.note(file, f"it has more than {_MAX_PARSED} characters: not parsed")
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
            return PythonFile(file, text, tree, line)
        except SyntaxError as error:
            what = "it is not Python 3" + (": Python 2" if _looks_old(text) else "")
            self._workspace.note(
                file, f"{what}, so it is not parsed", (error.lineno or 1) + line - 1
            )
        except (ValueError, RecursionError, MemoryError):
            self._workspace.note(file, "it cannot be parsed", line)
        return None


def _looks_old(text: str) -> bool:
    return any(word in text for word in ('print "', "print '", "except Exception, ", "raw_input("))


def made_by_program(file: str) -> bool:
    """Tell whether a program has made a file, by its name."""
    return file.endswith((".min.js", ".bundle.js", ".map", "-lock.json", ".lock"))


def has_endless_line(text: str) -> bool:
    """Tell whether a line is longer than people write them."""
    at, end = 0, text.find("\n")
    while end >= 0 and end - at < MAX_LINE:
        at, end = end + 1, text.find("\n", end + 1)
    return (end if end >= 0 else len(text)) - at >= MAX_LINE


def owned_files(
    application: Application, endings: tuple[str, ...]
) -> Iterator[tuple[str, Function]]:
    """Yield each file of code once, with the function that it belongs to most."""
    owners: dict[str, Function] = {}
    folders: dict[tuple[str, ...], frozenset[str]] = {}
    for function in application.functions:
        # Most functions have a folder's files in common, which are gone through once.
        owned = folders.get(function.files)
        if owned is None:
            found = [file for file in function.files if file.endswith(endings)]
            owned = folders[function.files] = frozenset(found)
            for file in found:
                owners.setdefault(file, function)
        if function.entry in owned:
            owners[function.entry] = function
    yield from owners.items()


def python_files(code: Code, application: Application) -> Iterator[tuple[PythonFile, Function]]:
    """Yield each file of Python once, with the function that it belongs to most."""
    for file, function in owned_files(application, (".py",)):
        found = code.python(file)
        if found is not None:
            yield found, function
    for function in application.functions:
        inline = code.inline(function)
        if inline is not None:
            yield inline, function
