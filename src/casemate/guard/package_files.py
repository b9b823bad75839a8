"""Which installed package a file belongs to, by what the packages record of themselves (PEP 376).

Read once, before there is a fork. The build has held the records against the files.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator

MAX_PACKAGES = 2_000
MAX_RECORD_BYTES = 32 * 1024 * 1024
"""Of all records together; files of what comes after have no package."""
_FOLDER = re.compile(r"(?P<name>[^-]{1,200})-[^-]{1,200}\.dist-info")
_ROW = re.compile(r'^"?([^",\n]{1,1024})', re.MULTILINE)
_NOBODYS = ("", "..", "__pycache__")
_RUN = re.compile(r"[-_.]+")
_DEPTH = 4
"""Folders that several packages share are told apart by what is in them, so deep."""

Owners = dict[str, tuple[str, ...]]
"""Names of packages by the beginning of a path: as few parts of it as tell them apart."""


def normal(name: str) -> str:
    """Return a package's name as indexes have it: lower case, `-`."""
    return _RUN.sub("-", name).lower()


def owners_in(folder: str) -> Owners:
    """Return whose the files below a folder of installed packages are. Never raises OSError."""
    records: dict[str, bytes] = {}
    left = MAX_RECORD_BYTES
    for name, path in _records(folder):
        with contextlib.suppress(OSError), open(path, "rb") as opened:
            data = opened.read(left + 1)
            left -= len(data)
            if left >= 0:
                records[name] = data
    tops: dict[str, list[str]] = {}
    for name, data in records.items():
        for top in _tops(data):
            tops.setdefault(top, []).append(name)
    owners: Owners = {}
    shared: set[str] = set()
    for top, names in tops.items():
        if len(names) == 1:
            owners[top] = (names[0],)
        else:
            shared.update(names)
    rows = {name: _ROW.findall(records[name].decode(errors="replace")) for name in shared}
    for top, names in tops.items():
        if len(names) > 1:
            within = {n: [r for r in rows[n] if r.startswith(f"{top}/")] for n in names}
            owners |= _divided(within, 2) if any(within.values()) else {top: tuple(sorted(names))}
    return owners


def owners_of(owners: Owners, path: str) -> tuple[str, ...]:
    """Return the packages of a file, by its path below that folder."""
    end = path.find("/")
    for _ in range(_DEPTH):
        if end < 0:
            return owners.get(path, ())
        found = owners.get(path[:end])
        if found is not None:
            return found
        end = path.find("/", end + 1)
    return owners.get(path, ())


def _records(folder: str) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return
    for entry in entries[:MAX_PACKAGES]:
        match = _FOLDER.fullmatch(entry)
        if match is not None:
            yield normal(match["name"]), f"{folder}/{entry}/RECORD"


def _tops(record: bytes) -> set[str]:
    """Return the first parts of the paths of a record: mostly no more has to be looked at."""
    begun = {row.partition(b"/")[0] for row in record.split(b"\n")}
    tops = {each.partition(b",")[0].strip(b'"\r').decode(errors="replace") for each in begun}
    return tops.difference(_NOBODYS)


def _divided(records: dict[str, list[str]], depth: int) -> Owners:
    """Return whose the beginnings of these paths are, of so many parts, and longer where shared."""
    found: dict[str, set[str]] = {}
    for package, paths in records.items():
        for beginning in _beginnings(paths, depth):
            found.setdefault(beginning, set()).add(package)
    owners: Owners = {}
    for beginning, packages in found.items():
        if len(packages) == 1 or depth > _DEPTH:
            owners[beginning] = tuple(sorted(packages))
            continue
        within = {
            package: [path for path in records[package] if path.startswith(f"{beginning}/")]
            for package in packages
        }
        if any(within.values()):
            owners |= _divided(within, depth + 1 if depth < _DEPTH else 99)
        else:
            owners[beginning] = tuple(sorted(packages))
    return owners


def _beginnings(paths: Iterable[str], depth: int) -> set[str]:
    return {"/".join(path.split("/", depth)[:depth]) for path in paths}
