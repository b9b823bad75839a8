"""What is made beside its place and takes long: held while it is being made.

A program that is killed leaves its draft. Nothing holds that any more, so the next one that is to
make the same removes it; what another one is at is held, and stays.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

MAX_LEFTOVERS = 100
"""Drafts of killed programs that are removed at once."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_RANDOM, _RANDOM_LENGTH = frozenset(_LETTERS), 8
"""What tempfile puts between prefix and suffix."""
_TRIES = 100
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def draft_folder(within: Path, prefix: str, *, owners: tuple[int, ...] = ()) -> Iterator[Path]:
    """Give a new folder, held within the block; it is removed where that fails.

    What killed programs left of the same is removed first: of this user, and of `owners`. Raises
    OSError.
    """
    remove_leftovers(within, prefix, owners=owners)
    path, descriptor = _held(lambda: _new_folder(within, prefix))
    try:
        yield path
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Lend a folder for what is of use within the block alone, where such folders are.

    What killed programs left of the same is removed first. Raises OSError.
    """
    with draft_folder(Path(tempfile.gettempdir()), prefix) as path:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def draft_file(
    within: Path, prefix: str, suffix: str, *, mode: int = 0o600
) -> Iterator[tuple[Path, int]]:
    """Give a new file and a descriptor to write to it, held within the block.

    `mode` is what open(2) takes: less what the user wants of no file. It is removed at the end, if
    it has that name still; as with `draft_folder`.
    """
    remove_leftovers(within, prefix, suffix)
    path, descriptor = _held(lambda: _new_file(within, prefix, suffix, mode))
    try:
        yield path, descriptor
    finally:
        try:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def remove_leftovers(
    within: Path, prefix: str, suffix: str = "", *, owners: tuple[int, ...] = ()
) -> None:
    """Remove drafts that nothing holds: of this user, and of `owners`. What stays is no error."""
    of = (os.geteuid(), *owners)
    with suppress(OSError), os.scandir(within) as entries:
        named = (entry for entry in entries if _is_draft(entry.name, prefix, suffix))
        # Counted are one's own alone: others may have put any number of such names there.
        found = (Path(entry.path) for entry in named if _is_of(entry, of))
        for path in list(islice(found, MAX_LEFTOVERS)):
            with suppress(OSError):
                _remove_if_left(path, of)


def _is_of(entry: os.DirEntry[str], owners: tuple[int, ...]) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_uid in owners
    except OSError:
        return False


def _is_draft(name: str, prefix: str, suffix: str) -> bool:
    if not (name.startswith(prefix) and name.endswith(suffix)):
        return False
    drawn = name[len(prefix) : len(name) - len(suffix)]
    return len(drawn) == _RANDOM_LENGTH and _RANDOM.issuperset(drawn)


def _remove_if_left(path: Path, owners: tuple[int, ...]) -> None:
    seen = path.lstat()
    is_folder = stat.S_ISDIR(seen.st_mode)
    if seen.st_uid not in owners or not (is_folder or stat.S_ISREG(seen.st_mode)):
        return
    descriptor = os.open(path, _FOLDER if is_folder else _FILE)
    try:
        if not _hold(descriptor, path):
            return
        if is_folder:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


def _new_folder(within: Path, prefix: str) -> tuple[Path, int]:
    path = Path(tempfile.mkdtemp(dir=within, prefix=prefix))
    return path, os.open(path, _FOLDER)


def _new_file(within: Path, prefix: str, suffix: str, mode: int) -> tuple[Path, int]:
    drawn = "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM_LENGTH))
    path = within / f"{prefix}{drawn}{suffix}"
    return path, os.open(path, _NEW, mode)


def _held(make: Callable[[], tuple[Path, int]]) -> tuple[Path, int]:
    """Make a draft that is held: another program can take one for left that is not held yet."""
    missing = None
    for _ in range(_TRIES):
        try:
            path, descriptor = make()
        except FileNotFoundError as error:
            missing = error  # removed between mkdir and open, or there is no such folder
            continue
        if _hold(descriptor, path):
            return path, descriptor
        os.close(descriptor)
    raise missing or FileExistsError(errno.EEXIST, "others take each draft away")


def _hold(descriptor: int, path: Path) -> bool:
    """Lock what is open; tell whether it is locked, and is what has that name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except (BlockingIOError, FileNotFoundError):
        return False
