"""Which code of an application goes where in the project, and how its handlers are found there."""

from __future__ import annotations

import base64
import html
import json
import posixpath
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

from ahocorasick_rs import BytesAhoCorasick

from casemate.audit.model import Application, Function, Place, Platform
from casemate.audit.workspace import Workspace
from casemate.importing import limits
from casemate.importing.adapters import ADAPTER, for_lambda, for_openfaas
from casemate.importing.names import Names, plain
from casemate.importing.outcome import Notes, shown
from casemate.model.errors import CasemateError

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEFT_OUT = frozenset(
    (
        *(".npmrc", ".netrc", ".pypirc", "id_rsa", "id_ed25519", "package.json", "yarn.lock"),
        *("package-lock.json", "samconfig.toml", "dockerfile", ".dockerignore", "credentials"),
        *("casemate.toml", "casemate-packages.toml", ".casemateignore", "import.md"),
    )
)
_LEFT_OUT_STARTS = (
    ".env",
    "serverless.",
    "template.y",
    "template.json",
    "stack.y",
    "docker-compose",
)
_LEFT_OUT_FOLDERS = frozenset(
    (".aws", ".ssh", ".github", ".gitlab", ".circleci", ".vscode", "cdk.out")
)
_SETTINGS = frozenset(
    ("yml", "yaml", "json", "toml", "ini", "cfg", "conf", "env", "properties", "tfvars")
)
_LEAST_OF_LINE = 20
"""Characters of a line that is looked for by itself, of a value of several."""
_FUNCTION = "function"
"""The package that OpenFaaS's templates put a handler into."""


@dataclass
class Source:
    """One folder of code of the project."""

    name: str
    """Relative to the project."""
    root: str
    """Of the application, relative to what is imported."""
    below: str = ""
    """Folder in it that the code goes to."""
    files: dict[str, str] = field(default_factory=dict)
    """Files of the application by their place in the project."""
    texts: dict[str, str] = field(default_factory=dict)
    """Files that are written anew, by their place in the project."""

    def place(self, place: Place) -> Place:
        """Return a place in the project for one in the application."""
        start = "" if self.root in ("", ".") else f"{self.root}/"
        if not place.file.startswith(start) or place.file not in self.files.values():
            return place
        inside = place.file[len(start) :]
        return Place(posixpath.join(self.name, self.below, inside), place.line, place.column)


class TooManySecretsError(CasemateError):
    """There are more secrets than are looked for in what is copied."""


class Sources:
    """All folders of code, each once however many functions share it."""

    def __init__(self, workspace: Workspace, application: Application, notes: Notes) -> None:
        """Begin with none. What must not be copied is told by `keep_out`."""
        self._workspace = workspace
        self._application = application
        self._notes = notes
        self._names = Names()
        self._by_root: dict[tuple[str, str], Source] = {}
        self._secrets: tuple[bytes, ...] = ()
        self._any = BytesAhoCorasick(())
        self._count = 0
        self._size = 0

    @property
    def all(self) -> tuple[Source, ...]:
        """Return them."""
        return tuple(self._by_root.values())

    def keep_out(self, values: set[str]) -> None:
        """Copy no file that holds one of these."""
        if len(values) > limits.MAX_SECRETS:
            raise TooManySecretsError(
                f"There are more than {limits.MAX_SECRETS} secrets in the template.",
                next_step="Take them out, or import a part of the application by itself.",
            )
        spelt = {spelling for value in values for spelling in _spellings(value)}
        self._secrets = tuple(sorted(spelt))
        self._any = BytesAhoCorasick(self._secrets)

    def of(self, function: Function, name: str) -> Source | None:
        """Return where a function's code is; None if it has none that can be taken."""
        if function.inline:
            source = Source(f"functions/{self._names.take(name)}", ".")
            if self._holds(function.inline.encode("utf-8", "surrogatepass")):
                self._notes.leave(
                    function.place,
                    f"{function.name}: its code holds the value of a secret and was not written",
                    "ask for it with context.secret(...), and put the code there yourself",
                    blocking=True,
                )
                return None
            source.texts[f"{source.name}/index.py"] = function.inline
            self._by_root[f"\0{function.name}", ""] = source
            return source
        if function.code is None:
            return None
        alone = function.platform is Platform.OPENFAAS
        key = (function.code, function.name if alone else "")
        if key not in self._by_root:
            last = function.code.rpartition("/")[2]
            asset = last.startswith("asset.")  # of CDK, called by its digest
            wanted = plain(last, "app") if last not in ("", ".") else "app"
            wanted = name if alone or asset else wanted
            source = Source(
                f"functions/{self._names.take(wanted)}", function.code, _FUNCTION if alone else ""
            )
            self._by_root[key] = source
            self._copy(source)
        return self._by_root[key]

    def _copy(self, source: Source) -> None:
        start = "" if source.root == "." else f"{source.root}/"
        seen: dict[str, str] = {}
        files = list(self._workspace.under(source.root))
        projects = {f.rpartition("/")[0] for f in files if f.endswith("/casemate.toml")}
        for file in files:
            inside = file[len(start) :]
            if self._passed_over(file, inside) or _below(file, projects):
                continue
            target = posixpath.join(source.name, source.below, inside)
            wrong = _unusable(target) or self._beyond(file)
            folded = inside.casefold()
            if not wrong and folded in seen:
                wrong = f"its name differs from {shown(seen[folded])} in case only"
            if wrong:
                self._notes.leave(
                    Place(file), f"the file was not copied: {wrong}", "copy what is needed"
                )
                continue
            seen[folded] = inside
            source.files[target] = file
            self._count += 1
            self._size += self._workspace.size(file)

    def _passed_over(self, file: str, inside: str) -> bool:
        parts = inside.lower().split("/")
        if any(part in _LEFT_OUT_FOLDERS for part in parts[:-1]):
            return True
        last = parts[-1]
        if (
            last in _LEFT_OUT
            or last.startswith(_LEFT_OUT_STARTS)
            or file == self._application.place.file
        ):
            return True
        if last.endswith((".pyc", ".pyo", ".pem", ".key", ".p12", ".pfx", ".jks", ".keystore")):
            if not last.endswith((".pyc", ".pyo")):
                what = "the file was not copied: it may hold a key"
                self._notes.leave(Place(file), what, "keep keys with `casemate secrets set`")
            return True
        return False

    def _beyond(self, file: str) -> str:
        size = self._workspace.size(file)
        if self._count >= limits.MAX_FILES:
            return f"there are more than {limits.MAX_FILES} files"
        if size > limits.MAX_FILE_BYTES:
            return f"it has more than {limits.MAX_FILE_BYTES // limits.MIB} MiB"
        if self._size + size > limits.MAX_TOTAL_BYTES:
            return f"all files have more than {limits.MAX_TOTAL_BYTES // limits.MIB} MiB"
        return ""

    def _holds(self, data: bytes) -> bool:
        # In one pass, which nearly all end with.
        found = {each[0] for each in self._any.find_matches_as_indexes(data, overlapping=True)}
        return any(_stands_in(self._secrets[each], data) for each in found)

    def holds(self, text: str) -> bool:
        """Tell whether the value of a secret stands in a text."""
        return self._holds(text.encode("utf-8", "surrogatepass"))

    def refuse(self, target: str, file: str, data: bytes) -> bool:
        """Tell whether a file that was read must not be written, and say so."""
        if not self._holds(data):
            return False
        self._notes.leave(
            Place(file),
            "the file was not copied: it holds the value of a secret",
            f"take the value out, ask for it with context.secret(...), and copy it to {target}",
            blocking=target.rpartition(".")[2] not in _SETTINGS,
        )
        return True


