"""The operations on objects, each checked and handed to a writer or reader."""

from __future__ import annotations

import hashlib
import time

from casemate.data import limits, object_calls, objects
from casemate.data.objects import NewObject
from casemate.data.port import Port
from casemate.data.registry import BUCKET
from casemate.model.data import MAX_KEY_BYTES, MAX_PART, ObjectInfo, ObjectPage
from casemate.model.errors import InvalidInputError
from casemate.operations.objects import (
    AbortObject,
    AddPart,
    BeginObject,
    CommitObject,
    DeleteObject,
    HeadObject,
    ListObjects,
    ListRevisions,
    ObjectRevisions,
    ReadObject,
    Received,
    Upload,
    WriteObject,
)
from casemate.operations.performing import Performers

performs = Performers()


class ObjectPort(Port):
    """Objects in buckets."""

    @performs(WriteObject)
    async def _put_object(self, operation: WriteObject) -> ObjectInfo:
        self._disk.require()
        key, content, labels = operation.key, operation.content, operation.labels
        content_type, if_revision = operation.content_type, operation.if_revision
        limits.require_labels(labels)
        limits.require_object_key(key)
        limits.require_content_type(content_type)
        limits.require_revision(if_revision, least=0)
        encoded = limits.encode_metadata(operation.metadata)
        if type(content) is not bytes or len(content) > MAX_PART:
            raise InvalidInputError(
                f"The content is not bytes, at most {MAX_PART} of them.",
                next_step="Write larger objects in parts.",
            )
        bucket = operation.bucket
        async with self._projects.use(operation.project) as opened:
            objects.require_size(objects.spec_of(opened.resource(BUCKET, bucket)), len(content))
            if len(content) > limits.INLINE_BYTES:
                put = object_calls.start_put_file(
                    self._projects,
                    opened,
                    bucket,
                    content,
                    lambda writer: object_calls.finished(
                        writer, key, content_type, encoded, labels
                    ),
                    if_revision,
                )
            else:
                digest = hashlib.sha256(content).hexdigest()
                new = NewObject(
                    key, len(content), digest, content_type, encoded, content, labels=labels
                )
                put = opened.change(object_calls.put_change(opened, bucket, new, if_revision))
            written = await put
        self._projects.damaged.changed(operation.project, bucket, key)
        return written

    @performs(BeginObject)
    async def _begin_object(self, operation: BeginObject) -> Upload:
        self._disk.require()
        limits.require_object_key(operation.key)
        limits.require_content_type(operation.content_type)
        encoded = limits.encode_metadata(operation.metadata)
        async with self._projects.use(operation.project) as opened:
            return Upload(
                upload=await self._uploads.begin(
                    opened, operation.bucket, operation.key, operation.content_type, encoded
                )
            )

    @performs(AddPart)
    async def _add_part(self, operation: AddPart) -> Received:
        self._disk.require()
        async with self._projects.use(operation.project) as opened:
            size = await self._uploads.add(
                opened, operation.bucket, operation.upload, operation.content
            )
            return Received(size=size)

    @performs(CommitObject)
    async def _commit_object(self, operation: CommitObject) -> ObjectInfo:
        """Make an upload the object's present content. Whatever comes of it, the upload is over."""
        limits.require_labels(operation.labels)
        limits.require_revision(operation.if_revision, least=0)
        async with self._projects.use(operation.project) as opened:
            written = await self._uploads.commit(
                opened,
                operation.bucket,
                operation.upload,
                operation.if_revision,
                operation.labels,
                object_calls.commit,
            )
        self._projects.damaged.changed(operation.project, operation.bucket, written.key)
        return written

    @performs(AbortObject)
    async def _abort_object(self, operation: AbortObject) -> None:
        await self._uploads.abort(operation.project, operation.bucket, operation.upload)

    @performs(HeadObject)
    async def _head_object(self, operation: HeadObject) -> ObjectInfo:
        key, revision = operation.key, operation.revision
        limits.require_object_key(key)
        limits.require_revision(revision, least=1)
        async with self._projects.use(operation.project) as opened:
            return await opened.read_of(
                BUCKET,
                operation.bucket,
                lambda connection, bucket: objects.head(connection, bucket, key, revision),
            )

    @performs(ReadObject)
    async def _get_object(self, operation: ReadObject) -> tuple[ObjectInfo, bytes]:
        limits.require_object_key(operation.key)
        limits.require_revision(operation.revision, least=1)
        limits.require_whole("offset", operation.offset, 0, 1 << 62)
        if operation.length is not None:
            limits.require_whole("length", operation.length, 0, MAX_PART)
        async with self._projects.use(operation.project) as opened:
            return await object_calls.get(
                self._projects,
                opened,
                operation.bucket,
                operation.key,
                operation.revision,
                operation.offset,
                operation.length,
            )

    def recent(self, operation: ReadObject) -> tuple[ObjectInfo, bytes] | None:
        """Return an object that was read of late, without waiting."""
        opened, length = self._projects.opened.get(operation.project), operation.length
        if opened is None or (length is not None and length > MAX_PART):
            return None
        opened.used_at = time.monotonic()
        return object_calls.get_recent(
            opened, operation.bucket, operation.key, operation.offset, length
        )

    @performs(DeleteObject)
    async def _delete_object(self, operation: DeleteObject) -> None:
        key, if_revision = operation.key, operation.if_revision
        limits.require_object_key(key)
        limits.require_revision(if_revision, least=0)
        async with self._projects.use(operation.project) as opened:
            await opened.change(
                lambda work: objects.delete(
                    work,
                    opened.resource(BUCKET, operation.bucket),
                    opened.fanout,
                    key,
                    if_revision,
                    opened.files.delete,
                )
            )
        self._projects.damaged.changed(operation.project, operation.bucket, key)

    @performs(ListObjects)
    async def _list_objects(self, operation: ListObjects) -> ObjectPage:
        after, delimiter = operation.after, operation.delimiter
        limits.require_limit(operation.limit)
        limits.require_text("prefix", operation.prefix, most=MAX_KEY_BYTES)
        if after is not None:
            limits.require_text("start of the page", after, most=MAX_KEY_BYTES)
        if delimiter is not None:
            limits.require_text("delimiter", delimiter, least=1, most=MAX_KEY_BYTES)
        async with self._projects.use(operation.project) as opened:
            return await opened.read_of(
                BUCKET,
                operation.bucket,
                lambda connection, bucket: objects.page(
                    connection,
                    bucket,
                    prefix=operation.prefix,
                    after=after,
                    limit=operation.limit,
                    delimiter=delimiter,
                ),
            )

    @performs(ListRevisions)
    async def _list_revisions(self, operation: ListRevisions) -> ObjectRevisions:
        key = operation.key
        limits.require_object_key(key)
        async with self._projects.use(operation.project) as opened:
            return ObjectRevisions(
                revisions=await opened.read_of(
                    BUCKET,
                    operation.bucket,
                    lambda connection, bucket: objects.revisions(connection, bucket, key),
                )
            )
