"""Which files of an application's code come to run, from the handlers of its functions on.

A folder of functions has scripts beside them: seeds of a database, checks that somebody runs by
hand. What is wrong in one is not wrong in the function. A file counts as run if a file that runs
imports it, or names it in any text; where names are made while code runs, every file counts.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, partial

from casemate.audit.code.reading import Code
from casemate.audit.javascript.files import Files
from casemate.audit.javascript.parts import ParsedFiles
from casemate.audit.model import Application, Function
from casemate.audit.rules.followed_code import shows_entries

_SCRIPTS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx")
_QUOTED = re.compile(r"[\"'`]([^\"'`\n]{1,200})[\"'`]")
_IMPORTED = re.compile(r"\b(?:from|import|require\()\s{0,3}[\"'`]([^\"'`\n]{1,200})[\"'`]")
"""Beside what is quoted: a quote that is open before it moves the pairs."""
_LOADS_ANY = re.compile(
    r"\b(?:require|import)\(\s{0,9}[^\"'`\s)]|readdir|\bglob\b|\*[^\s\"'`]{0,40}\.[{jt]|`[^`\n]{0,99}\$\{"
    r"[^`\n]{0,99}\.[jt]s`|\b(?:require|import)\(\s{0,9}`"
)
"""Code in JavaScript that loads files whose names are made while it runs."""
_DYNAMIC = (
    *("importlib", "__import__", "runpy", "pkgutil", "exec(", "listdir", "imp.load"),
    *("glob.", "glob import", "import glob", ".glob("),
)
"""In Python."""
_MAX_FILES = 2_000


def runs(code: Code, application: Application, file: str) -> bool:
    """Tell whether a file may come to run in any function that it is a part of."""

    def make() -> tuple[frozenset[str], frozenset[str]]:
        return _reached(code, application)

    name = f"{application.importer}#{application.name}#{application.place}"
    known, reached = code.once("files that run", name, make)
    return file not in known or file in reached


def reaching(code: Code, application: Application, file: str) -> list[Function]:
    """Return those functions that have a file and may come to run it, in their order."""
    found = []
    for function in application.functions:
        if file not in function.files:
            continue
        if shows_entries(function) or not function.entry:
            found.append(function)
            continue
        key = f"{function.entry}#{_folder(function)}"
        if file in code.once("files reached", key, partial(_from_entry, code, function)):
            found.append(function)
    return found


def _from_entry(code: Code, function: Function) -> set[str]:
    """Return the files that one function's handler may load."""
    if function.entry.endswith(".py"):
        return _walked({function.entry}, function, _modules(code, function))
    if function.entry.endswith(_SCRIPTS):
        return _walked({function.entry}, function, _scripts(code, function))
    return set(function.files)


def _modules(code: Code, function: Function) -> _Python:
    """Return the modules of a function's folder, the same for all functions that share it."""
    return code.once("modules", _folder(function), partial(_Python, code, function))


def _scripts(code: Code, function: Function) -> _Script:
    return code.once("scripts", _folder(function), partial(_Script, code, function))


def _folder(function: Function) -> str:
    """Return what the functions of the same files have in common."""
    return f"{function.code}#{hash(function.files)}"


def _reached(code: Code, application: Application) -> tuple[frozenset[str], frozenset[str]]:
    """Return the files of which it is known whether they run, and those that do."""
    known, reached = set[str](), set[str]()
    of_root: dict[tuple[str, str], tuple[Function, set[str]]] = {}
    for function in application.functions:
        key = (function.code or "", function.language)
        begins = _started(code, function) if shows_entries(function) else {function.entry}
        of_root.setdefault(key, (function, set()))[1].update(begins or {""})
    for function, entries in of_root.values():
        known.update(function.files)
        if "" in entries:
            reached.update(_without_programs(code, function))
        elif all(each.endswith(".py") for each in entries):
            reached |= _walked(entries, function, _modules(code, function))
        elif all(each.endswith(_SCRIPTS) for each in entries):
            reached |= _walked(entries, function, _scripts(code, function))
        else:
            reached.update(function.files)
    return frozenset(known), frozenset(reached)


def _without_programs(code: Code, function: Function) -> set[str]:
    """Return the files of code that no manifest tells of, without programs that people start."""
    programs = {file for file in function.files if _is_program(code, file)}
    if not programs:
        return set(function.files)
    modules = _modules(code, function)
    kept = set(function.files) - programs
    for file in sorted(kept):
        if file.endswith(".py"):
            used = modules.used(file)
            if used is None:
                return set(function.files)
            kept |= used & programs
    return kept


