"""What packages the files beside an application ask for, with what versions and hashes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from packaging.utils import canonicalize_name

from casemate.audit.model import Dependency, Place, Platform
from casemate.audit.rule import Subject
from casemate.audit.rules.project_packages import is_lock, of_lock, of_pipfile, of_project

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,100})(?:\[[^\]\n]{0,200}\])?\s{0,4}(?P<wanted>[=<>!~][^;#\n]{0,200})?"
)


_PINNED = re.compile(r"===?\s{0,3}([^\s,*]{1,100})(?:\s.*)?")


_LOCK = re.compile(r"\.cp3[0-9]{1,2}-[a-z0-9_]{1,20}\.lock")


_MAX_FILES = 500


_MAX_LINES = 5_000
"""Of one file of requirements."""


def dependencies(subject: Subject) -> tuple[Dependency, ...]:
    """Return what the application's files ask for: read once for all rules."""
    folder = subject.application.place.file.rpartition("/")[0] or "."
    return subject.code.once("dependencies", folder, lambda: _told_once(subject, folder))


def _told_once(subject: Subject, folder: str) -> tuple[Dependency, ...]:
    """Return what is asked for; what a lock repeats of the file beside it is told there."""
    found = tuple(_asked_for(subject, folder))
    asked = {_key(each) for each in found if not is_lock(_last(each))}
    return tuple(each for each in found if not (is_lock(_last(each)) and _key(each) in asked))


def _last(each: Dependency) -> str:
    return each.place.file.rpartition("/")[2]


def _key(each: Dependency) -> tuple[str, str, str]:
    return each.place.file.rpartition("/")[0], each.name, each.version


def _asked_for(subject: Subject, folder: str) -> Iterator[Dependency]:
    count = 0
    for name in subject.workspace.under(folder):
        last = name.rpartition("/")[2]
        read = _reader(name, last)
        if read is None:
            continue
        count += 1
        if count > _MAX_FILES:
            what = f"more than {_MAX_FILES} dependency files: the rest is not audited"
            subject.workspace.note(folder, what)
            return
        yield from read(subject, name)


_Reader = Callable[[Subject, str], Iterator[Dependency]]


def _reader(name: str, last: str) -> _Reader | None:
    """Return what reads a file, by its name; None for files that ask for no packages."""
    if re.fullmatch(r"requirements[\w.-]{0,40}\.txt", last):
        return _requirements
    if last.endswith(".txt") and f"/{name}".endswith(f"/requirements/{last}"):
        return _requirements
    if is_lock(last):
        return of_lock
    return {
        "package.json": _package,
        "pyproject.toml": of_project,
        "Pipfile": of_pipfile,
    }.get(last)


def _requirements(subject: Subject, name: str) -> Iterator[Dependency]:
    text = subject.workspace.text(name) or ""
    if text.count("\n") > _MAX_LINES:
        what = f"it has more than {_MAX_LINES} lines: the rest is not audited"
        subject.workspace.note(name, what, _MAX_LINES)
    development = bool(re.search(r"dev|test|lint", name.rpartition("/")[2]))
    locked = _locked(subject, name)
    for at, line in _joined(text):
        bare = line.split(" #")[0].strip()
        if not bare or bare.startswith("#"):
            continue
        place = Place(name, at)
        if bare.startswith("-"):
            yield Dependency(
                ecosystem="option", name=bare.split("=")[0].split()[0], wanted=bare, place=place
            )
            continue
        address = re.search(r"(?:^|@\s{0,3})((?:git\+|https?:|svn\+|file:)\S{1,500})", bare)
        match = _LINE.match(bare)
        if match is None:
            continue
        wanted = (match["wanted"] or "").strip()
        pinned = _PINNED.fullmatch(wanted)
        known = canonicalize_name(match["name"])
        yield Dependency(
            ecosystem="pypi",
            name=known if not bare.startswith(("git+", "http")) else bare[:100],
            wanted=wanted,
            version=pinned[1] if pinned else locked.get(known, ""),
            hashed="--hash" in bare or known in locked,
            origin=address[1] if address else "",
            development=development,
            place=place,
        )


def _locked(subject: Subject, name: str) -> dict[str, str]:
    """Return the versions that a build's own locks beside a file of requirements have with hashes.

    Of several, for Python versions, the first counts; what is not in all of them is not locked.
    """
    if subject.application.platform is not Platform.CASEMATE:
        return {}
    folder = name.rpartition("/")[0] or "."
    locks = [
        {
            canonicalize_name(match["name"]): pinned[1]
            for _, line in _joined(subject.workspace.text(file) or "")
            if "--hash=" in line
            and (match := _LINE.match(line.partition(" ")[0]))
            and (pinned := _PINNED.fullmatch(match["wanted"] or ""))
        }
        for file in subject.workspace.under(folder)
        if file.startswith(f"{name}.cp") and _LOCK.fullmatch(file[len(name) :])
    ]
    return {n: v for n, v in locks[0].items() if all(n in lock for lock in locks)} if locks else {}


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with those that go on in the next one joined, and where each begins."""
    begun, parts = 1, list[str]()
    for number, line in enumerate(text.split("\n")[:_MAX_LINES], 1):
        if not parts:
            begun = number
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        yield begun, " ".join((*parts, line))
        parts = []


def _package(subject: Subject, name: str) -> Iterator[Dependency]:
    text = subject.workspace.text(name) or ""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        subject.workspace.note(name, "it is not JSON")
        return
    folder = name.rpartition("/")[0]
    lock = any(
        subject.workspace.has(f"{folder}/{n}".lstrip("/"))
        for n in ("package-lock.json", "yarn.lock", "pnpm-lock.yaml", "npm-shrinkwrap.json")
    )
    lines = _lines_of(text)
    for key in ("dependencies", "optionalDependencies", "devDependencies"):
        wanted = found.get(key) if isinstance(found, dict) else None
        for package, version in wanted.items() if isinstance(wanted, dict) else ():
            if isinstance(version, str):
                remote = re.match(r"(?:git|https?|github:|[\w-]+/[\w-]+)", version)
                yield Dependency(
                    ecosystem="npm",
                    name=package,
                    wanted=version,
                    version=version if re.fullmatch(r"\d[\w.+-]*", version) else "",
                    hashed=lock,
                    origin=version if remote else "",
                    development=key == "devDependencies",
                    place=Place(name, lines.get(package, 1)),
                )


def _lines_of(text: str) -> dict[str, int]:
    """Return the line on which each text in quotation marks stands first."""
    before, *quoted = text.split('"')
    found: dict[str, int] = {}
    line = 1 + before.count("\n")
    for part in quoted[:-1]:
        found.setdefault(part, line)
        line += part.count("\n")
    return found
