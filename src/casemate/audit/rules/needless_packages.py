"""Packages that are asked for and that nothing here imports, names or starts.

A package may be used without an import: by a command, by a setting, by another package. Nothing
is told of it then, nor where code imports what is named while it runs, nor of what a program has
written down with all that packages need.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator, Set
from functools import cached_property

from casemate.audit.model import Dependency, Platform
from casemate.audit.privileges.libraries import HARMLESS
from casemate.audit.rule import Hit, Subject
from casemate.audit.rules import package_modules as known
from casemate.audit.rules.asked_packages import dependencies
from casemate.audit.rules.project_packages import is_lock
from casemate.import_statements import imported

_SCRIPTS = (
    *(".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"),
    *(".vue", ".svelte", ".astro", ".html", ".css", ".scss", ".mdx"),
)
_PYTHON = (".py", ".pyi", ".pyx", ".ipynb")
_CONFIGURATION = (
    *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".sh", ".bash", ".env", ".json", ".tf"),
    *(".mk", ".properties", ".service", ".rc", ".xml"),
)
_CONFIGURING = re.compile(
    r"(?:Dockerfile|Containerfile|Procfile|Makefile|Justfile|\.[\w-]+rc)[\w.-]*"
)
_LISTING = re.compile(r"(?:package|composer|manifest)(?:-lock)?\.json")
_MAX_BYTES = 256 * 1024
"""Of a file of settings; longer ones are data."""
_MAX_FILES = 5_000
_DYNAMIC = (
    *("import_module", "__import__", "iter_modules", "walk_packages", "entry_points"),
    *("run_module", "resolve_name", "CDLL", "LoadLibrary", "dlopen"),
)
_UNPICKLING = ("pickle", "dill", "joblib", "shelve", "torch", "skops", "mlflow", "allow_pickle")
"""What is unpickled imports what it names: a model needs the package that it was made with."""
_UNPICKLES = frozenset(("load", "loads", "Unpickler", "open", "load_model"))
_DYNAMIC_SCRIPT = re.compile(r"\b(?:require|import)\(\s{0,9}(?:[^\"'`\s)/]|`[^`]{0,200}\$\{)")
_QUOTED = re.compile(r"[\"'`]([^\"'`\n\s]{1,200})[\"'`]")
_SCHEME = re.compile(r"(?<![\w+.-])[\w.-]{1,40}(\+[\w.-]{1,40})?://")
_WORD = re.compile(r"[@A-Za-z_][\w./@-]{0,200}")
_DOTTED = re.compile(r"[A-Za-z_]\w{0,100}(?:\.[A-Za-z_]\w{0,100}){0,20}")
_IMPORTED = re.compile(
    r"(?:^|[\"\n]|\\n)[ \t]{0,40}(?:import|from|cimport)\s{1,4}([A-Za-z_][\w.]{0,200})", re.M
)
_VIA = re.compile(r"#\s{0,4}(?:via)?\s{0,4}(.{0,200})")
_GENERIC_WORDS = """
    python py lib client sdk api core utils tools django flask fastapi aws google azure cloud node
    the for and web http async aio extra extras plugin kit server common service data simple
