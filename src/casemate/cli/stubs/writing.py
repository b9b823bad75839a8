"""Where the stub goes in a project, and the writing of it: whole, and over nothing but itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from casemate.cli.errors import CommandError

STUB_PATH = Path("typings/casemate/__init__.pyi")
"""Where Pyright and what is built on it look by themselves; mypy with `mypy_path = "typings"`."""


def stub_text() -> str:
    """Return the stub of this version of Casemate."""
    return Path(__file__).with_name("handler.pyi").read_text(encoding="utf-8")


def write_stub(folder: Path) -> tuple[Path, bool]:
    """Write the stub into a project's folder; return its path, and whether it is another now.

    A stub of an earlier version is replaced. Raises CommandError if something else is in its
    place, if there is no such folder, or if it cannot be written; then all is as it was.
    """

    def is_ours(text: str) -> bool:
        return text.partition("\n")[0] == stub_text().partition("\n")[0]

    return write_ours(folder, STUB_PATH, stub_text(), is_ours)


def write_ours(
    folder: Path, below: Path, text: str, is_ours: Callable[[str], bool]
) -> tuple[Path, bool]:
    """Write a file that is ours into a project's folder, as `write_stub` does."""
    path = folder / below
    if not folder.is_dir():
        raise CommandError(
            f"{folder} is not a folder.", next_step="Give the folder of a project that is there."
        )
    try:
        found = _found(folder, below, is_ours)
        if found == text:
            return path, False
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise CommandError(
            f"{error.filename or path} cannot be written: {error.strerror}.",
            next_step="Choose a folder you may write to.",
        ) from error
    return path, True


def _found(folder: Path, below: Path, is_ours: Callable[[str], bool]) -> str | None:
    """Return the file that is there, None without one; CommandError if it is not one of ours."""
    # A link could lead out of the project: what is written through it would be anywhere.
    path = folder / below
    inside = [folder / parent for parent in reversed(below.parents[:-1])]
    links = [one for one in (*inside, path) if one.is_symlink()]
    if links:
        raise CommandError(
            f"{links[0]} is a symbolic link, expected a folder or file of the project.",
            next_step="Remove the link and run it again.",
        )
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    if not is_ours(text):
        raise CommandError(
            f"{path} was not written by `casemate stubs`, and is not overwritten.",
            next_step="Move it away if it is not needed, and run it again.",
        )
    return text


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".stub-{os.getpid()}")
    # As any other file of the project: what the umask leaves of 0666.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