def _below(file: str, folders: set[str]) -> bool:
    """Tell whether a file is in one of the folders: a project that was made before."""
    folder = file.rpartition("/")[0]
    while folder:
        if folder in folders:
            return True
        folder = folder.rpartition("/")[0]
    return False


def _spellings(value: str) -> Iterator[bytes]:
    """Yield how files spell a value: as it is, escaped, encoded, or line by line."""
    data = value.encode("utf-8", "surrogatepass")
    yield data
    yield from (base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode())
    for text in (
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        html.escape(value),
    ):
        yield text.encode("utf-8", "surrogatepass")
    for quoted in (quote(data, safe=""), quote_plus(data), quote(data, safe="~!*'()")):
        yield quoted.encode()
    lines = value.splitlines()
    if len(lines) > 1:  # a key, say, that is indented elsewhere
        yield from (
            line.strip().encode("utf-8", "surrogatepass")
            for line in lines
            if len(line.strip()) >= _LEAST_OF_LINE and not line.startswith("-----")
        )


def _stands_in(value: bytes, data: bytes) -> bool:
    """Tell whether a value stands in data by itself, not as a part of a longer word or number."""
    at = data.find(value)
    while at >= 0:
        before, behind = data[at - 1 : at], data[at + len(value) : at + len(value) + 1]
        if not (value[:1].isalnum() and before.isalnum()) and not (
            value[-1:].isalnum() and behind.isalnum()
        ):
            return True
        at = data.find(value, at + 1)
    return False


def _unusable(target: str) -> str:
    """Say why a build would refuse a name, or nothing."""
    try:
        size = len(target.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if shown(target, 10_000) != target or "\\" in target:
        return "its name has control characters or a backslash"
    if size > limits.MAX_PATH or any(len(part.encode()) > 250 for part in target.split("/")):
        return "its path is too long"
    return ""


def handler_of(  # noqa: PLR0911 - one for each shape
    function: Function, source: Source, notes: Notes
) -> str | None:
    """Return the handler as a manifest names it, with an adapter where one is needed."""
    if function.platform is Platform.OPENFAAS:
        if not function.entry:
            return None
        source.texts[f"{source.name}/{ADAPTER}.py"] = for_openfaas(function)
        return f"{ADAPTER}:handler"
    module, _, name = function.handler.rpartition(".")
    if function.inline:
        module = "index"
    elif not function.entry or not module:
        return None
    parts = module.replace("\\", "/").strip("/").removeprefix("./").replace("/", ".").split(".")
    if not _IDENTIFIER.fullmatch(name):
        return None
    if parts[0] in sys.stdlib_module_names:
        return _renamed(function, source, parts, name, notes)
    if all(_IDENTIFIER.fullmatch(part) for part in parts):
        return f"{'.'.join(parts)}:{name}"
    adapter = f"{ADAPTER}_{plain('-'.join([*parts, name]), 'handler').replace('-', '_')}"
    source.texts[f"{source.name}/{adapter}.py"] = for_lambda(parts, name)
    return f"{adapter}:handler"


def _renamed(
    function: Function, source: Source, parts: list[str], name: str, notes: Notes
) -> str | None:
    """Give a module another name that is called as one of the standard library."""
    target = next((new for new, old in source.files.items() if old == function.entry), None)
    if target is None or len(parts) > 1 or target.endswith("/__init__.py"):
        return None
    made = f"{parts[0]}_handler"
    new = f"{source.name}/{made}.py"
    if new in source.files:
        return None
    source.files[new] = source.files.pop(target)
    notes.leave(
        Place(function.entry),
        f"the module {parts[0]} is called like one of Python's standard library: it is {made} now",
        "change what imports it",
    )
    return f"{made}:{name}"
