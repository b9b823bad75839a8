"""Making a data folder from a backup: all of it, verified, or nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO

from casemate.backup.archive import ArchiveReader, BackupError, Entry, Manifest, damaged
from casemate.backup.journal import restore_journal
from casemate.folder.folders import Folders
from casemate.folder.ownership import DataFolderError, require_place
from casemate.kernel.drafts import draft_folder
from casemate.kernel.durability import sync_folder
from casemate.model.processes import GATEWAY_UID, MONITOR_UID, RECORDER_UID, VAULT_UID

_PIECE = 1024 * 1024
_SPARE = 64 * 1024 * 1024
"""Bytes to be left on the disk, for what a file system needs beside the contents."""


def restore(archive: Path, data: Path, manifest: Manifest) -> str:
    """Make the data folder `data` from a backup that has `manifest`; return the archive's SHA-256.

    What proves that one is `proving.require_signed`. `data` must be missing or empty. Everything is
    written beside it, verified and synced first, and takes its place by one rename. As root, files
    get the owners that a node of root gives them. Raises BackupError; then nothing is left behind.
    What a killed one left of the same folder is removed by the next.
    """
    data = Path(os.path.abspath(data))  # noqa: PTH100 - `resolve` would follow a link
    require_free(data)
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        owners = (GATEWAY_UID,) if os.geteuid() == 0 else ()
        with draft_folder(data.parent, f".{data.name}.restore-", owners=owners) as draft:
            digest = _read(archive, draft, manifest)
            _sync_tree(draft)
            draft.rename(data)
            sync_folder(data.parent)
    except OSError as error:
        raise BackupError(
            f"The backup cannot be restored to {data}: {error.strerror}.",
            next_step="Give a folder that is missing or empty, on a disk with enough room.",
        ) from error
    return digest


def require_free(data: Path) -> None:
    """Raise BackupError where no data folder can be made of a backup."""
    try:
        require_place(data)
    except DataFolderError as error:
        raise BackupError(error.message, next_step=error.next_step) from error
    if data.is_symlink() or (data.exists() and not data.is_dir()):
        raise BackupError(
            f"{data} is not a folder.", next_step="Give a folder that is missing or empty."
        )
    if data.is_dir() and any(data.iterdir()):
        raise BackupError(
            f"{data} is not empty: a node may be using it.",
            next_step="Stop that node and move the folder away, or give another one.",
        )
    if data.exists() and os.path.ismount(data):
        raise BackupError(
            f"{data} is a mount point, which cannot be replaced as a whole.",
            next_step=f"Give a folder inside it, such as {data / 'casemate'}.",
        )


def _read(archive: Path, draft: Path, manifest: Manifest) -> str:
    root = os.geteuid() == 0
    uid, vault_uid = (GATEWAY_UID, VAULT_UID) if root else (None, None)
    folders = Folders(draft)
    recorder_uid, monitor_uid = (RECORDER_UID, MONITOR_UID) if root else (None, None)
    folders.make(uid, vault_uid, recorder_uid, monitor_uid)
    owners = {"vault": vault_uid, "journal": recorder_uid}
    sink = _Extraction(draft, manifest, uid, owners)
    reader = ArchiveReader(sink)
    try:
        with archive.open("rb") as file:
            while piece := file.read(_PIECE):
                reader.feed(piece)
        _found, digest = reader.finish()
    finally:
        sink.abandon()
    # No backup holds what the monitor remembers of the journal.
    restore_journal(folders.journal, manifest, digest, recorder_uid)
    return digest


class _Extraction:
    """Writes the files of a backup below a folder that nobody else knows."""

    def __init__(
        self, folder: Path, wanted: Manifest, uid: int | None, owners: dict[str, int | None]
    ) -> None:
        self._folder = folder
        self._wanted = wanted
        self._uid = uid
        self._owners = owners
        self._file: IO[bytes] | None = None

    def begin(self, manifest: Manifest) -> None:
        if manifest != self._wanted:
            raise damaged("it was changed while it was read")
        free = shutil.disk_usage(self._folder).free
        if manifest.content_bytes + _SPARE > free:
            raise BackupError(
                f"The backup needs {manifest.content_bytes} bytes; {free} are free.",
                next_step="Make room, or restore to another disk.",
            )

    def open(self, entry: Entry) -> None:
        path = self._folder / entry.name
        owner = self._owners.get(entry.name.partition("/")[0], self._uid)
        for folder in reversed(path.relative_to(self._folder).parents[:-1]):
            self._make_folder(self._folder / folder, owner)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "wb")
        if owner is not None:
            os.fchown(self._file.fileno(), owner, owner)

    def write(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def abandon(self) -> None:
        if self._file is not None:
            self._file.close()

    def _make_folder(self, folder: Path, owner: int | None) -> None:
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return
        if owner is not None:
            os.chown(folder, owner, owner)


def _sync_tree(top: Path) -> None:
    for folder, _, _ in os.walk(top):
        sync_folder(Path(folder))
