"""Reads files of records out of a folder or an archive, within the bounds of `limits`.

What is not a plain file with a plain name is refused by name: links, devices, names that lead
elsewhere, names that are there twice, passwords. Nothing is unpacked to disk.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from casemate.advisories import limits
from casemate.advisories.budget import Budget
from casemate.advisories.errors import CutShortError, SourceError
from casemate.advisories.filenames import check_name, is_record, too_large
from casemate.advisories.tar import tar_files

_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22


def read_files(path: Path, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each `.json` file of a folder or an archive.

    Raises SourceError, CutShortError.
    """
    try:
        if path.is_dir():
            yield from _folder_files(path, budget)
            return
        with path.open("rb") as file:
            yield from archive_files(file, path.name, budget)
    except FileNotFoundError as error:
        raise SourceError(
            f"There is no {path}.", next_step="Name a folder, an archive or an http(s) address."
        ) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from error


def archive_files(file: IO[bytes], name: str, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each `.json` file of an archive.

    Raises SourceError, CutShortError.
    """
    information = os.fstat(file.fileno())
    if not stat.S_ISREG(information.st_mode):
        raise SourceError(f"{name[:200]!a} is neither a folder nor a file.")
    size = information.st_size
    if size > limits.MAX_ARCHIVE_BYTES:
        raise SourceError(
            f"{name[:200]!a} is larger than {limits.MAX_ARCHIVE_BYTES // limits.MIB} MiB."
        )
    budget.within(budget.bytes // limits.MAX_RATIO + size)
    start = file.read(8)
    file.seek(0)
    seen: set[str] = set()
    files = _zip_files(file, budget) if start.startswith(b"PK") else tar_files(file, name, budget)
    for inside, data in files:
        check_name(inside)
        if inside in seen:
            raise SourceError(f"{name[:200]!a} has {inside[:200]!a} twice.")
        seen.add(inside)
        if data is not None:
            yield inside, data


def _folder_files(root: Path, budget: Budget) -> Iterator[tuple[str, bytes]]:
    for folder, names, files in os.walk(root, followlinks=False):
        below = Path(folder).relative_to(root)
        if len(below.parts) >= limits.MAX_FOLDER_DEPTH:
            raise SourceError(f"{str(below)[:200]!a} lies too deep.")
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in names:
            if (Path(folder) / name).is_symlink():
                raise SourceError(f"{(below / name).as_posix()[:200]!a} is a link.")
        for name in sorted(files):
            inside = (below / name).as_posix()
            if not is_record(inside):
                continue
            budget.file()
            data = _read_plain(Path(folder) / name, inside)
            budget.take(len(data))
            yield inside, data


def _read_plain(path: Path, inside: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = "is a link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise SourceError(f"{inside[:200]!a} {what}.") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise SourceError(f"{inside[:200]!a} is no plain file.")
        data = file.read(limits.MAX_RECORD_BYTES + 1)
    if len(data) > limits.MAX_RECORD_BYTES:
        raise too_large(inside)
    return data


def _zip_files(file: IO[bytes], budget: Budget) -> Iterator[tuple[str, bytes | None]]:
    _check_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                budget.file()
                if info.is_dir():
                    continue
                mode = info.external_attr >> 16
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    raise SourceError(f"{info.filename[:200]!a} is a link or no plain file.")
                if info.flag_bits & 1:
                    raise SourceError(f"{info.filename[:200]!a} has a password.")
                yield info.filename, _unzipped(archive, info, budget)
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise CutShortError(f"The archive is damaged or cut off: {error}.") from error
    except (NotImplementedError, RuntimeError, UnicodeDecodeError, ValueError) as error:
        raise SourceError(f"The archive cannot be read: {str(error)[:200]}.") from error


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> bytes | None:
    if not is_record(info.filename):
        return None
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SourceError(f"{info.filename[:200]!a} is compressed in a way that is not read here.")
    with archive.open(info) as member:
        data = member.read(limits.MAX_RECORD_BYTES + 1)
    if len(data) > limits.MAX_RECORD_BYTES:
        raise too_large(info.filename)
    budget.take(len(data))
    return data


def _check_directory(file: IO[bytes]) -> None:
    """Refuse a directory that would take too much memory, before it is read."""
    size = file.seek(0, os.SEEK_END)
    tail_size = min(size, _ZIP_END_BYTES + 0xFFFF)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    file.seek(0)
    at = tail.rfind(_ZIP_END)
    if at < 0 or len(tail) - at < _ZIP_END_BYTES:
        raise CutShortError("The archive is damaged or cut off: it has no directory.")
    # The 64-bit form is written in front of it; what lies between it and the end counts as well.
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    wide = tail.rfind(b"PK\x06\x06", 0, at)
    if wide >= 0 and at - wide >= 56:
        directory = max(
            directory % 0xFFFFFFFF, int.from_bytes(tail[wide + 40 : wide + 48], "little")
        )
    if directory > limits.MAX_DIRECTORY_BYTES:
        raise SourceError("The archive's directory is too large.")
