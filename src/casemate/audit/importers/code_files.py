"""Which files are a function's code, and in which of them its handler is."""

from __future__ import annotations

from casemate.audit.model import Place
from casemate.audit.workspace import Workspace

_SCRIPTS = ("js", "mjs", "cjs", "ts", "mts", "cts", "tsx", "jsx")
SUFFIXES = frozenset(("py", *_SCRIPTS, "go", "java", "rb", "cs", "rs"))
_ENTRY = {
    "python": (".py", "/__init__.py"),
    "node": (*(f".{each}" for each in _SCRIPTS), "/index.js", "/index.ts"),
    "ruby": (".rb",),
}
_MADE = frozenset(("dist", "dst", "build", "built", "out", "lib", ".build", ".esbuild", ".webpack"))
"""Folders of what is compiled; what it is made of is beside them, or in `src`."""
_MAX_FILES = 5_000
_AROUND = " \t\r-,\"'"
"""What stands around a line of code that is an item of a list."""
_RECORD = ".dist-info/RECORD"
_MAX_LINES_TO_CODE = 12
"""Lines from a key of a template to the first of the code below it, tags and comments between."""


class CodeFiles:
    """Finds code, each folder once however many functions share it."""

    def __init__(self, workspace: Workspace) -> None:
        """Look in these files."""
        self._workspace = workspace
        self._known: dict[str, tuple[str, ...]] = {}
        self._lines: tuple[str, list[str]] = ("", [])
        self._last: dict[str, list[str]] | None = None

    @classmethod
    def of(cls, workspace: Workspace) -> CodeFiles:
        """Return the one for a workspace: each of its templates would look at all files anew."""
        return workspace.once("code files", lambda: cls(workspace))

    def folders_by_name(self) -> dict[str, str]:
        """Return the folders with code by the last part of their path, the first of equal ones."""
        return self._workspace.once("folders of code", self._folders)

    def _folders(self) -> dict[str, str]:
        folders = {each.rpartition("/")[0] for each in self.files(".")}
        return {each.rpartition("/")[2]: each for each in sorted(folders, reverse=True) if each}

    def note(self, file: str, what: str, line: int) -> None:
        """Remember what could not be audited."""
        self._workspace.note(file, what, line)

    def folder(self, base: str, location: str) -> str | None:
        """Return the folder that a path beside the file `base` names, if it is here."""
        if not location or "${" in location or "://" in location:
            return None
        found = self._workspace.resolve(base, location)
        if found is None:
            return None
        if self._workspace.has(found):  # a file: what is beside it
            return found.rpartition("/")[0] or "."
        return found if found == "." or self.files(found) else self._before_compiled(found)

    def _before_compiled(self, folder: str) -> str | None:
        """Return the folder of what a compiler makes another of, `dist/orders` of `src/orders`.

        Nobody keeps what is compiled beside its source: a template names what is there later.
        """
        parts = folder.split("/")
        for at, part in enumerate(parts):
            if part in _MADE or part.startswith(("dist-", "build-")) or part.endswith("-build"):
                for other in (["src"], []):
                    ways = "/".join([*parts[:at], *other, *parts[at + 1 :]]) or "."
                    if ways != folder and self.files(ways):
                        return ways
        return None

    def files(self, folder: str) -> tuple[str, ...]:
        """Return the files of code in a folder and below."""
        if folder not in self._known:
            found: list[str] = []
            installed = self._installed(folder)
            for name in self._workspace.under(folder):
                if name in installed:
                    continue
                if name.rpartition(".")[2] in SUFFIXES and not _is_test(name):
                    if len(found) == _MAX_FILES:
                        what = f"more than {_MAX_FILES} files of code: the rest is not audited"
                        self._workspace.note(folder, what)
                        break
                    found.append(name)
            self._known[folder] = tuple(found)
        return self._known[folder]

    def _installed(self, folder: str) -> frozenset[str]:
        """Return the files that pip has put there from an index, by what it wrote of each package.

        What it took from a folder or a repository is of whoever deploys it: `direct_url.json`.
        """
        found = set[str]()
        for name in self._workspace.under(folder):
            base = name.removesuffix(_RECORD)
            if base == name or self._workspace.has(f"{base}.dist-info/direct_url.json"):
                continue
            beside = base.rpartition("/")[0]
            for line in (self._workspace.text(name) or "").split("\n"):
                path = line.partition(",")[0]
                found.add(f"{beside}/{path}" if beside else path)
            what = "files of an installed package are not audited, only its version"
            self._workspace.note(name, what)
        return frozenset(found)

    def inline_place(self, key: Place, inline: str) -> Place:
        """Return where code in a template begins, whose key stands there: soon after, or there."""
        if self._lines[0] != key.file:
            self._lines = (key.file, (self._workspace.template(key.file) or "").split("\n"))
        begun = inline[:2_000].lstrip()
        before = inline[: len(inline) - len(inline.lstrip())].count("\n")
        first = begun.partition("\n")[0]
        below = self._lines[1][key.line - 1 : key.line - 1 + _MAX_LINES_TO_CODE]
        for line, written in enumerate(below, key.line):
            if written.strip(_AROUND) == first.strip(_AROUND):
                return Place(key.file, max(line - before, 1), 1)
        return key

    def elsewhere(self, handler: str, runtime: str) -> str | None:
        """Return the only folder in which a handler such as `src/orders/add.handler` lies.

        Some copy code beside a template before they deploy it.
        """
        module = handler.rpartition(".")[0].replace("\\", "/").removeprefix("./")
        if self._last is None:
            self._last = {}
            for name in self._workspace.files:
                if name.rpartition(".")[2] in SUFFIXES and not _is_test(name):
                    self._last.setdefault(name.rpartition("/")[2], []).append(name)
        found = set[str]()
        for way in {module, module.replace(".", "/")}:
            if "/" not in way or "${" in way:
                continue
            for end in _ENTRY.get(next((n for n in _ENTRY if runtime.startswith(n)), ""), ()):
                named = self._last.get(f"{way.rpartition('/')[2]}{end}", ())
                found |= {
                    n.removesuffix(f"/{way}{end}") for n in named if n.endswith(f"/{way}{end}")
                }
        return found.pop() if len(found) == 1 else None

    def entry(self, folder: str, handler: str, runtime: str) -> str:
        """Return the file that holds a handler such as `src/app.handler`, or nothing."""
        module = handler.rpartition(".")[0].replace("\\", "/").strip("/")
        module = module.removeprefix("./")
        if not module or "${" in module:
            return ""
        start = "" if folder == "." else f"{folder}/"
        language = next((name for name in _ENTRY if runtime.lower().startswith(name)), "")
        ends = _ENTRY[language] if language else tuple(e for each in _ENTRY.values() for e in each)
        ways = [module, module.replace(".", "/")]
        if language == "node":
            first, _, rest = module.partition("/")
            if first == "src" and folder.rpartition("/")[2] == "src":
                ways += [rest]
            ways += [f"src/{module}", *((rest, f"src/{rest}") if first in _MADE and rest else ())]
        return next(
            (n for way in ways for end in ends if self._workspace.has(n := start + way + end)), ""
        )


_FOLDERS_OF_TESTS = frozenset(
    (
        *("test", "tests", "__tests__", "spec", "fixtures", "e2e", "cypress", "__mocks__"),
        *("test-utils", "test_utils", "testutils", "test-helpers", "test_helpers"),
    )
)


def _is_test(name: str) -> bool:
    parts = name.split("/")
    last = parts[-1]
    return (
        not _FOLDERS_OF_TESTS.isdisjoint(parts[:-1])
        or last.startswith(("test_", "conftest"))
        or last == "tests.py"
        or ".test." in last
        or ".spec." in last
    )
