"""What the errors of a project's data tell people where a server of others keeps it."""

from __future__ import annotations

from dataclasses import replace

from casemate.data.errors import (
    CommitUnsureError,
    DataBusyError,
    DataCorruptError,
    DataError,
    DataFullError,
    DataMediumError,
    DataVersionError,
)
from casemate.data.faults import DATA
from casemate.sqlite.family import Telling

_FAILED = "The database of the project's data failed: {}"
_CHECK = "Look into the database server's log, and whether this node reaches it."

SHARED = replace(
    DATA,
    failed=Telling(DataError, _FAILED, _CHECK),
    medium=Telling(DataMediumError, _FAILED, _CHECK),
    full=Telling(
        DataFullError,
        "The disk of the database server is full: {}",
        "Delete data of the project, or make room on the server.",
    ),
    busy=Telling(
        DataBusyError,
        "The database of the project's data is busy: {}",
        "Try again; if it stays so, look who holds its locks.",
    ),
    damaged=Telling(
        DataCorruptError,
        "The project's data is damaged: {}",
        "Restore the database from a backup.",
    ),
    unsure=Telling(
        CommitUnsureError,
        "The database server's answer to a commit was lost: {}",
        "Look whether the change was made before it is sent again.",
    ),
    newer=Telling(
        DataVersionError,
        "The data has schema version {}.",
        "Start the Casemate that wrote it or a newer one; nothing was changed.",
    ),
)
