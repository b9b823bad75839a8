"""Entries of a node's journal, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from msgspec.structs import replace

from casemate.cli.client import UNKNOWN_PARAMETERS, NodeClient
from casemate.cli.errors import CommandError
from casemate.operations.journal import JournalEntry, ListJournal

PAGE = 1000
_FIRST_UNKNOWN = f"{UNKNOWN_PARAMETERS}first."
"""In what a node of an earlier release says of a question with `first`."""
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
    """Yield entries from one on and before another, oldest first; a page of them is kept.

    A node of an earlier release does not know `first`: it is asked without, and what it tells of
    before that is left out here. What is seldom takes it longer then.
    """
    while first < end:
        until = min(first + PAGE, end)
        asked = replace(wanted, first=first, before=until, limit=until - first)
        yield from reversed(_between(client, asked))
        first = until


def _between(client: NodeClient, asked: ListJournal) -> list[JournalEntry]:
    """Return entries between two places, newest first, in as many answers as the node gives."""
    first, last, found = asked.first, asked.before or 0, list[JournalEntry]()
    while True:
        response = client.request(asked)
        if asked.first and response.status_code == HTTPStatus.BAD_REQUEST:
            if _FIRST_UNKNOWN not in response.text:
                raise client.failure(response, asked)
            asked = replace(asked, first=0)
            continue
        page = client.answer(asked, response)
        found += [each for each in page.entries if first <= each.index < last]
        if page.before is None or page.before <= first:
            return found
        if page.before >= last or len(found) > PAGE:
            raise CommandError(
                f"{client.url} tells the same part of its journal again and again.",
                next_step="Check that it is a Casemate node.",
            )
        last = page.before
        asked = replace(asked, before=last)
