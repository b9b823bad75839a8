"""Everything a running function can ask for, as typed requests; anything else ends its instance.

The peer is `runner/channel.py`, for the handles beside it. `grant` says of each what must be
granted: kind, name, action and, where grants have prefixes, the key.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from casemate.data.interface import MAX_PAGE, MAX_PART, Range
from casemate.model.function import NAME_PATTERN
from casemate.model.grant import GrantKind


def _whole(pattern: str) -> str:
    """Return a pattern whose end is the text's end: Python's `$` lets a newline follow."""
    return pattern.removesuffix("$") + r"\Z"


Name = Annotated[str, msgspec.Meta(pattern=_whole(NAME_PATTERN))]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
Revision = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Natural = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)]
Text = Annotated[str, msgspec.Meta(max_length=256)]
Token = Annotated[str, msgspec.Meta(max_length=4096)]
Metadata = Annotated[
    dict[Text, Annotated[str, msgspec.Meta(max_length=2048)]], msgspec.Meta(max_length=32)
]
MessageKey = Annotated[str, msgspec.Meta(max_length=1024)]
Priority = Annotated[int, msgspec.Meta(ge=-100, le=100)]
Labels = Annotated[str, msgspec.Meta(max_length=16 * 1024)]
"""Where what is stored came from, as compact JSON; `casemate.capabilities.labels` reads it."""
Attributes = Annotated[
    dict[Text, Annotated[str, msgspec.Meta(max_length=4096)]], msgspec.Meta(max_length=10)
]
"""Texts beside a message; `casemate.data.limits.require_attributes` has the rest."""
Attribute = str | int | float
Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]

Wanted = tuple[GrantKind, str, str, str]


class _Request(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op"
):
    """`n` is repeated in the reply."""

    n: Number


class _BucketRequest(_Request, frozen=True):
    action: ClassVar[str]
    bucket: Name

    @property
    def grant(self) -> Wanted:
        """What must be granted."""
        return GrantKind.BUCKET, self.bucket, self.action, getattr(self, "key", "")


class GetObject(_BucketRequest, frozen=True, tag="bucket.get"):
    """Read an object or a piece of it."""

    action: ClassVar[str] = "read"
    key: Key
    revision: Revision | None = None
    offset: Natural = 0
    length: Natural | None = None


class HeadObject(_BucketRequest, frozen=True, tag="bucket.head"):
    """Ask what is known of an object."""

    action: ClassVar[str] = "read"
    key: Key
    revision: Revision | None = None


class PutObject(_BucketRequest, frozen=True, tag="bucket.put"):
    """Write an object; the body is its content."""

    action: ClassVar[str] = "write"
    key: Key
    content_type: Text = "application/octet-stream"
    metadata: Metadata | None = None
    if_revision: Revision | None = None
    labels: Labels | None = None


class BeginObject(_BucketRequest, frozen=True, tag="bucket.begin"):
    """Begin to write an object in parts."""

    action: ClassVar[str] = "write"
    key: Key
    content_type: Text = "application/octet-stream"
    metadata: Metadata = {}


class _UploadRequest(_BucketRequest, frozen=True):
    """A request about an upload that this very invocation began, which is what allows it."""

    action: ClassVar[str] = "write"
    upload: Text


class AddPart(_UploadRequest, frozen=True, tag="bucket.part"):
    """Append to an upload; the body is the part."""


class CommitObject(_UploadRequest, frozen=True, tag="bucket.commit"):
    """Make an upload the object's content. Only now is known where all of it came from."""

    if_revision: Revision | None = None
    labels: Labels | None = None


class AbortObject(_UploadRequest, frozen=True, tag="bucket.abort"):
    """Forget an upload."""


class DeleteObject(_BucketRequest, frozen=True, tag="bucket.delete"):
    """Delete an object."""

    action: ClassVar[str] = "delete"
    key: Key
    if_revision: Revision | None = None


class ListObjects(_BucketRequest, frozen=True, tag="bucket.list"):
    """List a page of objects. The prefix asked for must be within a granted one."""

    action: ClassVar[str] = "list"
    prefix: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    after: Token | None = None
    limit: Limit = 100
    delimiter: Text | None = None

    @property
    def grant(self) -> Wanted:
        """What must be granted."""
        return GrantKind.BUCKET, self.bucket, self.action, self.prefix


