"""Names of members of an archive that the code makes: where who unpacks it will write them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..verdict import Verdict
from . import climbing
from .judgement import judge

NAME = "path"
_ROOT = "/-/"
"""What stands for the folder that an archive is unpacked into."""
_FIX = (
    "take the last part of the name alone (os.path.basename(name)), or refuse names that have `..` "
    "among their parts"
)


def check_member(guard: Guard, member: object) -> None:
    """Block the name of a member (BlockedError) that leads above the folder it is unpacked into."""
    name = getattr(member, "filename", None) or getattr(member, "name", member)
    if not guard.active or not isinstance(name, str) or ".." not in name:
        return
    text = name

    def question() -> Verdict | None:
        spans = guard.spans(text)
        moved = [span.moved(len(_ROOT)) for span in spans]
        verdict = judge(_ROOT + text, moved, allowed=lambda path: True) if moved else None
        return verdict._replace(fix=_FIX) if verdict is not None else None

    guard.decide(NAME, question)


def check_read(guard: Guard, member: object) -> None:
    """Block the name of a member that is read (BlockedError), if it has left the code's folder."""
    if not isinstance(member, str) or "/" not in member or not guard.active:
        return
    if guard.provenance.of(member) is not None or climbing.has_left(guard):
        guard.decide(NAME, lambda: climbing.verdict_on(guard, member))


def patch_zipfile(guard: Guard, module: ModuleType) -> None:
    """Watch what is put into archives by zipfile, by any of its ways."""

    def opened(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if str(argument(arguments, named, 2, "mode")).startswith("w"):
            check_member(guard, argument(arguments, named, 1, "name"))
        else:
            check_read(guard, argument(arguments, named, 1, "name"))

    def written(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_member(guard, argument(arguments, named, 2, "arcname"))

    kind = module.ZipFile
    wrap(kind, "open", opened)
    wrap(kind, "write", written)
    if callable(getattr(kind, "mkdir", None)):
        wrap(kind, "mkdir", lambda a, n: check_member(guard, argument(a, n, 1, *_FOLDER)))


_FOLDER = ("zinfo_or_directory_name", "zinfo_or_directory")


def patch_tarfile(guard: Guard, module: ModuleType) -> None:
    """Watch what is put into archives by tarfile: all of it goes by `addfile`."""
    wrap(module.TarFile, "addfile", lambda a, n: check_member(guard, argument(a, n, 1, "tarinfo")))
    wrap(module.TarFile, "getmember", lambda a, n: check_read(guard, argument(a, n, 1, "name")))
