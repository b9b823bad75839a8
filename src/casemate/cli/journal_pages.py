"""Entries of a node's journal, page by page, newest first."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from casemate.cli.client import NodeClient
from casemate.cli.errors import CommandError
from casemate.operations.journal import JournalEntry, ListJournal

PAGE = 1000


def pages(
    client: NodeClient, wanted: ListJournal, most: int | None, *, least: int = 0
) -> Iterator[JournalEntry]:
    """Yield entries, newest first, as many as there are or are wanted; none before `least`.

    Raises CommandError for pages that do not come nearer to the journal's beginning.
    """
    left = most
    while left is None or left > 0:
        page = client.call(replace(wanted, limit=min(PAGE, left or PAGE)))
        yield from (entry for entry in page.entries if entry.index >= least)
        if left is not None:
            left -= len(page.entries)
        if page.before is None or page.before <= least:
            return
        if wanted.before is not None and page.before >= wanted.before:
            raise CommandError(
                f"{client.url} tells the same part of its journal again and again.",
                next_step="Check that it is a Casemate node.",
            )
        wanted = replace(wanted, before=page.before)
