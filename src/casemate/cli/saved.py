"""Whether files of a project were saved, for as long as it is tried out.

Each folder is watched by itself. A watch of the whole would follow links, which in a stranger's
project can lead to all of this machine, or to a few folders by any number of ways.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from casemate.cli.errors import CommandError
from casemate.cli.terminal import YELLOW, note

IGNORED: Final = frozenset(
    (
        *(".casemate", ".git", "__pycache__", ".venv", "venv", "node_modules"),
        *(".mypy_cache", ".pytest_cache"),
    )
)
MAX_FOLDERS: Final = 10_000
_DEBOUNCE_MS = 60
_LOOK_MS = 200
"""After which it is told that nothing is saved."""
_MOST_TRIES = 5
"""To watch all folders of a project in which folders come and go."""


def saves(root: Path) -> Iterator[bool]:
    """Yield whether files were saved since the last time, and now and then that not.

    What is saved from the first time on is told, whatever is done between two of them. Raises
    CommandError where folders cannot be watched.
    """
    told = again = False
    while True:
        folders, watched = _watched(root)
        if len(folders) == MAX_FOLDERS and not told:
            told = True
            note(f"The project has many folders: {MAX_FOLDERS:,} of them are watched.", YELLOW)
        yield again  # what is saved while they are looked for is not told otherwise
        again = True
        for paths in watched:
            yield any(not IGNORED.intersection(path.relative_to(root).parts) for path in paths)
            if any(path not in folders and _is_folder(path) for path in paths):
                break  # it is watched as well from now on


def _watched(root: Path) -> tuple[frozenset[Path], Iterator[list[Path]]]:
    """Return the folders, and what yields which files of them are saved. Raises CommandError."""
    folders: tuple[Path, ...] = ()
    for _ in range(_MOST_TRIES):
        folders = folders_of(root)
        changes = _changes(folders)
        try:
            next(changes)
        except FileNotFoundError:
            continue  # one that has gone meanwhile
        except OSError as error:
            raise CommandError(
                f"{root} cannot be watched for changes: {error.strerror or error}.",
                next_step="If the system watches too many files, allow more (sysctl "
                "fs.inotify.max_user_watches), or end programs that watch some.",
            ) from error
        if folders_of(root) == folders:
            break
    return frozenset(folders), changes


def _changes(folders: tuple[Path, ...]) -> Iterator[list[Path]]:
    from watchfiles import watch

    for found in watch(
        *folders,
        recursive=False,
        debounce=_DEBOUNCE_MS,
        step=20,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
        raise_interrupt=True,
    ):
        yield [Path(path) for _, path in found]


def folders_of(root: Path) -> tuple[Path, ...]:
    """Return the folders of a project, links not followed: the upper ones first, so many at most.

    What a link within the project leads to is one of them by itself.
    """
    found, left = [root], deque((root,))
    while left and len(found) < MAX_FOLDERS:
        try:
            with os.scandir(left.popleft()) as entries:
                names = sorted(e.path for e in entries if e.is_dir(follow_symlinks=False))
        except OSError:
            continue  # gone, or not to be read: a build says so
        inside = [Path(name) for name in names if os.path.basename(name) not in IGNORED]  # noqa: PTH119
        found += inside
        left.extend(inside)
    return tuple(found[:MAX_FOLDERS])


def _is_folder(path: Path) -> bool:
    return path.name not in IGNORED and path.is_dir() and not path.is_symlink()
