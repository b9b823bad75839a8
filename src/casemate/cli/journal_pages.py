"""Entries of a node's journal, page by page."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from casemate.cli.client import NodeClient
from casemate.cli.errors import CommandError
from casemate.operations.journal import JournalEntry, ListJournal

PAGE = 1000
MAX_KEPT_BYTES = 512 << 20
"""Of entries that wait, encoded, until all are there."""
MAX_SHOWN_BYTES = 256 << 20
"""Of those that wait as they are shown, which take ten times the memory."""


def pages(
    client: NodeClient, wanted: ListJournal, most: int | None, *, most_bytes: int | None = None
) -> Iterator[JournalEntry]:
    """Yield entries, newest first, as many as there are or are wanted.

    Raises CommandError for pages that do not come nearer to the journal's beginning, or have more
    than was asked for, and for more than `most_bytes`.
    """
    left, size = most, 0
    while left is None or left > 0:
        asked = replace(wanted, limit=min(PAGE, left or PAGE))
        response = client.request(asked)
        page = client.answer(asked, response)
        size += len(response.content)
        if most_bytes is not None and size > most_bytes:
            raise CommandError(
                f"{client.url} has told {size} bytes of its journal, expected at most "
                f"{most_bytes} at once.",
                next_step="Ask for less: --limit, --since and --project do; "
                "`casemate journal export` writes all of it.",
            )
        if len(page.entries) > asked.limit:
            raise CommandError(
                f"{client.url} has told {len(page.entries)} entries of its journal, expected at "
                f"most {asked.limit} at once.",
                next_step="Check that it is a Casemate node.",
            )
        yield from page.entries
        if left is not None:
            left -= len(page.entries)
        if page.before is None or page.before <= wanted.first:
            return
        if wanted.before is not None and page.before >= wanted.before:
            raise CommandError(
                f"{client.url} tells the same part of its journal again and again.",
                next_step="Check that it is a Casemate node.",
            )
        wanted = replace(wanted, before=page.before)


def following(
    client: NodeClient, wanted: ListJournal, first: int, end: int
) -> Iterator[JournalEntry]:
    """Yield entries from one on and before another, oldest first; a page of them is kept."""
    while first < end:
        until = min(first + PAGE, end)
        asked = replace(wanted, first=first, before=until, limit=until - first)
        yield from reversed(client.call(asked).entries)
        first = until
