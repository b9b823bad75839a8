"""What the errors of a project's data are called, and what they tell people."""

from __future__ import annotations

import errno

from casemate.data.errors import (
    CommitUnsureError,
    DataBusyError,
    DataClosedError,
    DataCorruptError,
    DataError,
    DataFullError,
    DataGoneError,
    DataKeyError,
    DataMediumError,
    DataVersionError,
)
from casemate.sqlite.family import Family, Telling

RESTORE = (
    "Stop the node, move the project's files away for examination, restore them from a backup."
)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FAILED = "The medium of the project's data failed: {}"
_CHECK = "Check the disk, the kernel's log and the rights on the data folder."


def disk_error(what: str, error: OSError) -> DataError:
    """Return our error for one of the system's while a file is written or read."""
    # Also of what does not pass by itself, such as rights: it is no fault of what was asked.
    kind: type[DataError] = DataFullError if error.errno in _FULL else DataMediumError
    return kind(
        f"{what}: {error.strerror}.",
        next_step="Make room on the data's file system and check its rights.",
    )


def _log(error: OSError) -> DataError:
    return disk_error("The database's log cannot be examined", error)


DATA = Family(
    failed=Telling(DataError, _FAILED, _CHECK),
    medium=Telling(DataMediumError, _FAILED, _CHECK),
    full=Telling(
        DataFullError,
        "The disk, or the size that a project may take on it, is full: {}",
        "Delete data of the project, or make room on that file system.",
    ),
    busy=Telling(
        DataBusyError,
        "Another program holds the project's database: {}",
        "Close the other program (a backup or a shell) and try again.",
    ),
    key=Telling(
        DataKeyError,
        "The project's database does not open with its key: {}",
        "Check that the vault is the one this data was written with; if it is, the "
        "file is damaged: restore it from a backup.",
    ),
    damaged=Telling(DataCorruptError, "The project's database is damaged: {}", RESTORE),
    unsure=Telling(
        CommitUnsureError,
        "The disk failed while a change was being made durable: {}.",
        "Look whether it was made before it is sent again.",
    ),
    gone=Telling(
        DataGoneError,
        "{} was removed or replaced while it was open: further writes would be lost.",
        "Put the file back, or stop the node and restore the data from a backup.",
    ),
    unread=Telling(
        DataMediumError,
        "The project's database cannot be read now: {}.",
        "Check the disk and the kernel's log; then the call works again.",
    ),
    passed=Telling(
        DataMediumError,
        "The project's database could not be read for a moment.",
        "Send the request again; the kernel's log says what the disk did.",
    ),
    closed=Telling(DataClosedError, "The project's data is closing.", "Send the request again."),
    newer=Telling(
        DataVersionError,
        "The data has schema version {}.",
        "Start the Casemate that wrote it or a newer one; nothing was changed.",
    ),
    not_wal=Telling(
        DataError,
        "The database stays in journal mode {}; expected 'wal'.",
        "Put the data on a local file system with shared memory maps.",
    ),
    unforeseen=Telling(
        DataError,
        "The project's data failed in a way not foreseen: {}.",
        "Report this with the node's log.",
    ),
    log=_log,
    shows_values=False,
)
"""Of what projects keep: the engine's texts name tables, but those of Python show values."""