"""
_GENERIC = frozenset(_GENERIC_WORDS.split())
_FEW = 3
"""So many packages that others bring along, and that no code imports, are in no list of people."""


def needless(subject: Subject) -> Iterator[Hit]:
    """Find packages that are asked for and not used."""
    by_file: dict[str, list[Dependency]] = {}
    for each in dependencies(subject):
        if each.ecosystem in ("pypi", "npm") and not is_lock(each.place.file.rpartition("/")[2]):
            by_file.setdefault(each.place.file, []).append(each)
    for file, asked in by_file.items():
        used = (_Node if asked[0].ecosystem == "npm" else _Python)(subject, file, asked)
        if not used.is_known:
            continue
        for each in asked:
            if not each.development and not used.has(each):
                text = f"{each.name[:100]} is asked for, and nothing here imports or names it"
                yield Hit(place=each.place, text=text, subject=f"{file} {each.name}")


def _scope(subject: Subject, file: str, endings: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of code that a file's packages are for: those beside it, or all."""
    folder = file.rpartition("/")[0].removesuffix("requirements").rstrip("/")
    beside = tuple(e for e in subject.workspace.under(folder or ".") if e.endswith(endings))
    own = any(
        each.startswith(f"{folder}/" if folder else "")
        for function in subject.application.functions
        for each in function.files
        if each.endswith(endings)
    )
    shared = any(
        _names(subject.workspace.text(each) or "", file)
        for each in subject.workspace.files
        if each != file
        and re.fullmatch(r"requirements[\w.-]{0,40}\.(?:txt|in)", each.rpartition("/")[2])
    )
    every = tuple(e for e in subject.workspace.files if e.endswith(endings))
    return beside if beside and own and not shared and "layer" not in folder.lower() else every


def _names(text: str, file: str) -> bool:
    """Tell whether requirements take in another file of that name: `-r ../requirements.txt`."""
    last = file.rpartition("/")[2]
    lines = (line for line in text.split("\n") if line.startswith(("-r", "-c", "--requirement")))
    return any("/" in line and line.split()[-1].endswith(last) for line in lines)


def _settings(subject: Subject) -> frozenset[str]:
    """Return the words of all files that are neither code nor a list of packages."""

    def read() -> frozenset[str]:
        lines = {(each.place.file, each.place.line) for each in dependencies(subject)}
        found = set[str]()
        for file in subject.workspace.files[:_MAX_FILES]:
            last = file.rpartition("/")[2]
            taken = last.endswith(_CONFIGURATION) or _CONFIGURING.fullmatch(last) is not None
            if not taken or subject.workspace.size(file) > _MAX_BYTES:
                continue
            text = subject.workspace.text(file) or ""
            listed = lines
            if last == "package.json":
                text, listed = _without_packages(text), set()
            elif last.endswith(".lock") or _LISTING.fullmatch(last):
                continue
            for number, line in enumerate(text.split("\n"), 1):
                bare = line.strip()
                if not bare.startswith(("#", "//")) and (file, number) not in listed:
                    found.update(_WORD.findall(_SCHEME.sub(r"\1 ", bare)))
        parts = {part for word in found for part in re.split(r"[./@]", word)}
        return frozenset(found | parts)

    folder = subject.application.place.file.rpartition("/")[0] or "."
    return subject.code.once("words of settings", folder, read)


def _without_packages(text: str) -> str:
    try:
        held = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return ""
    kept = {k: v for k, v in held.items() if not k.lower().endswith("dependencies") and k != "name"}
    return json.dumps(kept) if isinstance(held, dict) else ""


