"""Messages between the gateway and the recorder: MessagePack behind a length, on a stream socket.

The recorder trusts none of it: each message is decoded into exactly one of these types with bounds
on every field, and anything else ends the connection it came on.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.calls import Errors, Number
from casemate.child.channel import Bounds
from casemate.journal.errors import JournalDamagedError, JournalInputError
from casemate.journal.writer import JournalWriteError
from casemate.model.errors import NotFoundError
from casemate.recorder import errors

MAX_FRAME = 8 << 20
ASKING = Bounds(frame=MAX_FRAME, unsent=64 << 20)
ANSWERING = Bounds(frame=MAX_FRAME, unsent=16 << 20, pauses=True)
MAX_FACTS = 512
"""Facts in one message."""
MAX_FACT_BYTES = 48 * 1024
MAX_FOUND = 1000
SESSION_BYTES = 8

Project = Annotated[str, msgspec.Meta(max_length=63)]
Text = Annotated[str, msgspec.Meta(max_length=512)]
Index = Annotated[int, msgspec.Meta(ge=0, lt=1 << 56)]
Session = Annotated[bytes, msgspec.Meta(min_length=SESSION_BYTES, max_length=SESSION_BYTES)]


class Told(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A fact as it travels."""

    kind: Annotated[str, msgspec.Meta(max_length=64)]
    """Name of its type."""
    fact: Annotated[bytes, msgspec.Meta(max_length=MAX_FACT_BYTES)]
    """As MessagePack."""
    count: Annotated[int, msgspec.Meta(ge=1, lt=1 << 56)] = 1
    """How many alike it stands for."""


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request; `n` is repeated by its reply."""

    n: Number


class Take(Message, frozen=True, tag=1):
    """Keep these facts. Answered once they are durable; what was kept before is not kept twice."""

    session: Session
    """Random, of one gateway."""
    first: Index
    """Number of the first fact within the session; the others follow it."""
    facts: Annotated[tuple[Told, ...], msgspec.Meta(max_length=MAX_FACTS)]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries are looked for."""

    before: Index | None = None
    """Only entries with a lower index."""
    project: Project | None = None
    """Only those of this project; `""`: of none."""
    since: float | None = None
    until: float | None = None
    contains: Annotated[tuple[Text, ...], msgspec.Meta(max_length=8)] = ()
    """Texts that all stand in the entry as it is written."""
    most: Annotated[int, msgspec.Meta(ge=1, le=MAX_FOUND)] = MAX_FOUND


class Find(Message, frozen=True, tag=2):
    """Look for entries, newest first."""

    query: Query


class Prove(Message, frozen=True, tag=3):
    """Prove that an entry is in the journal."""

    index: Index


class GetHead(Message, frozen=True, tag=4):
    """Tell the newest signed head, and the key that signs."""


class Verify(Message, frozen=True, tag=5):
    """Look for anything that was changed."""

    checkpoints: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=64 * 1024)], ...], msgspec.Meta(max_length=16)
    ] = ()
    """Notes of heads that were kept elsewhere."""


Request = Take | Find | Prove | GetHead | Verify


class Entry(msgspec.Struct, frozen=True):
    """An entry that was found."""

    index: int
    id: str
    event: bytes
    """An OCSF event in JSON; null where its key was erased."""


class Found(msgspec.Struct, frozen=True):
    """What was found, newest first."""

    entries: tuple[Entry, ...]
    before: int | None
    """Where to go on; None: all was looked at."""


class Proven(msgspec.Struct, frozen=True):
    """A proof for strangers."""

    entry: bytes
    """As it stands in the journal; the proof is of its hash."""
    proof: str
    event: bytes


class Head(msgspec.Struct, frozen=True):
    """Where the journal is."""

    note: str
    """The newest checkpoint, empty before the first."""
    key: str
    """As verifiers take it."""
    size: int
    """Entries that are durable."""


ERRORS = Errors(
    errors.RecorderError,
    errors.RecorderInputError,
    errors.NotRecordedError,
    errors.JournalMissingError,
    JournalWriteError,
    JournalDamagedError,
    JournalInputError,
    NotFoundError,
)
decode_request = msgspec.msgpack.Decoder(Request).decode
