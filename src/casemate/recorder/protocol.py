"""Messages between the gateway and the recorder: MessagePack behind a length, on a stream socket.

The recorder trusts none of it: each message is decoded into exactly one of these types with bounds
on every field, and anything else ends the connection it came on.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.calls import Errors, Number
from casemate.child.channel import Bounds
from casemate.journal.errors import (
    JournalDamagedError,
    JournalInputError,
    JournalWriteError,
)
from casemate.journal.kept import MAX_KEPT
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.recorder import connections, errors
from casemate.recorder.records import errors as records
from casemate.recorder.shipment import MAX_SHIPPED_BYTES, Node, Stream

MAX_FRAME = 8 << 20
ASKING = Bounds(frame=MAX_FRAME, unsent=64 << 20)
ANSWERING = Bounds(frame=MAX_FRAME, unsent=16 << 20, pauses=True)
MAX_FACTS = 512
"""Facts and records in one message."""
MAX_FACT_BYTES = 48 * 1024
MAX_RECORD_BYTES = 4 << 20
MAX_ROWS = 1000
"""Rows of an older store in one message."""
LEFT = "left"
"""Kind of lines of an invocation that runs, and of what one left behind as earlier releases tell
it."""
ENDED = "ended"
"""Kind of what an invocation left behind."""
BEGUN = "begun"
"""Kind of what stands in the memory of a gateway alone, of an invocation that runs (`begun.py`)."""
DENIED = "denied"
"""Kind of a denied attempt, as lists show it."""
PASSED, STORED = "passed", "stored"
"""Kinds of what is used beside invocations."""
SAMPLED = "sampled"
"""Kind of what the sink guard took of one call."""
RECORD_KINDS = frozenset({LEFT, ENDED, DENIED, PASSED, STORED, SAMPLED})
MAX_FOUND = 1000
COPY = "copy"
"""How the files of a journal's copy are called, before their number."""

Project = Annotated[str, msgspec.Meta(max_length=63)]
MAX_TEXT = 512
"""Characters of a text that is looked for in entries."""
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Index = Annotated[int, msgspec.Meta(ge=0, lt=1 << 56)]
SESSION_BYTES = connections.SESSION_BYTES
Session = Annotated[bytes, msgspec.Meta(min_length=SESSION_BYTES, max_length=SESSION_BYTES)]