class _Python:
    """What code in Python uses of what one file asks for."""

    def __init__(self, subject: Subject, file: str, asked: list[Dependency]) -> None:
        self._subject, self._file, self._asked = subject, file, asked
        self._listed = {each.name for each in asked}
        self._files = _scope(subject, file, _PYTHON)
        self._imports, self._texts, self.is_known = set[str](), set[str](), True
        self._read(self._files)
        inside = set(self._files)
        others = [e for e in subject.workspace.files if e.endswith(_PYTHON) and e not in inside]
        if self._others & _locals(others):
            self._files = (*self._files, *others)
            self._read(others)
        self.is_known = self.is_known and bool(self._imports) and not self._is_frozen
        self._words = _settings(subject) | self._texts
        self._tops = {each.partition(".")[0] for each in self._imports}

    def _read(self, files: Iterable[str]) -> None:
        for file in files:
            parsed = self._subject.code.python(file) if file.endswith(".py") else None
            if parsed is None:
                self._imports.update(_IMPORTED.findall(self._subject.workspace.text(file) or ""))
                continue
            self._imports.update(name for node in parsed.nodes for name in imported(node))
            if any(each in parsed.text for each in _DYNAMIC) and _loads_any(parsed.nodes):
                self.is_known = False
            if any(each in parsed.text for each in _UNPICKLING) and _unpickles(parsed.nodes):
                self.is_known = False
            told = {id(node.value) for node in parsed.nodes if isinstance(node, ast.Expr)}
            for node in parsed.nodes:
                if isinstance(node, ast.Constant) and id(node) not in told:
                    self._texts.update(_words_of(node.value))

    @cached_property
    def _others(self) -> set[str]:
        """The modules that are imported and that no package is known to bring."""
        brought = {m.partition(".")[0] for name in self._listed for m in _modules(name)}
        tops = {each.partition(".")[0] for each in self._imports} - sys.stdlib_module_names
        return tops - brought - _locals(self._files) - _BROUGHT

    @cached_property
    def _is_frozen(self) -> bool:
        """Tell whether a program has written down all that is installed."""
        along = {e.name for e in self._asked if e.wanted.startswith("==")} & known.BROUGHT_ALONG
        unused = [name for name in along if not self._imported(_modules(name))]
        return len(unused) >= _FEW and not self._via

    @cached_property
    def _via(self) -> dict[str, bool]:
        """Tell of packages in requirements that were compiled whether a person asked for them."""
        lines = (self._subject.workspace.text(self._file) or "").split("\n")
        if not self._file.endswith(".txt") or not any("# via" in line for line in lines):
            return {}
        found = {}
        for each in self._asked:
            said = [lines[each.place.line - 1].partition(" #")[1:]]
            notes = ["".join(said[0])]
            for line in lines[each.place.line :]:
                if not line.strip().startswith(("#", "--hash")):
                    break
                notes.append(line)
            text = " ".join(m[1] for note in notes if (m := _VIA.search(note)))
            found[each.name] = bool(re.search(r"-r |-c |\(|\.in\b", text)) or not text
        return found

    def _imported(self, modules: Iterable[str]) -> bool:
        return any(
            each == module or each.startswith(f"{module}.")
            for module in modules
            for each in self._imports
        )

    def has(self, dependency: Dependency) -> bool:
        """Tell whether a package is used, or whether that cannot be known."""
        name = dependency.name
        if dependency.origin or not re.fullmatch(r"[a-z0-9-]+", name):
            return True
        if _is_tool(name) or not self._via.get(name, True) or self._is_named(name):
            return True
        if name in known.SERVERS:
            return not self._has_own_server
        if self._is_needed(name) or (name in known.BROUGHT_ALONG and len(self._listed) > 1):
            return True
        famous = name in known.OTHER_NAMES or name in known.OF_ITS_NAME
        return not famous and (bool(self._others) or self._is_alike(name))

    def _is_needed(self, name: str) -> bool:
        """Tell whether something else that is used needs a package, unimported."""
        users = known.USED_BY.get(name, frozenset())
        if "*" in users or users & (self._tops | self._words):
            return True
        return bool(users & {e.replace("-", "_") for e in self._listed if self._is_named(e)})

    def _is_named(self, name: str) -> bool:
        modules = _modules(name)
        named = {name, *modules}
        if self._imported(modules) or named & self._words:
            return True
        return any(word.startswith(tuple(f"{each}." for each in named)) for word in self._texts)

    def _is_alike(self, name: str) -> bool:
        """Tell whether something that is imported or named may be a part of a package."""
        parts = [e for e in name.split("-") if len(e) > 2 and e not in _GENERIC]
        if not parts:
            return True
        near = {each.lower() for each in (*self._tops, *self._texts)}
        return any(part in each for part in parts for each in near)

    @property
    def _has_own_server(self) -> bool:
        """Tell whether the platform brings the program that takes requests."""
        application = self._subject.application
        images = any(each.setting("package") == "image" for each in application.functions)
        return not images and application.platform in _SERVING


_SERVING = (Platform.AWS, Platform.CASEMATE, Platform.GOOGLE, Platform.OPENFAAS)
_BROUGHT = frozenset(
    (
        *(m.partition(".")[0] for modules in known.OTHER_NAMES.values() for m in modules),
        *(each.replace("-", "_") for each in known.OF_ITS_NAME | known.BROUGHT_ALONG),
        *(each.replace("-", "_") for each in known.SERVERS | known.STARTED),
        *HARMLESS,
    )
)
"""Modules that packages with other names than an unknown one bring."""


