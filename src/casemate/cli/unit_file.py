"""The file of a systemd unit: written whole, through no symbolic link, over no one else's."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from casemate.cli.errors import CommandError

MAX_UNIT_BYTES = 256 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_unit(
    base: Path,
    below: Sequence[str],
    name: str,
    text: str,
    *,
    may_replace: Callable[[str], bool],
) -> bool:
    """Write `text` as `name` into the folder `below` the folder `base`; tell if it was changed.

    Folders that are missing are made. A unit that is there is replaced if `may_replace` says so of
    its text. Raises CommandError; then nothing has changed.
    """
    path = base.joinpath(*below, name)
    try:
        folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in below:
                folder = _enter(folder, part)
            found = _found(folder, name, path)
            if found == text:
                return False
            if found is not None and not may_replace(found):
                raise CommandError(
                    f"{path} was changed by hand, or written by somebody else.",
                    next_step="Compare it with `casemate service install --print`; --force "
                    "replaces it.",
                )
            _replace(folder, name, text)
        finally:
            os.close(folder)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}.",
            next_step="Run it as root, or with --user for a service of your own; no part of the "
            "path may be a symbolic link.",
        ) from error
    return True


def _enter(folder: int, part: str) -> int:
    """Return the folder `part` of `folder`, made if it is missing, and close `folder`."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(part, 0o755, dir_fd=folder)
    entered = os.open(part, _FOLDER, dir_fd=folder)
    os.close(folder)
    return entered


def _found(folder: int, name: str, path: Path) -> str | None:
    """Return the text of the unit that is there, None without one."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        # A link to /dev/null is how a unit is masked; another leads who knows where.
        raise CommandError(
            f"{path} is {'a symbolic link' if stat.S_ISLNK(mode) else 'no file'}.",
            next_step="Look where it leads (`systemctl unmask casemate` removes a mask), remove "
            "it, and run this again.",
        )
    # Not one that was put in its place since: neither a link nor a pipe that blocks.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
        return file.read(MAX_UNIT_BYTES).decode("utf-8", "replace")


def _replace(folder: int, name: str, text: str) -> None:
    draft = f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o644, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o644)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        raise


def require_safe_program(program: Path) -> None:
    """Refuse a program that root would run and that others could change. Raises CommandError."""
    for path in dict.fromkeys((program, program.resolve())):
        for part in (path, *path.parents):
            found = part.lstat()
            sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
            writable = found.st_mode & 0o022 and not sticky and not stat.S_ISLNK(found.st_mode)
            if found.st_uid != 0 or writable:
                raise CommandError(
                    f"{part} belongs to uid {found.st_uid} and has mode "
                    f"{stat.S_IMODE(found.st_mode):04o}: who can change it would be root.",
                    next_step="Install Casemate as root, where only root writes: "
                    "UV_TOOL_DIR=/opt/casemate UV_TOOL_BIN_DIR=/usr/local/bin uv tool install ...",
                )
