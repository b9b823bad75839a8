"""What `pyproject.toml`, `Pipfile` and the locks of uv, Poetry, PDM, pip and Pipenv ask for."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from casemate.audit.model import Dependency, Place
from casemate.audit.rule import Subject

_ASKED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,100})\s{0,4}(?:\[[^\]\n]{0,200}\])?\s{0,4}"
    r"(?:@\s{0,4}(?P<origin>\S{1,500})|(?P<wanted>[(=<>!~^][^;\n]{0,200}))?"
)
_EXACT = re.compile(r"={0,3}\s{0,3}(\d[\w.+!-]{0,60})")
"""A version of Poetry or Pipenv that is the only one: `1.2.3`, `==1.2.3`."""
_DEVELOPMENT = re.compile(r"dev|test|lint|doc|type|format|bench", re.I)
_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
_LOCK_NAMES = re.compile(r"(?:uv|poetry|pdm|Pipfile)\.lock|pylock(?:\.[\w-]{1,40})?\.toml")
_MAX_BYTES = 256 * 1024
_MAX_PACKAGES = 5_000
"""Of one lock."""


class _Locked(NamedTuple):
    version: str
    hashed: bool
    line: int


def is_lock(last: str) -> bool:
    """Tell whether a file of that name is a lock that is read here."""
    return _LOCK_NAMES.fullmatch(last) is not None


def of_project(subject: Subject, name: str) -> Iterator[Dependency]:
    """Yield what a `pyproject.toml` asks for, with the versions of the lock beside it."""
    found = _toml(subject, name)
    if found is None:
        return
    locked = _beside(subject, name, _LOCKS)
    made = _Maker(subject, name, locked)
    project, tool = _table(found, "project"), _table(found, "tool")
    poetry, uv = _table(tool, "poetry"), _table(tool, "uv")
    sources = _table(uv, "sources")
    yield from made.texts(project.get("dependencies"), sources)
    for group, asked in _table(project, "optional-dependencies").items():
        yield from made.texts(asked, sources, development=bool(_DEVELOPMENT.search(group)))
    for asked in _table(found, "dependency-groups").values():
        yield from made.texts(asked, sources, development=True)
    yield from made.table(_table(poetry, "dependencies"))
    yield from made.table(_table(poetry, "dev-dependencies"), development=True)
    for group, held in _table(poetry, "group").items():
        asked = _table(held, "dependencies")
        yield from made.table(asked, development=bool(_DEVELOPMENT.search(group)))
    yield from made.indexes((*_tables(uv.get("index")), *_tables(poetry.get("source"))))


def of_pipfile(subject: Subject, name: str) -> Iterator[Dependency]:
    """Yield what a `Pipfile` asks for, with the versions of its lock."""
    found = _toml(subject, name)
    if found is None:
        return
    made = _Maker(subject, name, _beside(subject, name, ("Pipfile.lock",)))
    yield from made.table(_table(found, "packages"))
    yield from made.table(_table(found, "dev-packages"), development=True)
    yield from made.indexes(_tables(found.get("source")))


def of_lock(subject: Subject, name: str) -> Iterator[Dependency]:
    """Yield what a lock has, all that its packages need included."""
    for package, each in _locked(subject, name).items():
        yield Dependency(
            ecosystem="pypi",
            name=package,
            wanted=f"=={each.version}",
            version=each.version,
            hashed=each.hashed,
            place=Place(name, each.line),
        )


class _Maker:
    """Makes what one file asks for, each at its line."""

    def __init__(self, subject: Subject, name: str, locked: dict[str, _Locked]) -> None:
        self._file, self._locked = name, locked
        self._lines: dict[str, int] = {}
        for number, line in enumerate((subject.workspace.text(name) or "").split("\n"), 1):
            first = re.search(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}", line)
            for word in {first[0] if first else "", *re.findall(r"[\"']([\w.-]{1,100})", line)}:
                self._lines.setdefault(canonicalize_name(word), number)

    def texts(
        self, asked: Any, sources: dict[str, Any], *, development: bool = False
    ) -> Iterator[Dependency]:
        """Yield requirements that are texts: `requests>=2`."""
        for text in asked if isinstance(asked, list) else ():
            match = _ASKED.match(text) if isinstance(text, str) else None
            if match is not None:
                wanted = (match["wanted"] or "").strip("() ")
                origin = match["origin"] or _origin(sources.get(match["name"]))
                pinned = _EXACT.fullmatch(wanted) if wanted.startswith("=") else None
                yield self._one(match["name"], wanted, pinned, origin, development)

    def table(self, asked: dict[str, Any], *, development: bool = False) -> Iterator[Dependency]:
        """Yield requirements that are keys: `requests = "^2"`."""
        for name, value in asked.items():
            if name == "python":
                continue
            wanted = value.get("version", "") if isinstance(value, dict) else value
            wanted = wanted if isinstance(wanted, str) else ""
            yield self._one(name, wanted, _EXACT.fullmatch(wanted), _origin(value), development)

    def _one(
        self,
        name: str,
        wanted: str,
        pinned: re.Match[str] | None,
        origin: str,
        development: bool,
    ) -> Dependency:
        locked = self._locked.get(canonicalize_name(name))
        return Dependency(
            ecosystem="pypi",
            name=canonicalize_name(name),
            wanted=wanted,
            version=locked.version if locked else pinned[1] if pinned else "",
            hashed=locked.hashed if locked else False,
            origin="" if locked and locked.hashed else origin,
            development=development,
            place=Place(self._file, self._lines.get(canonicalize_name(name), 1)),
        )

    def indexes(self, found: Iterable[dict[str, Any]]) -> Iterator[Dependency]:
        """Yield where packages come from, as options of pip say it."""
        for each in found:
            url = str(each.get("url", ""))[:300]
            unchecked = each.get("verify_ssl") is False
            yield Dependency(
                ecosystem="option",
                name="--trusted-host" if unchecked else "--index-url",
                wanted=f"{'--trusted-host' if unchecked else '--index-url'} {url}",
                place=Place(self._file, self._lines.get("url", 1)),
            )


def _origin(value: Any) -> str:
    """Return the address that a package is fetched from, where that is not the index."""
    if not isinstance(value, dict):
        return ""
    address = value.get("git") or value.get("url") or ""
    if not isinstance(address, str) or not address:
        return ""
    commit = value.get("rev") or value.get("ref") or value.get("tag") or value.get("branch")
    kept = f"git+{address}" if value.get("git") else address
    return f"{kept}@{commit}" if isinstance(commit, str) else kept


def _toml(subject: Subject, name: str) -> dict[str, Any] | None:
    if subject.workspace.size(name) > _MAX_BYTES:
        subject.workspace.note(name, "it is too long: its packages are not audited")
        return None
    try:
        return tomllib.loads(subject.workspace.text(name) or "")
    except (ValueError, RecursionError):
        subject.workspace.note(name, "it is not TOML: its packages are not audited")
        return None


def _table(held: Any, key: str) -> dict[str, Any]:
    found = held.get(key) if isinstance(held, dict) else None
    return found if isinstance(found, dict) else {}


def _tables(found: Any) -> list[dict[str, Any]]:
    return [e for e in found if isinstance(e, dict)] if isinstance(found, list) else []


def _beside(subject: Subject, name: str, locks: tuple[str, ...]) -> dict[str, _Locked]:
    """Return what is locked beside a file: by a lock, or by requirements that were compiled."""
    folder = name.rpartition("/")[0]
    within = f"{folder}/" if folder else ""
    found: dict[str, _Locked] = {}
    for each in locks:
        if subject.workspace.has(within + each):
            found = {**_locked(subject, within + each), **found}
    if not found and subject.workspace.has(f"{within}requirements.txt"):
        found = _compiled(subject.workspace.text(f"{within}requirements.txt") or "")
    return found


def _compiled(text: str) -> dict[str, _Locked]:
    found: dict[str, _Locked] = {}
    for number, line in enumerate(text.split("\n")[:_MAX_PACKAGES], 1):
        match = _ASKED.match(line)
        pinned = match and re.match(r"===?\s{0,3}([\w.+!-]{1,60})", match["wanted"] or "")
        if match and pinned:
            found[canonicalize_name(match["name"])] = _Locked(pinned[1], False, number)
    return found


def _locked(subject: Subject, name: str) -> dict[str, _Locked]:
    """Return the packages of a lock by their names, read once."""

    def read() -> dict[str, _Locked]:
        text = subject.workspace.template(name) or ""
        if name.endswith("Pipfile.lock"):
            return _of_pipenv(subject, name, text)
        return dict(_of_blocks(text))

    return subject.code.once("locked packages", name, read)


def _of_blocks(text: str) -> Iterator[tuple[str, _Locked]]:
    """Yield the packages of a lock that a program wrote: a block each, a key on each line."""
    found: dict[str, str] = {}
    own = hashed = False
    at = count = 0
    for number, line in enumerate((*text.split("\n"), "[[package]]"), 1):
        if line.startswith("["):
            if line.startswith(("[[package]]", "[[packages]]")):
                if found.get("name") and found.get("version") and not own:
                    yield canonicalize_name(found["name"]), _Locked(found["version"], hashed, at)
                    count += 1
                found, own, hashed, at = {}, False, False, number
            if count >= _MAX_PACKAGES:
                return
            continue
        match = _KEY.match(line)
        if match is not None and match["key"] not in found:
            found[match["key"]] = match["value"]
        hashed = hashed or "sha256:" in line or "sha256 = " in line
        own = own or line.startswith(("source = { virtual", "source = { editable"))


_KEY = re.compile(r'(?P<key>name|version) = "(?P<value>[\w.+!-]{1,100})"')


def _of_pipenv(subject: Subject, name: str, text: str) -> dict[str, _Locked]:
    try:
        held = json.loads(text or "{}")
    except (ValueError, RecursionError):
        subject.workspace.note(name, "it is not JSON")
        return {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        lines.setdefault(line.strip().partition('": ')[0].strip('"'), number)
    found: dict[str, _Locked] = {}
    for package, each in list(_table(held, "default").items())[:_MAX_PACKAGES]:
        version = each.get("version") if isinstance(each, dict) else None
        if isinstance(version, str):
            pinned = version.lstrip("=")
            found[canonicalize_name(package)] = _Locked(
                pinned, bool(each.get("hashes")), lines.get(package, 1)
            )
    return found
