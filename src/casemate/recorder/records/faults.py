"""What the errors of the records' database are called, and what they tell people."""

from __future__ import annotations

from casemate.recorder.records.errors import (
    RecordsBusyError,
    RecordsClosedError,
    RecordsCorruptError,
    RecordsError,
    RecordsFullError,
    RecordsGoneError,
    RecordsKeyError,
    RecordsMediumError,
    RecordsUnsureError,
    RecordsVersionError,
)
from casemate.sqlite import engine
from casemate.sqlite.errors import DatabaseError
from casemate.sqlite.family import VALUE_ERRORS, Family, Telling

GO_ON = (
    "Restore the node from a backup, or go on without what was recorded: "
    "casemate serve --accept-loss records"
)
UNSTORABLE = (
    *VALUE_ERRORS,
    engine.InterfaceError,
    engine.ProgrammingError,
    AttributeError,
    TypeError,
    ValueError,
)
"""All that can come of a record that is not what its type says; the medium is not at fault."""
_FAILED = "The medium of the records failed: {}"
_CHECK = "Check the disk, the kernel's log and the rights on the folder journal/."
_UNREAD = "The database of the records cannot be read now: {}."
_LOOK = "Check the disk and the kernel's log; then the call works again."


def _log(error: OSError) -> DatabaseError:
    return RecordsMediumError(
        f"The log of the records cannot be examined: {error.strerror}.",
        next_step="Check the disk and the kernel's log.",
    )


RECORDS = Family(
    failed=Telling(RecordsError, _FAILED, _CHECK),
    medium=Telling(RecordsMediumError, _FAILED, _CHECK),
    full=Telling(
        RecordsFullError,
        "The disk of the records is full: {}",
        "Make room on the file system of the data folder; then the call works.",
    ),
    busy=Telling(
        RecordsBusyError,
        "Another program holds the database of the records: {}",
        "Close the other program and try again.",
    ),
    key=Telling(
        RecordsKeyError,
        "The records were written with another key, or their first page is damaged.",
        GO_ON,
    ),
    damaged=Telling(RecordsCorruptError, "The database of the records is damaged: {}", GO_ON),
    unsure=Telling(
        RecordsUnsureError,
        "The disk failed while records were being made durable: {}.",
        "Nothing is to be done: what was not acknowledged is sent again.",
    ),
    gone=Telling(
        RecordsGoneError,
        "{} of the records was removed or replaced while it was open: what is written would be "
        "lost.",
        "Put the file back, or restore the node from a backup.",
    ),
    unread=Telling(RecordsMediumError, _UNREAD, _LOOK),
    passed=Telling(RecordsMediumError, _UNREAD.format("the disk failed for a moment"), _LOOK),
    closed=Telling(RecordsClosedError, "The records are being closed.", "Try again in a moment."),
    newer=Telling(
        RecordsVersionError,
        "The records have schema version {}.",
        "Start the Casemate that wrote them or a newer one; nothing was changed.",
    ),
    not_wal=Telling(
        RecordsError,
        "The database of the records stays in journal mode {}; expected 'wal'.",
        "Put the data folder on a local file system with shared memory maps.",
    ),
    unforeseen=Telling(
        RecordsError,
        "The records failed in a way not foreseen: {}.",
        "Report this with the node's log.",
    ),
    log=_log,
    shows_values=False,
)
"""Of what functions wrote: no value of it is shown."""
