"""Whose folder the data folder is: a node takes over no folder that is not its own.

It makes the folder private and gives it away, so a wrong `--data` would lock everybody else out. A
file in the folder says that it is a node's, and of which format what is in it is.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from casemate import __version__
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.folder.presence import FENCE, FIRST_START, IDENTITY, PROOF, SHARED
from casemate.kernel.durability import replace_private
from casemate.model.errors import CasemateError

FORMAT = 1
"""Of all that a node keeps. Raised by a change that the release before could not read."""
MARKER = "casemate.json"
_MAX_MARKER = 4096
_DRAFT = f".{MARKER}.new"
_OURS = frozenset(
    (
        *("store", "data", "bundles", "spool", "vault", "journal", "recordings", "advisories"),
        "monitor",
        *(MARKER, _DRAFT, FIRST_START, SHARED, PROOF, IDENTITY),
        str(Path(IDENTITY).with_suffix(".new")),
    )
)
_FENCES = (FENCE, f"{FENCE}.before")
"""Ends of names: each further database has one."""
_TELLING = frozenset(("store", "vault", FIRST_START))
"""Of which a folder without the marker has at least one: of a release that made none, or of a first
start that was not completed, for example because the master key could not be read."""
_IGNORED = frozenset(("lost+found",))
_SYSTEM = tuple(
    Path(name)
    for name in (
        *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt"),
        *("/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var"),  # noqa: S108
        *("/usr/local", "/var/lib", "/var/log", "/var/tmp", "/var/cache", "/var/backups"),  # noqa: S108
    )
)
_FOUND_SHOWN = 3


class DataFolderError(CasemateError):
    """The folder cannot be a node's data folder."""


class Marker(msgspec.Struct, frozen=True):
    """What the marker says. Further fields are for releases to come."""

    format: int
    version: str
    """Of the release that wrote it last."""


def require_place(data: Path) -> None:
    """Refuse a folder where no node's data can be, whatever it holds. Raises DataFolderError."""
    real = Path(os.path.realpath(data))
    outer = next((folder for folder in real.parents if _marker(folder) is not None), None)
    if outer is not None:
        raise DataFolderError(
            f"{data} is inside {outer}, the data folder of another node. Nothing was changed.",
            next_step="Give a folder outside of it.",
        )
    if real in (*_SYSTEM, *_homes()):
        raise DataFolderError(
            f"{data} is a folder of the system or of a user, and a node closes its data folder to "
            "everybody else. Nothing was changed.",
            next_step=f"Give one of its own, for example --data {real / 'casemate'}",
        )


def _homes() -> tuple[Path, ...]:
    """Return this user's home folder; nothing where it has none."""
    try:
        return (Path.home(),)
    except RuntimeError:
        return ()


def require_own(data: Path) -> None:
    """Refuse a folder that is not a node's, and one of a newer release; change nothing.

    A missing or empty one may be taken. Raises DataFolderError, OSError.
    """
    require_place(data)
    real = Path(os.path.realpath(data))
    try:
        found = {entry.name for entry in real.iterdir()} - _IGNORED
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise DataFolderError(
            f"{data} is not a folder.",
            next_step="Give a folder that is missing, empty or a node's.",
        ) from error
    marker = _marker(real) if MARKER in found else None
    if marker is not None and marker.format > FORMAT:
        raise DataFolderError(
            f"The data in {data} was made by a newer version: Casemate {marker.version} (format "
            f"{marker.format}), and this is {__version__} (format {FORMAT}). Nothing was changed.",
            next_step="Start that version or a newer one, or restore a backup of this one.",
        )
    others = sorted(name for name in found - _OURS if not name.endswith(_FENCES))
    if not found or marker is not None or (not others and found & _TELLING):
        return
    shown = ", ".join(map(repr, (others or sorted(found))[:_FOUND_SHOWN]))
    raise DataFolderError(
        f"{data} holds data that is not a node's ({shown}). A node closes its data folder to "
        "everybody else. Nothing was changed.",
        next_step="Give a folder that is missing or empty, or the data folder of a node.",
    )


def _marker(data: Path) -> Marker | None:
    """Return what the marker says, None if it is none. The folder is the gateway's to change."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(data / MARKER, flags)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            return msgspec.json.decode(file.read(_MAX_MARKER), type=decodable(Marker))
        except DECODING_ERRORS:
            return None


def mark(data: Path) -> None:
    """Say that a folder is a node's, and what its format is. Raises DataFolderError."""
    wanted = Marker(FORMAT, __version__)
    if _marker(data) == wanted:
        return
    try:
        replace_private(data / MARKER, data / _DRAFT, msgspec.json.encode(wanted) + b"\n")
    except OSError as error:
        raise DataFolderError(
            f"{data / MARKER}, which says whose the folder is, cannot be written: "
            f"{error.strerror}.",
            next_step=f"Make room on its disk; if {MARKER} is a folder, move that away.",
        ) from error