def _is_tool(name: str) -> bool:
    if name in known.STARTED or name.endswith("-stubs"):
        return True
    return name.startswith(known.UNIMPORTED)


def _modules(name: str) -> tuple[str, ...]:
    """Return what a package may be imported as."""
    if name in known.OTHER_NAMES:
        return known.OTHER_NAMES[name]
    plain = name.replace("-", "_")
    bare = re.sub(r"^python_|^py_?(?=[a-z])|_?python$|_py$|_binary$|_headless$", "", plain)
    return tuple({plain, plain.replace("_", "."), plain.replace("_", ""), bare} - {""})


def _loads_any(nodes: Iterable[ast.AST]) -> bool:
    """Tell whether modules are imported whose names no text says."""
    for node in nodes:
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in _DYNAMIC and not (node.args and isinstance(node.args[0], ast.Constant)):
                return True
    return False


def _unpickles(nodes: Iterable[ast.AST]) -> bool:
    """Tell whether something is unpickled, by a function of a library that does that."""
    libraries, named, calls = False, False, set[str]()
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            libraries |= any(
                part.endswith(_UNPICKLING) for name in imported(node) for part in name.split(".")
            )
        elif isinstance(node, ast.Call):
            calls.add(getattr(node.func, "attr", getattr(node.func, "id", "")))
            named |= any(each.arg == "allow_pickle" for each in node.keywords)
    return named or "read_pickle" in calls or (libraries and bool(calls & _UNPICKLES))


def _words_of(value: object) -> Iterator[str]:
    """Yield what a text may name: a module, a program, a driver in an address."""
    if not isinstance(value, str) or not 1 < len(value) <= 300:
        return
    words = _SCHEME.sub(r"\1 ", value).split()
    for at, word in enumerate(words):
        if len(words) == 1 or at == 0 or words[at - 1] == "-m" or "." in word or "://" in value:
            for found in (*_DOTTED.findall(word), word):
                yield found
                yield found.partition(".")[0]


def _locals(files: Iterable[str]) -> set[str]:
    """Return what the modules of files are imported as, wherever their root is."""
    return {part for file in files for part in file.rpartition(".")[0].split("/")}


class _Node:
    """What code in JavaScript uses of what one `package.json` asks for."""

    def __init__(self, subject: Subject, file: str, asked: list[Dependency]) -> None:
        files = _scope(subject, file, _SCRIPTS)
        whole = subject.workspace.text(file) or ""
        self.is_known = bool(files) and '"workspaces"' not in whole
        self._listed = {each.name for each in asked}
        quoted = set[str]()
        for each in files[:_MAX_FILES]:
            text = subject.code.text(each)
            if text is None or _DYNAMIC_SCRIPT.search(text) is not None:
                self.is_known = False
                return
            quoted.update(_QUOTED.findall(text))
        self._used = _packages((*quoted, *_settings(subject)))

    def has(self, dependency: Dependency) -> bool:
        """Tell whether a package is used, or whether that cannot be known."""
        name = dependency.name
        if re.match(r"(?:file|link|workspace|portal):", dependency.wanted):
            return True
        if name in self._used or name in known.NODE_STARTED:
            return True
        if name.startswith(known.NODE_UNIMPORTED) or re.search(
            r"-(?:plugin|loader|preset)\b", name
        ):
            return True
        return bool(known.NODE_USED_BY.get(name, frozenset()) & (self._used | self._listed))


def _packages(words: Iterable[str]) -> Set[str]:
    """Return the packages that paths of imports are of: `@a/b` of `@a/b/c`, `d` of `d/e`."""
    found = set[str]()
    for word in words:
        parts = word.removeprefix("node:").removeprefix("npm:").split("/")
        found.add("/".join(parts[: 2 if word.startswith("@") else 1]))
    return found
