"""A project's data called by name and arguments, which are made into operations by their fields.

`data.put_item("p", "plain", {...}, if_revision=0)` is `change(PutItem(project="p", ...))`. What an
operation takes is said once, by itself: nothing here knows a field, but for whose kind of place an
operation is of its own, and for the one message of `send`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import msgspec

from casemate.data import NewMessage, ObjectInfo, SqliteProjectData
from casemate.data.postgresql import PostgresqlProjectData
from casemate.data.postgresql.placed import PlacedProjectData
from casemate.operations import (
    delivery,
    inboxes,
    invocations,
    items,
    leases,
    messages,
    objects,
    positions,
    resources,
)
from casemate.operations.declaration import Effect, Operation
from casemate.operations.form import form_of

Kind = type[Operation[Any]]

NAMED: dict[str, Kind | dict[str, Kind]] = {
    "ensure": resources.EnsureResources,
    "resources": resources.ShowResources,
    "rekey": resources.RekeyProject,
    "drop": {
        "bucket": objects.DropBucket,
        "table": items.DropTable,
        "queue": messages.DropQueue,
        "topic": messages.DropTopic,
        "inbox": inboxes.DropInbox,
    },
    "put_object": objects.WriteObject,
    "begin_object": objects.BeginObject,
    "add_part": objects.AddPart,
    "commit_object": objects.CommitObject,
    "abort_object": objects.AbortObject,
    "head_object": objects.HeadObject,
    "get_object": objects.ReadObject,
    "delete_object": objects.DeleteObject,
    "list_objects": objects.ListObjects,
    "object_revisions": objects.ListRevisions,
    "put_item": items.PutItem,
    "get_item": items.GetItem,
    "delete_item": items.DeleteItem,
    "query_items": items.QueryItems,
    "send_many": leases.KeepMessages,
    "keep_leased": leases.KeepLeased,
    "receive": leases.ReceiveMessages,
    "acknowledge": leases.AcknowledgeMessages,
    "lease": leases.LeaseMessages,
    "extend": leases.ExtendLeases,
    "settle": leases.SettleMessages,
    "next_due": leases.FindNextDue,
    "queue_info": {
        "queue": messages.ShowQueue,
        "topic": messages.ShowTopic,
        "inbox": inboxes.ShowInbox,
    },
    "purge": {
        "queue": messages.PurgeQueue,
        "topic": messages.PurgeTopic,
        "inbox": inboxes.PurgeInbox,
    },
    "dead_letters": {
        "queue": delivery.ListQueueDeadLetters,
        "inbox": delivery.ListFunctionDeadLetters,
    },
    "dead_letter": delivery.ReadDeadLetter,
    "letter_subjects": delivery.ReadLetterSubjects,
    "redrive": inboxes.RedriveLetters,
    "purge_dead": {
        "queue": delivery.PurgeQueueDeadLetters,
        "inbox": delivery.PurgeFunctionDeadLetters,
    },
    "give_up": inboxes.GiveUpInbox,
    "subscribe": inboxes.Subscribe,
    "resume": inboxes.ResumeDelivery,
    "begin_invocation": invocations.BeginInvocation,
    "finish_invocation": invocations.FinishInvocation,
    "abandon_invocation": invocations.AbandonInvocation,
    "invocation_status": invocations.FindInvocation,
    "advance": positions.AdvancePosition,
    "position": positions.ShowPosition,
}
"""The operation of each name; by the kind of place, which is no field, where each has its own."""


REDRIVER = "token:redriver"
"""Who sends dead letters again where a test does not say."""


def operation(name: str, *arguments: Any, **named: Any) -> Operation[Any]:
    """Return the operation of a name, from values in the order of its fields and by name."""
    kind = NAMED[name]
    if name == "redrive":
        arguments = arguments if arguments[3:] else (*arguments, None)
        named.setdefault("by", REDRIVER)
    if name == "put_item":
        named |= dict(zip(("project", "table", "value", "if_revision"), arguments, strict=False))
        value, arguments = named.pop("value"), ()
        named["content"] = value if isinstance(value, bytes) else msgspec.json.encode(value)
    if isinstance(kind, dict):
        project, place, *rest = arguments
        kind, arguments = kind[place], (project, *rest)
    fields = kind.__struct_fields__[: len(arguments)]
    return kind(**dict(zip(fields, arguments, strict=True)), **named)


async def ask(data: Any, wanted: Operation[Any]) -> Any:
    """Have an operation done; of an answer that only wraps a value, the value."""
    reads = form_of(type(wanted)).effect is Effect.READ
    answer = await (data.read(wanted) if reads else data.change(wanted))
    if type(answer).__module__.startswith("casemate.operations."):
        return getattr(answer, type(answer).__struct_fields__[0])
    return answer


class Calls:
    """Gives who has `read`, `change` and `recent` a method for each name."""

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if name not in NAMED:
            raise AttributeError(name)
        return partial(self._call, name)

    async def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        return await ask(self, operation(name, *arguments, **named))

    async def send(self, project: str, kind: str, name: str, body: bytes, **fields: Any) -> str:
        """Keep one message; return its id."""
        new = (NewMessage(body=body, **fields),)
        (identity,) = await self._call("send_many", project, kind, name, new)
        return identity

    def get_recent_object(self, *arguments: Any, **named: Any) -> tuple[ObjectInfo, bytes] | None:
        """Return what memory has."""
        return self.recent(operation("get_object", *arguments, **named))


class CalledData(Calls, SqliteProjectData):
    """The data as it is, with these calls beside `read` and `change`."""


class CalledPlacedData(Calls, PlacedProjectData):
    """The same of data in several databases."""


class CalledSharedData(Calls, PostgresqlProjectData):
    """The same of data in PostgreSQL."""