class _TableRequest(_Request, frozen=True):
    action: ClassVar[str]
    table: Name

    @property
    def grant(self) -> Wanted:
        """What must be granted."""
        return GrantKind.TABLE, self.table, self.action, ""


class GetItem(_TableRequest, frozen=True, tag="table.get"):
    """Read an item."""

    action: ClassVar[str] = "get"
    key: Attribute
    sort: Attribute | None = None


class PutItem(_TableRequest, frozen=True, tag="table.put"):
    """Write an item; the body is its JSON."""

    action: ClassVar[str] = "put"
    if_revision: Revision | None = None
    labels: Labels | None = None


class DeleteItem(_TableRequest, frozen=True, tag="table.delete"):
    """Delete an item."""

    action: ClassVar[str] = "delete"
    key: Attribute
    sort: Attribute | None = None
    if_revision: Revision | None = None


class QueryItems(_TableRequest, frozen=True, tag="table.query"):
    """Read a page of items."""

    action: ClassVar[str] = "query"
    key: Attribute | None = None
    index: Name | None = None
    sort: Range | None = None
    after: Token | None = None
    limit: Limit = 100
    descending: bool = False


class SendMessage(_Request, frozen=True, tag="queue.send"):
    """Send to a queue; the body is the message's JSON."""

    queue: Name
    delay: Annotated[float, msgspec.Meta(ge=0, le=14 * 86400)] = 0.0
    deduplication: Text | None = None
    key: MessageKey = ""
    priority: Priority = 0
    labels: Labels | None = None
    attributes: Attributes | None = None

    @property
    def grant(self) -> Wanted:
        """What must be granted."""
        return GrantKind.QUEUE, self.queue, "send", ""


class PublishMessage(_Request, frozen=True, tag="topic.publish"):
    """Publish to a topic; the body is the message's JSON."""

    topic: Name
    deduplication: Text | None = None
    labels: Labels | None = None
    attributes: Attributes | None = None

    @property
    def grant(self) -> Wanted:
        """What must be granted."""
        return GrantKind.TOPIC, self.topic, "publish", ""


class GetSecret(_Request, frozen=True, tag="secret.get"):
    """Read a secret's value, which comes by a descriptor."""

    name: Name
    version: Natural | None = None

    @property
    def grant(self) -> Wanted:
        """What must be granted."""
        return GrantKind.SECRET, self.name, "read", ""


class InvokeFunction(_Request, frozen=True, tag="function.invoke"):
    """Invoke another function; the body is the event's JSON."""

    function: Name
    allow: (
        Annotated[
            tuple[Annotated[str, msgspec.Meta(max_length=1300)], ...], msgspec.Meta(max_length=64)
        ]
        | None
    ) = None
    wait: bool = True
    """False has the event kept, and the function invoked with it afterwards."""

    @property
    def grant(self) -> Wanted:
        """What must be granted."""
        return GrantKind.FUNCTION, self.function, "invoke", ""


class IdentityToken(_Request, frozen=True, tag="identity.token"):
    """Ask for a signed token that says which function this is. Needs no grant."""

    audience: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


GrantedRequest = (
    GetObject
    | HeadObject
    | PutObject
    | BeginObject
    | AddPart
    | CommitObject
    | AbortObject
    | DeleteObject
    | ListObjects
    | GetItem
    | PutItem
    | DeleteItem
    | QueryItems
    | SendMessage
    | PublishMessage
    | GetSecret
    | InvokeFunction
)
Request = GrantedRequest | IdentityToken

decode = msgspec.json.Decoder(Request).decode

_USUAL_REPLY = 64 * 1024


def reply_bytes(request: Request) -> int:
    """Return how many bytes of room a reply is given before it is known how many it has.

    None for a call to another function, which may take long and has a limit on its answer.
    """
    if isinstance(request, GetObject):
        return MAX_PART if request.length is None else min(request.length, MAX_PART)
    if isinstance(request, (QueryItems, ListObjects)):
        return MAX_PART
    return 0 if isinstance(request, InvokeFunction) else _USUAL_REPLY
