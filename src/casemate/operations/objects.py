"""Operations on buckets and their objects. Keys are in the query: they are data, not paths."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.data import ObjectInfo, ObjectPage
from casemate.model.grant import BucketSpec
from casemate.model.principal import Action, ResourceKind
from casemate.operations.declaration import BINARY, Decided, Declaration, Effect, Operation, on
from casemate.operations.fields import (
    After,
    IfRevision,
    Key,
    Limit,
    Metadata,
    Name,
    Natural,
    Revision,
    ShortText,
    number,
    text,
)
from casemate.operations.given import Given

_bucket = on(ResourceKind.BUCKET)
_PATH = "/buckets/{project}/{bucket}"
_LABELS = frozenset({"labels"})


class Buckets(msgspec.Struct, frozen=True, kw_only=True):
    """The buckets of a project that you may list, by name."""

    buckets: tuple[BucketSpec, ...]


class ObjectRevisions(msgspec.Struct, frozen=True, kw_only=True):
    """The revisions of an object that are kept, newest first."""

    revisions: tuple[ObjectInfo, ...]


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An object that comes in parts."""

    upload: str


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an upload is there."""

    size: int


class ListBuckets(Operation[Buckets], frozen=True, kw_only=True):
    """List the buckets of a project that you may list."""

    declared = Declaration(http="GET /buckets/{project}", tag="data", decided=Decided.FOR_EACH)
    project: Name


class DropBucket(Operation[None], frozen=True, kw_only=True):
    """Delete a bucket with all its objects."""

    declared = Declaration(
        http=f"DELETE {_PATH}",
        tag="data",
        status=HTTPStatus.NO_CONTENT,
        action=Action.BUCKET_DROP,
        on=_bucket,
        problems=(404,),
    )
    project: Name
    bucket: Name


class ListObjects(Operation[ObjectPage], frozen=True, kw_only=True):
    """List objects by key, in byte order."""

    declared = Declaration(
        http=f"GET {_PATH}/objects",
        tag="data",
        action=Action.BUCKET_LIST,
        on=_bucket,
        problems=(404, 422),
        capability="bucket.list",
        key="prefix",
    )
    project: Name
    bucket: Name
    prefix: Annotated[str, text("Only keys that start with this.")] = ""
    delimiter: (
        Annotated[
            str,
            text("Group keys by what they share up to this.", least=1, most=256),
            Given("Group keys by what they share up to the next `/`.", "--folders", means="/"),
        ]
        | None
    ) = None
    limit: Limit = 100
    after: Annotated[After, Given("Continue after this key; see the end of a list.")] | None = None


class ListRevisions(Operation[ObjectRevisions], frozen=True, kw_only=True):
    """List the stored revisions of an object."""

    declared = Declaration(
        http=f"GET {_PATH}/revisions",
        tag="data",
        action=Action.BUCKET_LIST,
        on=_bucket,
        problems=(404, 422),
    )
    project: Name
    bucket: Name
    key: Key


class GetObject(Operation[bytes], frozen=True, kw_only=True):
    """Return the content of an object.

    The media type of the answer is always application/octet-stream. The object's own type is in the
    header Casemate-Content-Type, its SHA-256 in Casemate-Sha256, and its revision in ETag.
    """

    declared = Declaration(
        http=f"GET {_PATH}/object",
        tag="data",
        action=Action.BUCKET_READ,
        on=_bucket,
        answer_type=BINARY,
        problems=(404, 422),
    )
    project: Name
    bucket: Name
    key: Key
    revision: (
        Annotated[int, number("An older revision, if it is still stored.", least=1)] | None
    ) = None


class ReadObject(Operation[tuple[ObjectInfo, bytes]], frozen=True, kw_only=True):
    """Return what is known of an object with its content, or a piece of that."""

    declared = Declaration(
        effect=Effect.READ,
        action=Action.BUCKET_READ,
        on=_bucket,
        capability="bucket.get",
        key="key",
    )
    project: Name
    bucket: Name
    key: Key
    revision: Revision | None = None
    offset: Natural = 0
    length: Natural | None = None


class HeadObject(Operation[ObjectInfo], frozen=True, kw_only=True):
    """Return what is known of an object."""

    declared = Declaration(
        effect=Effect.READ,
        action=Action.BUCKET_READ,
        on=_bucket,
        capability="bucket.head",
        key="key",
    )
    project: Name
    bucket: Name
    key: Key
    revision: Revision | None = None


class WriteObject(Operation[ObjectInfo], frozen=True, kw_only=True):
    """Write an object at once."""

    declared = Declaration(
        action=Action.BUCKET_WRITE,
        on=_bucket,
        capability="bucket.put",
        key="key",
        content="content",
        inside=_LABELS,
    )
    project: Name
    bucket: Name
    key: Key
    content: bytes
    content_type: ShortText = BINARY
    metadata: Metadata | None = None
    if_revision: IfRevision | None = None
    labels: bytes = b""


class PutObject(Operation[ObjectInfo], frozen=True, kw_only=True):
    """Write an object.

    The body is the content, at most 64 MiB, and its Content-Type becomes the object's. The object
    is stored completely or not at all. 413 means that a limit of the bucket is reached.
    """

    declared = Declaration(
        http=f"PUT {_PATH}/object",
        tag="data",
        action=Action.BUCKET_WRITE,
        on=_bucket,
        raw_content=True,
        other_statuses=((HTTPStatus.CREATED, "It is the first revision.", ObjectInfo),),
        problems=(404, 409, 413, 415, 422, 429),
    )
    project: Name
    bucket: Name
    key: Key
    if_revision: IfRevision | None = None


class BeginObject(Operation[Upload], frozen=True, kw_only=True):
    """Begin to write an object in parts. Forgotten after an hour unfinished."""

    declared = Declaration(
        action=Action.BUCKET_WRITE, on=_bucket, capability="bucket.begin", key="key"
    )
    project: Name
    bucket: Name
    key: Key
    content_type: ShortText = BINARY
    metadata: Metadata | None = None


class AddPart(Operation[Received], frozen=True, kw_only=True):
    """Append to an upload; the body is the part."""

    declared = Declaration(
        action=Action.BUCKET_WRITE, on=_bucket, capability="bucket.part", content="content"
    )
    project: Name
    bucket: Name
    upload: ShortText
    content: bytes


class CommitObject(Operation[ObjectInfo], frozen=True, kw_only=True):
    """Make an upload the object's content. Only now is known where all of it came from."""

    declared = Declaration(
        action=Action.BUCKET_WRITE, on=_bucket, capability="bucket.commit", inside=_LABELS
    )
    project: Name
    bucket: Name
    upload: ShortText
    if_revision: IfRevision | None = None
    labels: bytes = b""


class AbortObject(Operation[None], frozen=True, kw_only=True):
    """Forget an upload; forgetting twice is fine."""

    declared = Declaration(action=Action.BUCKET_WRITE, on=_bucket, capability="bucket.abort")
    project: Name
    bucket: Name
    upload: ShortText


class DeleteObject(Operation[None], frozen=True, kw_only=True):
    """Delete an object with its revisions."""

    declared = Declaration(
        http=f"DELETE {_PATH}/object",
        tag="data",
        # One that the caller names and could write anew; the bucket stays.
        effect=Effect.CHANGE,
        status=HTTPStatus.NO_CONTENT,
        action=Action.BUCKET_DELETE,
        on=_bucket,
        problems=(404, 409, 422),
        capability="bucket.delete",
        key="key",
    )
    project: Name
    bucket: Name
    key: Key
    if_revision: IfRevision | None = None
