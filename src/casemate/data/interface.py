"""The port of a project's data: objects in buckets, items in tables, messages in queues.

Everything is durable when the call returns and encrypted at rest. Sizes are bytes, times Unix
seconds. Raises NotFoundError, ConflictError (a condition does not hold), InvalidInputError, and
LimitError (of `casemate.data`) when a size or count limit is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from casemate.model.data import (
    MAX_KEY_BYTES,
    MAX_PAGE,
    MAX_PART,
    Item,
    ItemPage,
    ObjectInfo,
    ObjectPage,
    Range,
)
from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableSpec
from casemate.model.messages import (
    DeadLetter,
    Fate,
    InvocationState,
    InvocationStatus,
    Lease,
    Message,
    NewMessage,
    QueueInfo,
    Settlement,
    Subscription,
)
from casemate.operations.declaration import Operation
from casemate.operations.objects import ReadObject

AnswerT = TypeVar("AnswerT")


class ProjectData(Protocol):
    """The data of all projects. Nothing of one project is reachable by another's name."""

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing. TypeError for one that does."""
        ...

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably. TypeError for one that only reads."""
        ...

    def recent(self, operation: ReadObject) -> tuple[ObjectInfo, bytes] | None:
        """Return the present revision if that takes no waiting, else None."""
        ...

    async def ensure(self, project: str, resources: Resources) -> None:
        """Make what is declared and missing; ConflictError if it is there with other keys.

        Limits, indexes, TTL and retention of what is there are changed to what is declared.
        """
        ...

    async def resources(self, project: str) -> Resources:
        """Return what a project has."""
        ...

    async def drop(self, project: str, kind: str, name: str) -> None:
        """Delete a `bucket`, `table`, `queue` or `topic` with all that is in it."""
        ...

    async def put_object(
        self,
        project: str,
        bucket: str,
        key: str,
        content: bytes,
        *,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
        if_revision: int | None = None,
        labels: bytes = b"",
    ) -> ObjectInfo:
        """Write an object. `if_revision=0`: only if there is none; n: only if that is present."""
        ...

    async def begin_object(
        self,
        project: str,
        bucket: str,
        key: str,
        *,
        content_type: str,
        metadata: dict[str, str],
    ) -> str:
        """Begin an object in parts; return an upload id. Forgotten after an hour unfinished."""
        ...

    async def add_part(self, project: str, bucket: str, upload: str, content: bytes) -> int:
        """Append a part; return the bytes so far."""
        ...

    async def commit_object(
        self,
        project: str,
        bucket: str,
        upload: str,
        *,
        if_revision: int | None = None,
        labels: bytes = b"",
    ) -> ObjectInfo:
        """Make what was uploaded the object's present content, all at once."""
        ...

    async def abort_object(self, project: str, bucket: str, upload: str) -> None:
        """Forget an upload; forgetting twice is fine."""
        ...

    async def head_object(
        self, project: str, bucket: str, key: str, revision: int | None = None
    ) -> ObjectInfo:
        """Return what is known of an object."""
        ...

    async def get_object(
        self,
        project: str,
        bucket: str,
        key: str,
        *,
        revision: int | None = None,
        offset: int = 0,
        length: int | None = None,
    ) -> tuple[ObjectInfo, bytes]:
        """Return an object, or a piece of at most MAX_PART bytes of it."""
        ...

    async def delete_object(
        self, project: str, bucket: str, key: str, *, if_revision: int | None = None
    ) -> None:
        """Delete an object with its revisions; one that is not there is fine without condition."""
        ...

    async def list_objects(
        self,
        project: str,
        bucket: str,
        *,
        prefix: str = "",
        after: str | None = None,
        limit: int = 100,
        delimiter: str | None = None,
    ) -> ObjectPage:
        """Return a page of a bucket's objects."""
        ...

    async def object_revisions(self, project: str, bucket: str, key: str) -> tuple[ObjectInfo, ...]:
        """Return the revisions kept, newest first."""
        ...

    async def put_item(
        self,
        project: str,
        table: str,
        value: dict[str, object],
        *,
        if_revision: int | None = None,
        labels: bytes = b"",
    ) -> Item:
        """Write an item whole; its key attributes say where. Conditions as for objects."""
        ...

    async def get_item(
        self, project: str, table: str, key: str | float, sort: str | float | None = None
    ) -> Item:
        """Return an item; NotFoundError if there is none or its time is over."""
        ...

    async def delete_item(
        self,
        project: str,
        table: str,
        key: str | float,
        sort: str | float | None = None,
        *,
        if_revision: int | None = None,
    ) -> None:
        """Delete an item; one that is not there is fine without a condition."""
        ...

    async def query_items(
        self,
        project: str,
        table: str,
        *,
        key: str | float | None = None,
        index: str | None = None,
        sort: Range | None = None,
        after: str | None = None,
        limit: int = 100,
        descending: bool = False,
    ) -> ItemPage:
        """Return items with a key (in the table or an index) by sort order; key None scans all."""
        ...

    async def send(
        self,
        project: str,
        kind: str,
        name: str,
        body: bytes,
        *,
        delay: float = 0.0,
        deduplication: str | None = None,
        key: str = "",
        priority: int = 0,
        labels: bytes = b"",
        attributes: dict[str, str] | None = None,
    ) -> str:
        """Keep a message in a `queue` or `topic`; return its id. Otherwise as `send_many`.

        `attributes` are handed over beside the body: at most 10, 4 KiB with their names. The same
        `deduplication` within an hour returns the first message's id and keeps nothing.
        """
        ...

    async def receive(
        self, project: str, kind: str, name: str, *, limit: int = 1, lease: float = 30.0
    ) -> tuple[Message, ...]:
        """Lease the oldest messages; who does not `acknowledge` in time sees them again."""
        ...

    async def extend(
        self, project: str, kind: str, name: str, leases: Sequence[Lease], *, lease: float
    ) -> int:
        """Have leases end `lease` seconds from now; return how many were still held.

        A lease of a message that was leased again since is left alone.
        """
        ...

    async def acknowledge(self, project: str, kind: str, name: str, leases: Sequence[Lease]) -> int:
        """Delete messages that were handled; return how many were there, not leased again since."""
        ...

    async def queue_info(self, project: str, kind: str, name: str) -> QueueInfo:
        """Return how much waits."""
        ...

    async def purge(self, project: str, kind: str, name: str) -> int:
        """Delete every message; return how many."""
        ...

    async def send_many(
        self, project: str, kind: str, name: str, messages: Sequence[NewMessage]
    ) -> tuple[str, ...]:
        """Keep messages in a `queue`, a `topic` or a function's `inbox`; all of them or none.

        Returns their ids; a known `deduplication` gives the first message's. LimitError if there
        is no room, NotFoundError for the inbox of a function that was never subscribed. What a
        topic gets goes to the inboxes of those subscribed; without any it stays in the topic
        until somebody is.
        """
        ...

    async def subscribe(self, project: str, subscriptions: Sequence[Subscription]) -> None:
        """Replace who is subscribed to what. Each function named has an inbox from then on.

        The inbox of a function that is not named any more keeps what it holds.
        """
        ...

    async def lease(
        self, project: str, kind: str, name: str, *, limit: int, lease: float
    ) -> tuple[Message, ...]:
        """Lease messages of a `queue` or `inbox`: by priority, then age; one at a time of a key.

        What is too old or was leased too often in vain is left to the caller to `settle`.
        """
        ...

    async def settle(
        self, project: str, kind: str, name: str, settlements: Sequence[Settlement]
    ) -> int:
        """End attempts, all in one transaction; return how many were still leased.

        A lease is lost when a later call to `lease` finds it over; a number (`fence`) tells it from
        those after it. If something in `sends` cannot
        be kept (NotFoundError, LimitError), nothing is settled.
        """
        ...

    async def next_due(self, project: str, kind: str, name: str) -> float | None:
        """Return when the next message can be leased (Unix time), None if nothing waits."""
        ...

    async def resume(self, project: str) -> tuple[tuple[str, str, float], ...]:
        """End the leases of a process before this one; return where something waits.

        That is (kind, name, when the next can be leased) of each `queue` and `inbox` that holds
        messages; empty for a project without data. Attempts stay counted. Only for a node that
        starts: nobody holds a lease that is known to be alive.
        """
        ...

    def watch(self, ready: Callable[[str, str, str], None]) -> None:
        """Have `ready(project, kind, name)` called on the loop when a message can be leased.

        Also when one came that can be leased later, so that who sleeps until `next_due` asks anew.
        Called after the commit, once for many; a hint, not a promise. The loop is the one that
        runs when `watch` is called.
        """
        ...

    async def dead_letters(
        self, project: str, kind: str, name: str, *, after: str | None = None, limit: int = 100
    ) -> tuple[DeadLetter, ...]:
        """Return dead letters of a `queue` or `inbox`, oldest first."""
        ...

    async def dead_letter(self, project: str, letter: str) -> tuple[DeadLetter, bytes]:
        """Return one with its body (NotFoundError)."""
        ...

    async def redrive(self, project: str, kind: str, name: str, ids: Sequence[str] | None) -> int:
        """Send dead letters again with no attempts used, all if `ids` is None; return how many."""
        ...

    async def purge_dead(
        self, project: str, kind: str, name: str, ids: Sequence[str] | None
    ) -> int:
        """Delete dead letters; return how many."""
        ...

    async def begin_invocation(
        self,
        project: str,
        function: str,
        idempotency: str,
        fingerprint: str,
        invocation: str,
        *,
        event: NewMessage | None = None,
    ) -> InvocationStatus | None:
        """Claim an idempotency key for `invocation`; the status of the first if it is claimed.

        `event` goes into the function's inbox in the same transaction, if the key was free: both
        are kept or neither is. ConflictError if it was claimed with another `fingerprint` (hash of
        the request); with an event NotFoundError and LimitError as `send_many`.
        """
        ...

    async def finish_invocation(self, project: str, status: InvocationStatus) -> None:
        """Keep the end of an invocation that began with an idempotency key and was not sent."""
        ...

    async def abandon_invocation(self, project: str, invocation: str) -> None:
        """Forget an invocation that began with an idempotency key but did not run."""
        ...

    async def invocation_status(self, project: str, invocation: str) -> InvocationStatus:
        """Return what is known (NotFoundError once it is not kept any more)."""
        ...

    async def advance(
        self,
        project: str,
        position: str,
        value: bytes,
        *,
        expected: bytes | None,
        sends: Sequence[tuple[str, str, NewMessage]] = (),
    ) -> bool:
        """Set a position and send messages, in one transaction, if it is `expected`; tell if.

        For schedules and for sources outside: what came in, and how far, are kept together.
        """
        ...

    async def position(self, project: str, position: str) -> bytes | None:
        """Return a position, None if it was never set."""
        ...

    async def rekey(self, project: str) -> None:
        """Encrypt what is stored with the newest data keys. Calls go on meanwhile."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator: what calls met, and missing files."""
        ...

    async def snapshot(self, folder: Path) -> None:
        """Copy the data of all projects into `folder`, each as it is at one moment, for backups.

        Leaves there what a data folder has: databases, and files of objects below `objects/`, all
        encrypted as they are. Calls go on meanwhile.
        """
        ...

    async def close(self) -> None:
        """Write what is queued and release the files. Closing twice is fine."""
        ...


__all__ = [
    "MAX_KEY_BYTES",
    "MAX_PAGE",
    "MAX_PART",
    "BucketSpec",
    "DeadLetter",
    "Fate",
    "InvocationState",
    "InvocationStatus",
    "Item",
    "ItemPage",
    "Lease",
    "Message",
    "NewMessage",
    "ObjectInfo",
    "ObjectPage",
    "ProjectData",
    "QueueInfo",
    "QueueSpec",
    "Range",
    "Settlement",
    "Subscription",
    "TableSpec",
]
