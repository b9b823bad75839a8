"""The journal of a backup: made of its copy, verified, and marked as one that was put back."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from casemate.backup.archive import Manifest, damaged, parts_of_journal
from casemate.journal import verify
from casemate.journal.copying import unpack
from casemate.journal.errors import JournalInputError
from casemate.journal.files import write_whole
from casemate.journal.note import NoteKey
from casemate.recorder.config import NEW_JOURNAL, RESTORED
from casemate.recorder.records.opening import FOLDER
from casemate.recorder.restored import Mark


def restore_journal(folder: Path, manifest: Manifest, digest: str, uid: int | None) -> None:
    """Make the journal in its folder, where the files of the backup are, `uid`'s.

    Where the backup has none another one begins, and is expected to. Raises BackupError for one
    that is not as it was signed, OSError.
    """
    parts = [folder.parent / name for name in parts_of_journal(manifest)]
    if not parts:
        (folder / NEW_JOURNAL).touch(mode=0o600)
    else:
        key = _unpack(parts, folder)
        found = verify(folder, key)
        if found.findings:
            first = found.findings[0]
            raise damaged(f"{first.text}, of the journal")
        mark = Mark(made_at=manifest.created_at, entries=found.size, archive=digest)
        write_whole(folder / RESTORED, msgspec.json.encode(mark), durable=True)
    if uid is not None:
        for path in folder.rglob("*"):
            if path.relative_to(folder).parts[0] != FOLDER:
                os.chown(path, uid, uid, follow_symlinks=False)


def _unpack(parts: list[Path], folder: Path) -> NoteKey:
    keys: list[NoteKey | None] = []
    try:
        for part in parts:
            with part.open("rb") as file:
                keys.append(unpack(file, folder))
            part.unlink()
    except JournalInputError as error:
        raise damaged(error.message.rstrip(".")) from error
    if keys[0] is None or any(keys[1:]):
        raise damaged("the copy of the journal does not begin with its key")
    return keys[0]
