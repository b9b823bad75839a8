"""Operations on the journal: what happened, and the proof that nothing of it was changed."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from casemate.model.nodes import OtherJournal
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Effect, Operation, on_chosen
from casemate.operations.fields import Moment, OnlyFunction, OnlyProject, number, text, whole

MAX_ENTRIES = 1000

Index = Annotated[int, msgspec.Meta(ge=0, lt=10**15, description="Place in the journal.")]

_EVENT = {
    "class_uid": 3002,
    "category_uid": 3,
    "activity_id": 1,
    "activity_name": "Logon",
    "type_uid": 300201,
    "severity_id": 1,
    "status_id": 1,
    "time": 1764201600000,
    "metadata": {"version": "1.3.0", "uid": "9f2c51aa03b1e7d4-17", "event_code": "SignedIn"},
    "actor": {"user": {"name": "user:ada"}},
    "src_endpoint": {"ip": "192.0.2.7"},
}
_NOTE = (
    "casemate/5f0c...\n42\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 casemate/5f0c... Az3grlgt...\n"
)


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the journal."""

    index: Index
    id: str
    event: dict[str, Any] | None
    """What happened, as an event of OCSF 1.3; null where its key was erased."""


class JournalPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries, newest first."""

    entries: tuple[JournalEntry, ...]
    before: Index | None
    """Where to go on with `before`; null when all was looked at."""


class JournalHead(msgspec.Struct, frozen=True, kw_only=True):
    """Where the journal is, as it is signed."""

    checkpoint: str
    """The newest one, a signed note (C2SP tlog-checkpoint); empty before the first."""
    key: str
    """That of its signature, as verifiers of signed notes take it."""
    size: int
    """Entries that are kept, signed or not yet."""


class JournalProof(msgspec.Struct, frozen=True, kw_only=True):
    """That an entry is in the journal."""

    index: Index
    entry: bytes
    """As it stands in the journal, encrypted; the proof is of its hash."""
    proof: str
    """C2SP tlog-proof: a file for verifiers of others."""
    event: dict[str, Any] | None


class JournalFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the journal that is not as it was written."""

    kind: str
    first: Index
    end: Index
    """The entries from `first` on, before `end`, are touched."""
    text: str


class JournalVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of the whole journal has found."""

    size: int
    unsigned: int
    """Entries that were not signed yet."""
    findings: tuple[JournalFinding, ...]
    more: bool
    """Whether there are more findings than are told."""
    others: tuple[OtherJournal, ...] = ()
    """Those of other nodes, by the heads that these have told each other."""


class ListJournal(Operation[JournalPage], frozen=True, kw_only=True):
    """List what happened, newest first.

    One answer examines a bounded number of entries. It can be short or empty and still have a
    `before` to continue from.
    """

    declared = Declaration(
        http="GET /journal",
        tag="journal",
        action=Action.JOURNAL_READ,
        on=on_chosen,
        answer=JournalPage(
            entries=(JournalEntry(index=41, id="9f2c51aa03b1e7d4-17", event=_EVENT),), before=41
        ),
    )
    project: OnlyProject | None = None
    function: OnlyFunction | None = None
    before: (
        Annotated[int, msgspec.Meta(ge=0, lt=10**15, description="Only entries before this one.")]
        | None
    ) = None
    first: Annotated[
        int, msgspec.Meta(ge=0, lt=10**15, description="None before this one is looked at.")
    ] = 0
    since: (
        Annotated[Moment, msgspec.Meta(description="Only what happened at this time or later.")]
        | None
    ) = None
    until: (
        Annotated[Moment, msgspec.Meta(description="Only what happened until this time.")] | None
    ) = None
    kind: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=whole(r"^[A-Za-z]{1,64}$"),
                description="Only this kind of happening: `metadata.event_code`.",
                examples=["SignedIn"],
            ),
        ]
        | None
    ) = None
    search: Annotated[str, text("Only entries that hold this text.", least=1, most=256)] | None = (
        None
    )
    limit: Annotated[int, number("How many at most.", least=1, most=MAX_ENTRIES)] = 100


class ShowJournalHead(Operation[JournalHead], frozen=True, kw_only=True):
    """Show the newest signed checkpoint of the journal, and its key."""

    declared = Declaration(
        http="GET /journal/head",
        tag="journal",
        action=Action.JOURNAL_READ,
        answer=JournalHead(checkpoint=_NOTE, key="casemate/5f0c...+9c1d22ab+AR...", size=43),
    )


class ProveJournalEntry(Operation[JournalProof], frozen=True, kw_only=True):
    """Prove that an entry is in the journal.

    The proof can be verified without the node and by other programs: it has a signed checkpoint,
    and the hashes that lead from the entry to it.
    """

    declared = Declaration(
        http="GET /journal/{index}/proof",
        tag="journal",
        action=Action.JOURNAL_READ,
        problems=(404,),
        example={"index": 41},
        answer=JournalProof(
            index=41,
            entry=b"\x01...",
            proof=f"c2sp.org/tlog-proof@v1\nindex 41\n\n{_NOTE}",
            event=_EVENT,
        ),
    )
    index: Index


class VerifyJournal(Operation[JournalVerdict], frozen=True, kw_only=True):
    """Check whether any entry of the journal was edited, removed, reordered or cut off.

    Reads the whole journal. To detect changes by somebody who can also change the node's own files,
    compare it with a checkpoint that you keep elsewhere: `casemate journal verify --checkpoint
    FILE`.
    """

    declared = Declaration(
        http="POST /journal/verify",
        tag="journal",
        effect=Effect.READ,
        action=Action.JOURNAL_READ,
        body_optional=True,
        max_body=2 << 20,
    )
    checkpoints: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=16 * 1024)], ...],
        msgspec.Meta(max_length=4096, description="Signed checkpoints that were kept elsewhere."),
    ] = ()
