"""What a change of one package costs: its size, and what the new release does that the old did not.

By a look at the words in both wheels: nothing of them is run or parsed. What is written so as not
to be seen is not seen; a release that says openly what it does, or begins to, is.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from casemate.build.errors import DependencyError
from casemate.build.payload import payload_mark

_MAX_MEMBER = 4 * 1024 * 1024
"""Bytes of one file that are looked at."""
_MAX_LOOKED_AT = 256 * 1024 * 1024
"""Bytes of one wheel that are looked at; the rest is told as such."""


class Ability(StrEnum):
    """What code can be seen to do."""

    NETWORK = "network"
    PROCESSES = "processes"
    WRITES = "writes files"
    NATIVE = "native code"
    DYNAMIC = "runs text as code"
    ENVIRONMENT = "reads the environment"
    START_UP = "runs at start-up"
    SCRIPTS = "console scripts"
    PACKED = "unpacks and runs text"


_IMPORTS = rb"^[ \t]{0,40}(?:import|from)[ \t]{1,9}"


_WORDS = {
    Ability.NETWORK: re.compile(
        _IMPORTS + rb"(?:socket|ssl|http\.client|urllib\.request|urllib3|requests|httpx2?|aiohttp"
        rb"|ftplib|smtplib|xmlrpc|paramiko|websockets)\b"
        rb"|^[ \t]{0,40}from[ \t]{1,9}urllib[ \t]{1,9}import[ \t]{1,9}request\b",
        re.M,
    ),
    Ability.PROCESSES: re.compile(
        _IMPORTS + rb"(?:subprocess|pty|multiprocessing)\b"
        rb"|\bos\.(?:system|popen|exec\w{1,5}|spawn\w{1,5}|fork(?:pty)?|posix_spawnp?)[ \t]{0,9}\(",
        re.M,
    ),
    Ability.WRITES: re.compile(
        rb"\bopen\([^()\n]{0,200},[ \t]{0,9}(?:mode[ \t]{0,3}=[ \t]{0,3})?[\"'][wax]"
        rb"|\.write_(?:text|bytes)[ \t]{0,9}\("
        rb"|\bos\.(?:remove|unlink|rename|replace|rmdir|makedirs|mkdir)[ \t]{0,9}\("
        rb"|\bshutil\.(?:rmtree|move|copy\w{0,10})[ \t]{0,9}\("
    ),
    Ability.NATIVE: re.compile(_IMPORTS + rb"(?:ctypes|cffi)\b", re.M),
    Ability.DYNAMIC: re.compile(
        rb"(?<![\w.])(?:exec|eval)[ \t]{0,9}\(|\b(?:marshal|pickle)\.loads?[ \t]{0,9}\("
    ),
    Ability.ENVIRONMENT: re.compile(rb"\bos\.(?:environ\b|getenv[ \t]{0,9}\()"),
}
_ENTRY = re.compile(rb"^\[(?:console|gui)_scripts\]", re.M)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one wheel was seen to do, each with the first place, and its size."""

    places: dict[Ability, str]
    size: int
    """Bytes, unpacked."""
    whole: bool
    """False if some of it was too large to be looked at."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of a package costs."""

    package: str
    size_before: int | None
    size_after: int | None
    gains: dict[Ability, str]
    """What the new release does that the old did not, each with a place."""
    loses: tuple[Ability, ...]
    whole: bool


def price_of(package: str, old: Path | None, new: Path | None) -> Price:
    """Return what it costs to replace one wheel by another, or to add or drop one.

    Raises DependencyError for a wheel that cannot be read.
    """
    before = look_into(old) if old is not None else None
    after = look_into(new) if new is not None else None
    had = before.places if before is not None else {}
    has = after.places if after is not None else {}
    return Price(
        package=package,
        size_before=before.size if before is not None else None,
        size_after=after.size if after is not None else None,
        gains={each: place for each, place in has.items() if each not in had},
        loses=tuple(each for each in had if each not in has),
        whole=all(each is None or each.whole for each in (before, after)),
    )


def look_into(wheel: Path) -> Seen:
    """Return what a wheel can be seen to do. Raises DependencyError."""
    places: dict[Ability, str] = {}
    looked, whole = 0, True
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            size = sum(each.file_size for each in members)
            for each in members:
                for ability, place in _by_name(each.filename):
                    places.setdefault(ability, place)
                if not each.filename.endswith((".py", "/entry_points.txt")):
                    continue
                looked += min(each.file_size, _MAX_MEMBER)
                if looked > _MAX_LOOKED_AT or each.file_size > _MAX_MEMBER:
                    whole = False
                if looked > _MAX_LOOKED_AT:
                    break
                with archive.open(each) as file:
                    data = file.read(_MAX_MEMBER)
                for ability, place in _by_words(each.filename, data, places):
                    places.setdefault(ability, place)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise DependencyError(f"{wheel.name} cannot be looked into.") from error
    return Seen(places=dict(sorted(places.items())), size=size, whole=whole)


def _by_name(path: str) -> Iterator[tuple[Ability, str]]:
    if path.endswith((".so", ".pyd", ".dll", ".dylib")) or ".so." in path:
        yield Ability.NATIVE, path
    top = path.partition("/")[0]
    if "/" not in path and path.endswith(".pth"):
        yield Ability.START_UP, path
    if top.partition(".")[0] in ("sitecustomize", "usercustomize"):
        yield Ability.START_UP, path


def _by_words(path: str, data: bytes, known: dict[Ability, str]) -> Iterator[tuple[Ability, str]]:
    if path.endswith("/entry_points.txt"):
        if _ENTRY.search(data):
            yield Ability.SCRIPTS, path
        return
    for ability, words in _WORDS.items():
        match = words.search(data) if ability not in known else None
        if match is not None:
            line = data.count(b"\n", 0, match.start()) + 1
            yield ability, f"{path}:{line}"
    mark = payload_mark(data) if Ability.PACKED not in known else None
    if mark is not None:
        yield Ability.PACKED, f"{path}:{mark.line}"
