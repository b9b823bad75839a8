"""What of a journal other nodes are told: what was found, what is said and done about it.

Read from the journal itself, from a place that is kept with the batches: so a kill neither loses
nor repeats anything. What another node tells goes into this node's journal, with that node's name;
a session of its own has what is told twice known again.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.journal.errors import JournalDamagedError
from casemate.journal.tiles import WIDTH
from casemate.model.facts import BudgetSet, FunctionReleased, NodeTold, RestrictionChanged
from casemate.model.response_facts import (
    AlertFailed,
    AlertSent,
    AlertsSilenced,
    Finding,
    IncidentActed,
    IncidentUpdated,
    PlaybookStep,
)
from casemate.recorder.errors import RecorderError, RecorderInputError
from casemate.recorder.noted import Noted
from casemate.recorder.protocol import SESSION_BYTES, Told
from casemate.recorder.records.columns import Value
from casemate.recorder.records.received import Rows
from casemate.recorder.sealing import opening
from casemate.recorder.search import Search

KINDS: Final = frozenset(
    kind.__name__
    for kind in (
        *(Finding, IncidentUpdated, IncidentActed, PlaybookStep),
        *(AlertsSilenced, AlertSent, AlertFailed),
        *(FunctionReleased, RestrictionChanged, BudgetSet),
    )
)
"""What all nodes are told of."""
TABLE: Final = "told"
"""Among the rows of a batch; no table of the records."""
MAX_TOLD: Final = 256
"""Entries in one batch."""
MAX_TOLD_BYTES: Final = 512 * 1024
MAX_EVENT_BYTES: Final = 40 * 1024
MAX_LOOKED_AT: Final = 4096
"""Entries that are looked at before each batch."""
LOOKBACK: Final = 50_000
"""Entries, the newest, that a node which has told nothing yet looks at."""
_NUMBERS: Final = 512
"""More than a batch may have of them: numbers within a session."""
_LABEL: Final = b"casemate events of another node\0"
_KIND: Final = b'"event_code":"'


class Entry(NamedTuple):
    """One that others are told."""

    project: str
    id: str
    event: str
    """As it stands in the journal: OCSF in JSON."""


class Unsent:
    """What of this node's journal is to be told next."""

    def __init__(self, search: Search, noted: Noted, place: int, size: int) -> None:
        """Go on from `place`; `size` is that of the journal, `noted` knows those of `KINDS`."""
        self._search = search
        self._noted = noted
        # A journal that was put back begins where it ends now.
        self._at = min(size, max(place, size - LOOKBACK))
        self._found: list[Entry] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._found)

    async def look(self, size: int) -> None:
        """Look at some of what the journal has more. Raises VaultError."""
        end = min(size, self._at + MAX_LOOKED_AT)
        while self._at < end and len(self._found) < MAX_TOLD and self._bytes < MAX_TOLD_BYTES:
            if self._at >= self._noted.since:
                end = size  # what is passed over costs nothing
                place = self._noted.next_from(self._at)
                if place is None or place >= end:
                    self._at = end
                    return
                self._at = place
            try:
                entries = self._search.bundle(self._at // WIDTH)[self._at % WIDTH :]
            except JournalDamagedError:
                self._at = min(end, (self._at // WIDTH + 1) * WIDTH)  # the monitor tells of it
                continue
            if not entries:
                return
            await self._take(entries[: 1 if self._at >= self._noted.since else end - self._at])

    async def _take(self, entries: Sequence[bytes]) -> None:
        for entry in entries:
            if len(self._found) >= MAX_TOLD or self._bytes >= MAX_TOLD_BYTES:
                return
            self._at += 1
            clear = opening(entry)
            if clear is None:
                continue
            try:
                text = await self._search.text_of(entry)
            except RecorderError:
                continue  # verify tells of it
            if text is None or len(text) > MAX_EVENT_BYTES or kind_of(text) not in KINDS:
                continue
            project = _project_of(msgspec.json.decode(text))
            self._found.append(Entry(project, clear.id, text.decode()))
            self._bytes += len(text)

    def taken(self) -> tuple[list[Entry], int]:
        """Return what is to be told, and the place up to which that is all."""
        return list(self._found), self._at

    def sent(self, count: int) -> None:
        """Forget the first ones: they are in a batch, with their place."""
        del self._found[:count]
        self._bytes = sum(len(each.event) for each in self._found)


def kind_of(text: bytes) -> str:
    """Return the kind of an event as the recorder writes it: before anything that others wrote."""
    begins = text.find(_KIND) + len(_KIND)
    return text[begins : text.find(b'"', begins)].decode(errors="replace")


def rows_of(entries: Iterable[Entry]) -> dict[str, list[tuple[Value, ...]]]:
    """Return entries as rows of a batch, by the project whose key seals them."""
    found: dict[str, list[tuple[Value, ...]]] = {}
    for each in entries:
        found.setdefault(each.project, []).append((each.id, each.event))
    return found


def session_of(key: bytes, node: str, stream: bytes) -> bytes:
    """Return the session under which a stream's events are kept in this node's journal."""
    return hmac.digest(key, _LABEL + node.encode() + b"\0" + stream, "sha256")[:SESSION_BYTES]


def first_of(number: int) -> int:
    """Return the number in its session of the first event of a batch."""
    return number * _NUMBERS


def facts_of(node: str, tables: Iterable[Rows], now: float) -> tuple[Told, ...]:
    """Return what a batch of another node tells. Raises RecorderInputError."""
    found = tuple(_facts(node, tables, now))
    if len(found) > MAX_TOLD:
        raise RecorderInputError("A batch tells of more events than one may.")
    return found


def _facts(node: str, tables: Iterable[Rows], now: float) -> Iterator[Told]:
    for table in tables:
        for row in table.get(TABLE, ()):
            match row:
                case (str(id), str(text)) if len(id) <= 64 and len(text) <= MAX_EVENT_BYTES:
                    yield _fact(node, id, text.encode(), now)
                case _:
                    raise RecorderInputError("An event of another node is none.")


def _fact(node: str, id: str, text: bytes, now: float) -> Told:
    try:
        event = msgspec.json.decode(text)
        kind = event["metadata"]["event_code"]
        project = _project_of(event)
    except (KeyError, TypeError, *DECODING_ERRORS) as error:
        raise RecorderInputError("An event of another node cannot be read.") from error
    if (
        not isinstance(kind, str)
        or kind not in KINDS
        or len(text) > MAX_EVENT_BYTES
        or len(project) > 63
    ):
        raise RecorderInputError("An event of another node is of a kind that is not told.")
    fact = NodeTold(at=now, project=project, node=node, entry=id, kind=kind, event=text)
    return Told(NodeTold.__name__, msgspec.msgpack.encode(fact))


def _project_of(event: Any) -> str:
    cloud = event.get("cloud") if isinstance(event, dict) else None
    project = cloud.get("project_uid") if isinstance(cloud, dict) else None
    return project if isinstance(project, str) else ""