class Told(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A fact, or a record, as it travels."""

    kind: Annotated[str, msgspec.Meta(max_length=64)]
    """Name of its type, or one of RECORD_KINDS."""
    fact: Annotated[bytes, msgspec.Meta(max_length=MAX_RECORD_BYTES)]
    """As MessagePack; a fact has MAX_FACT_BYTES at most."""
    count: Annotated[int, msgspec.Meta(ge=1, lt=1 << 56)] = 1
    """How many alike it stands for."""


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request; `n` is repeated by its reply."""

    n: Number


class Take(Message, frozen=True, tag=1):
    """Keep these facts and records; what was kept before is not kept twice.

    Answered once they are durable, with how many of the records hold what cannot be kept.
    """

    session: Session
    """Random, of one gateway."""
    first: Index
    """Number of the first fact within the session; the others follow it."""
    facts: Annotated[tuple[Told, ...], msgspec.Meta(max_length=MAX_FACTS)]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which entries are looked for."""

    before: Index | None = None
    """Only entries with a lower index."""
    first: Index = 0
    """None with a lower one is looked at."""
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
        tuple[Annotated[str, msgspec.Meta(max_length=64 * 1024)], ...],
        msgspec.Meta(max_length=MAX_KEPT),
    ] = ()
    """Notes of heads that were kept elsewhere."""


class CopyJournal(Message, frozen=True, tag=6):
    """Write a part of a copy of the journal to the file whose descriptor comes along.

    Answered with whether there is more of it.
    """

    begin: bool
    """Begin another copy, of the journal as it is now."""


class Ask(Message, frozen=True, tag=21):
    """Answer a question about records, a page of the answer at a time."""

    kind: Annotated[str, msgspec.Meta(max_length=64)]
    """Name of the operation."""
    question: Annotated[bytes, msgspec.Meta(max_length=16 * 1024)]
    at: Index | None = None
    """Where the page before ended."""


class CopyRecords(Message, frozen=True, tag=22):
    """Write a copy of the records to the file whose descriptor comes along."""


class RekeyRecords(Message, frozen=True, tag=23):
    """Encrypt the records with the vault's newest key."""


class CheckRecords(Message, frozen=True, tag=24):
    """Read all of the records, and tell what is wrong with them."""

    rate: Annotated[int, msgspec.Meta(ge=0, lt=1 << 40)]
    """Bytes a second; 0: as fast as it goes."""


class BeginTakingOver(Message, frozen=True, tag=25):
    """Leave room for the records of an older store; False: they were all taken over before."""

    highest: Annotated[dict[Text, Index], msgspec.Meta(max_length=8)]
    """Highest sequence by table."""


class TakeOver(Message, frozen=True, tag=26):
    """Keep these rows of an older store, each once. Answered once they are durable."""

    table: Text
    rows: Annotated[
        tuple[tuple[str | int | float | None, ...], ...], msgspec.Meta(max_length=MAX_ROWS)
    ]


class EndTakingOver(Message, frozen=True, tag=27):
    """Take over nothing any more."""


class HoldRecords(Message, frozen=True, tag=28):
    """Keep the records of functions between two times whatever retention says, for some time.

    In place of what was said under the same id. Answered with how many, and their bytes.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    functions: Annotated[tuple[tuple[Project, Project], ...], msgspec.Meta(max_length=16)]
    since: float
    until: float
    expires_at: float


class ReleaseRecords(Message, frozen=True, tag=29):
    """End a hold."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Ship(Message, frozen=True, tag=30):
    """Give the next batch of records that is to be stored for the other nodes."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    """That of the node, as people know it."""
    stored: tuple[Stream, Index] | None
    """Which batch is stored: it is given no more."""
    anew: bool = False
    """Another one is stored in the place of the last: begin another stream."""


class Receive(Message, frozen=True, tag=31):
    """Keep a batch that another node has stored. Answered with how far its stream was read."""

    node: Node
    stream: Stream
    number: Index
    """Where it was found; what it says itself is proven."""
    content: Annotated[bytes, msgspec.Meta(max_length=MAX_SHIPPED_BYTES)]


class GetPlaces(Message, frozen=True, tag=32):
    """Tell how far the streams of other nodes were read."""


class CountRecords(Message, frozen=True, tag=33):
    """Tell how many records were ever kept, those that were deleted since counted in."""


Request = (
    Take
    | Find
    | Prove
    | GetHead
    | Verify
    | CopyJournal
    | Ask
    | CopyRecords
    | RekeyRecords
    | CheckRecords
    | BeginTakingOver
    | TakeOver
    | EndTakingOver
    | HoldRecords
    | ReleaseRecords
    | Ship
    | Receive
    | GetPlaces
    | CountRecords
)


class Shipment(msgspec.Struct, frozen=True, array_like=True):
    """A batch that is to be stored."""

    node: str
    stream: bytes
    number: int
    content: bytes
    more: bool
    """The next one is not to wait for: there was more than one may have."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far the stream of a node was read."""

    node: str
    stream: bytes
    number: int
    own: bool = False
    """It is this node itself, whose stream nobody reads here."""
    name: str = ""
    until: float = 0.0
    """What that node kept up to then is here."""
    entries: int = 0
    """Of its journal, when it told last."""
    problem: str = ""
    """Why what it told was in doubt, the last time that it was."""
    problem_at: float = 0.0


class PageOfRecords(msgspec.Struct, frozen=True):
    """Some rows of an answer."""

    rows: msgspec.Raw
    at: int | None
    """Where to go on; None: these were the last."""


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
    restored: bool = False
    """It came out of a backup, and this recorder was the first to say so."""
    unsigned: str = ""
    """Why the newest head could not be signed; empty: it was, or there was nothing to sign."""


ERRORS = Errors(
    errors.RecorderError,
    errors.RecorderInputError,
    errors.NotRecordedError,
    errors.JournalMissingError,
    JournalWriteError,
    JournalDamagedError,
    JournalInputError,
    NotFoundError,
    InvalidInputError,
    records.RecordsError,
    records.RecordsFullError,
    records.RecordsMediumError,
    records.RecordsUnsureError,
    records.RecordsGoneError,
    records.RecordsMissingError,
    records.RecordsBusyError,
    records.RecordsCorruptError,
    records.RecordsKeyError,
    records.RecordsVersionError,
    records.RecordsClosedError,
)
decode_request = msgspec.msgpack.Decoder(Request).decode
