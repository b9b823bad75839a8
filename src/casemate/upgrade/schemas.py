"""Which schemas this version knows of what a node keeps."""

from __future__ import annotations


def own_schemas() -> dict[str, int]:
    """Return the newest schema of each kind of file, by name.

    A version that knows less of one cannot open what this one has brought forward.
    """
    from casemate.data.schema import MIGRATIONS as DATA
    from casemate.folder.ownership import FORMAT
    from casemate.recorder.records.schema import MIGRATIONS as RECORDS
    from casemate.store.sqlite.schema import MIGRATIONS as STORE

    return {
        "data": len(DATA),
        "folder": FORMAT,
        "records": len(RECORDS),
        "store": len(STORE),
    }
