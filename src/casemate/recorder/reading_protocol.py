"""Messages between the recorder and who reads along: what is kept, in order, as it is kept.

A reader gets entries from an index that it keeps itself. It appends facts of its own few kinds and
nothing else; under which session and number they are kept is up to the recorder. Where the node's
settings have records exported, it is lent these as well, as they are stored: masked.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from casemate.child.calls import Number
from casemate.child.channel import Bounds
from casemate.model.invocation import LogLine
from casemate.recorder import connections
from casemate.recorder.ocsf import MONITOR_KINDS
from casemate.recorder.protocol import ERRORS, Head, Index, Told

READER, ASKING = connections.READER, connections.ASKING
ANSWERING = Bounds(frame=4 << 20, unsent=16 << 20, pauses=True)
MAX_ENTRIES = 512
"""Entries in one answer."""
MAX_BYTES = 2 << 20
"""Bytes of one answer's entries; one more is in it."""
MAX_TOLD = 64
WAIT_SECONDS = 5.0
"""A `Follow` that waits is answered after as long at the latest, with nothing."""
MAX_QUESTIONS = 4
"""Questions about records or the head that may wait for their answers."""
MAX_LENT = 512
"""Records in one answer."""
RecordKind = Literal["invocations", "lines"]
KINDS = frozenset(kind.__name__ for kind in MONITOR_KINDS)


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request; `n` is repeated by its reply."""

    n: Number


class Follow(Message, frozen=True, tag=1):
    """Give the entries from `after` on: one such request at a time."""

    after: Index
    """Index of the first one that is wanted."""
    wait: bool
    """True: answer once there is one."""


class Tell(Message, frozen=True, tag=2):
    """Keep these facts. Answered once they are durable."""

    facts: Annotated[tuple[Told, ...], msgspec.Meta(min_length=1, max_length=MAX_TOLD)]


class Lend(Message, frozen=True, tag=3):
    """Give records, in the order in which they were kept; one answer has a bounded number."""

    what: RecordKind
    after: Index | None
    """Sequence of the last one that was had; None: give none, and tell where they are."""


class GetHead(Message, frozen=True, tag=4):
    """Tell the newest signed head."""


Request = Follow | Tell | Lend | GetHead


class Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A line of a function's log."""

    line: LogLine
    stored_at: float
    """Unix time, by the recorder's clock."""
    trace_id: str
    """Empty where its invocation has not ended: it is not known then."""
    span_id: str


class Lent(msgspec.Struct, frozen=True, array_like=True):
    """Records."""

    rows: msgspec.Raw
    """`InvocationRecord`s or `Line`s."""
    count: int
    next: int
    """Where to go on."""
    newest: int
    """The highest sequence that there ever was."""


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry of the journal."""

    index: int
    id: str
    event: bytes
    """An OCSF event in JSON; empty where its key was erased, or it cannot be opened."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Entries, in order, none left out."""

    entries: tuple[Seen, ...]
    next: int
    """Where to go on."""
    size: int
    """Entries that were durable then."""
    damage: str = ""
    """Why the entries before `next` could not be read."""


__all__ = [
    "ERRORS",
    "Batch",
    "Follow",
    "GetHead",
    "Head",
    "Lend",
    "Lent",
    "Line",
    "Request",
    "Seen",
    "Tell",
    "decode_request",
]
decode_request = msgspec.msgpack.Decoder(Request).decode
