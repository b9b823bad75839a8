"""The sweep: deletes blobs that no row names, once they are too old to be waiting for theirs.

First it is listed and then the rows are asked, so that a row that is written meanwhile is seen. A
row is written within `GRACE_SECONDS` of its blob, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from casemate.blobs.interface import Blobs

_AT_ONCE = 100_000
"""Names held in memory; the rows are asked once for so many."""
Named = Callable[[str, str], Iterable[str]]
"""Gives the names of all rows from one to another, both included."""
Delete = Callable[[Iterable[str]], None]


def sweep(blobs: Blobs, named: Named, delete: Delete) -> int:
    """Have deleted what has no row and is older than the store's grace; return how many that were.

    Raises OSError, BlobsError.
    """
    deleted = 0
    names: set[str] = set()
    for name, age in blobs.listed():
        if age >= blobs.grace:
            names.add(name)
        if len(names) >= _AT_ONCE:
            deleted += _delete(names, named, delete)
            names = set()
    return deleted + _delete(names, named, delete)


def _delete(names: set[str], named: Named, delete: Delete) -> int:
    if names:
        names.difference_update(named(min(names), max(names)))
        delete(names)
    return len(names)
