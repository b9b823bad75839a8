"""Names of members of an archive that the code makes: where who unpacks it will write them."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..verdict import Verdict
from .judgement import judge

NAME = "path"
_WAITING = ("path", "members")
MAX_WAITING = 200
"""Names that wait until it is known who reads their archive."""
_UNPACKING = frozenset(
    ("extract", "extractall", "extractfile", "is_relative_to", "data_filter", "write_bytes")
)
"""Words of code that unpacks what it reads, and does not only look whether it is whole."""
_FILES, _MAX_FILES = ("fp", "fileobj"), 4
_ROOT = "/-/"
"""What stands for the folder that an archive is unpacked into."""
_FIX = (
    "take the last part of the name alone (os.path.basename(name)), or refuse names that have `..` "
    "among their parts"
)


def check_member(guard: Guard, member: object, archive: object = None) -> None:
    """Block the name of a member (BlockedError) that leads above the folder it is unpacked into.

    Where the code unpacks archives, that is done of one in memory once the handler has returned,
    unless it has read this one again: then names in it are data from outside.
    """
    name = getattr(member, "filename", None) or getattr(member, "name", member)
    if not guard.active or not isinstance(name, str) or ".." not in name:
        return
    text = name

    def question() -> Verdict | None:
        spans = guard.spans(text)
        moved = [span.moved(len(_ROOT)) for span in spans]
        verdict = judge(_ROOT + text, moved, allowed=lambda path: True) if moved else None
        if verdict is None:
            return None
        verdict = verdict._replace(fix=_FIX)
        held = _in_memory(archive) if guard.constants.holds_any(_UNPACKING) else None
        waiting: list[tuple[io.BytesIO, Verdict]] = guard.provenance.kept.setdefault(_WAITING, [])
        if held is None or len(waiting) >= MAX_WAITING:
            return verdict
        waiting.append((held, verdict))
        return None

    guard.decide(NAME, question)


def _in_memory(archive: object) -> io.BytesIO | None:
    """Return the file in memory that an archive is written into, also a compressed one."""
    file: Any = archive
    for _ in range(_MAX_FILES):
        if type(file) is io.BytesIO:
            return file
        file = next((f for n in _FILES if (f := getattr(file, n, None)) is not None), None)
    return None


def read_again(guard: Guard, archive: object) -> None:
    """Take in that the code reads an archive, which it may have made itself."""
    waiting: list[tuple[io.BytesIO, Verdict]] = guard.provenance.kept.get(_WAITING, [])
    held = _in_memory(archive) if waiting else None
    if held is not None and not held.closed:
        content = held.getvalue()
        waiting[:] = [one for one in waiting if one[0].closed or one[0].getvalue() != content]


def check_left(guard: Guard) -> None:
    """Block archives (BlockedError) that were made in memory and not read again."""
    waiting: list[tuple[io.BytesIO, Verdict]] = guard.provenance.kept.get(_WAITING, [])
    if guard.active and waiting:
        guard.decide(NAME, lambda: waiting[0][1])


def patch_zipfile(guard: Guard, module: ModuleType) -> None:
    """Watch what is put into archives by zipfile, by any of its ways."""

    def opened(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if str(argument(arguments, named, 2, "mode")).startswith("w"):
            check_member(guard, argument(arguments, named, 1, "name"), arguments[0])

    def written(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_member(guard, argument(arguments, named, 2, "arcname"), arguments[0])

    kind = module.ZipFile
    wrap(kind, "open", opened)
    wrap(kind, "write", written)
    if callable(getattr(kind, "mkdir", None)):
        wrap(kind, "mkdir", lambda a, n: check_member(guard, argument(a, n, 1, *_FOLDER), a[0]))


_FOLDER = ("zinfo_or_directory_name", "zinfo_or_directory")


def patch_tarfile(guard: Guard, module: ModuleType) -> None:
    """Watch what is put into archives by tarfile: all of it goes by `addfile`."""
    wrap(
        module.TarFile,
        "addfile",
        lambda a, n: check_member(guard, argument(a, n, 1, "tarinfo"), a[0]),
    )