def _is_program(code: Code, file: str) -> bool:
    """Tell whether a file reads a command line where it is started, and has no handler."""
    text = code.text(file) if file.endswith(".py") else None
    if text is None or "__main__" not in text or _HANDLER.search(text) is not None:
        return False
    return _COMMAND_LINE.search(text) is not None


_COMMAND_LINE = re.compile(r"\b(?:argparse\.ArgumentParser|ArgumentParser|OptionParser)\(")
_HANDLER = re.compile(
    r"def \w{1,80}\(\s{0,20}(?:event|evt|request|req)\b|functions_framework|\b(?:Flask|FastAPI)\("
)


def _started(code: Code, function: Function) -> set[str]:
    """Return the files that the Dockerfile of a container starts; nothing if it does not say."""
    folder = f"{function.code}/" if function.code not in (None, "", ".") else ""
    name = f"{folder}Dockerfile"
    text = code.text(name) if name in code.files else None
    begins = [line for line in (text or "").split("\n") if line.startswith(("CMD", "ENTRYPOINT"))]
    found = set[str]()
    for word in re.split(r"[\s\"',\[\]]+", " ".join(begins)):
        plain = word.partition(":")[0].removeprefix("./")
        for each in (plain, f"{plain.replace('.', '/')}.py"):
            if plain and folder + each in function.files:
                found.add(folder + each)
    return found


def _walked(entries: set[str], function: Function, modules: _Python | _Script) -> set[str]:
    """Follow imports from the files of handlers; every file where one cannot be followed."""
    found, todo = set(entries), list(entries)
    while todo:
        inner = modules.used(todo.pop())
        if inner is None or len(found) > _MAX_FILES:
            return set(function.files)
        new = inner - found
        found |= new
        todo += new
    return found


class _Script:
    """The files of a function in JavaScript, by what imports call them."""

    def __init__(self, code: Code, function: Function) -> None:
        self._code = code
        self._root = f"{function.code}/" if function.code not in (None, "", ".") else ""
        self._parsed = ParsedFiles(code, self._root, function.files)
        self._files = Files(self._parsed)
        self._by_end: dict[str, list[str]] = defaultdict(list)
        self.used = cache(self._used)
        """Returns the files that a file may load; None if any."""
        for path in self._parsed:
            self._by_end[_end(path)].append(path)

    def _used(self, file: str) -> set[str] | None:
        text = self._code.text(file)
        if text is None or _LOADS_ANY.search(text) is not None:
            return None
        path = file.removeprefix(self._root)
        found = set[str]()
        for name in {*_QUOTED.findall(text), *_IMPORTED.findall(text)}:
            for one in (name, f"./{name}", f"../{name}"):
                held = self._files.find(one, path)
                if held is not None:
                    found.add(self._parsed.file(held))
            if "/" in name:
                found |= {self._parsed.file(each) for each in self._by_end.get(_end(name), ())}
        return found


def _end(path: str) -> str:
    """Return the last two parts of a path, without what a script ends in."""
    stem, suffix = posixpath.splitext(path)
    return "/".join((stem if suffix in _SCRIPTS else path).split("/")[-2:])


class _Python:
    """The files of a function in Python, by what imports call them."""

    def __init__(self, code: Code, function: Function) -> None:
        self._code = code
        self._by_end: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        self._files: dict[tuple[str, ...], str] = {}
        self.used = cache(self._used)
        """Returns the files that a file may load; None if any."""
        for file in function.files:
            if file.endswith(".py"):
                parts = tuple(file.removesuffix(".py").removesuffix("/__init__").split("/"))
                self._files[parts] = file
                self._by_end[parts[-1]].append(parts)

    def _used(self, file: str) -> set[str] | None:
        text, parsed = self._code.text(file), self._code.python(file)
        if text is None or parsed is None or any(each in text for each in _DYNAMIC):
            return None
        found = set[str]()
        for name in _named(parsed.nodes):
            found |= self._of(name)
        return found

    def _of(self, name: tuple[str, ...]) -> set[str]:
        """Return the files of a module and of the packages that it is in."""
        found = set[str]()
        for end in range(1, len(name) + 1):
            wanted = name[:end]
            for parts in self._by_end.get(wanted[-1], ()):
                if parts[-end:] == wanted:
                    found.add(self._files[parts])
        return found


def _named(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ...]]:
    """Yield what may be modules: what is imported, and texts such as `app.tasks`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (tuple(each.name.split(".")) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            yield from ((*module, each.name) for each in node.names if each.name != "*")
            if module:
                yield module
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if 0 < len(text) <= 200 and not text.isspace() and "\n" not in text:
                plain = text.removesuffix(".py").replace("/", ".").replace(":", ".").split(".")
                if all(each.isidentifier() for each in plain):
                    yield tuple(plain)
