"""The port's calls about objects, each checked and handed to a writer or reader."""

from __future__ import annotations

import hashlib
import time

from casemate.data import limits, object_calls, objects
from casemate.data.objects import NewObject
from casemate.data.port import Port
from casemate.data.registry import BUCKET
from casemate.model.data import MAX_KEY_BYTES, MAX_PART, ObjectInfo, ObjectPage
from casemate.model.errors import InvalidInputError


class ObjectPort(Port):
    """Objects in buckets. `casemate.data.interface.ProjectData` documents the calls."""

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
        """Write an object."""
        self._disk.require()
        limits.require_labels(labels)
        limits.require_object_key(key)
        limits.require_content_type(content_type)
        limits.require_revision(if_revision, least=0)
        encoded = limits.encode_metadata(metadata)
        if type(content) is not bytes or len(content) > MAX_PART:
            raise InvalidInputError(
                f"The content is not bytes, at most {MAX_PART} of them.",
                next_step="Write larger objects in parts.",
            )
        async with self._projects.use(project) as opened:
            objects.require_size(objects.spec_of(opened.resource(BUCKET, bucket)), len(content))
            if len(content) > limits.INLINE_BYTES:
                return await object_calls.start_put_file(
                    self._projects,
                    opened,
                    bucket,
                    content,
                    lambda writer: object_calls.finished(
                        writer, key, content_type, encoded, labels
                    ),
                    if_revision,
                )
            digest = hashlib.sha256(content).hexdigest()
            new = NewObject(
                key, len(content), digest, content_type, encoded, content, labels=labels
            )
            return await opened.change(object_calls.put_change(opened, bucket, new, if_revision))

    async def begin_object(
        self,
        project: str,
        bucket: str,
        key: str,
        *,
        content_type: str,
        metadata: dict[str, str],
    ) -> str:
        """Begin an object in parts."""
        self._disk.require()
        limits.require_object_key(key)
        limits.require_content_type(content_type)
        encoded = limits.encode_metadata(metadata)
        async with self._projects.use(project) as opened:
            return await self._uploads.begin(opened, bucket, key, content_type, encoded)

    async def add_part(self, project: str, bucket: str, upload: str, content: bytes) -> int:
        """Append a part."""
        self._disk.require()
        async with self._projects.use(project) as opened:
            return await self._uploads.add(opened, bucket, upload, content)

    async def commit_object(
        self,
        project: str,
        bucket: str,
        upload: str,
        *,
        if_revision: int | None = None,
        labels: bytes = b"",
    ) -> ObjectInfo:
        """Make an upload the object's present content. Whatever comes of it, the upload is over."""
        limits.require_labels(labels)
        limits.require_revision(if_revision, least=0)
        async with self._projects.use(project) as opened:
            return await self._uploads.commit(
                opened, bucket, upload, if_revision, labels, object_calls.commit
            )

    async def abort_object(self, project: str, bucket: str, upload: str) -> None:
        """Forget an upload."""
        await self._uploads.abort(project, bucket, upload)

    async def head_object(
        self, project: str, bucket: str, key: str, revision: int | None = None
    ) -> ObjectInfo:
        """Return what is known of an object."""
        limits.require_object_key(key)
        limits.require_revision(revision, least=1)
        async with self._projects.use(project) as opened:
            found = opened.resource(BUCKET, bucket)
            return await opened.read(
                lambda connection: objects.head(connection, found, key, revision)
            )

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
        """Return an object, or a piece of it."""
        limits.require_object_key(key)
        limits.require_revision(revision, least=1)
        limits.require_whole("offset", offset, 0, 1 << 62)
        if length is not None:
            limits.require_whole("length", length, 0, MAX_PART)
        async with self._projects.use(project) as opened:
            return await object_calls.get(
                self._projects, opened, bucket, key, revision, offset, length
            )

    def get_recent_object(
        self, project: str, bucket: str, key: str, *, offset: int = 0, length: int | None = None
    ) -> tuple[ObjectInfo, bytes] | None:
        """Return an object that was read of late, without waiting."""
        opened = self._projects.opened.get(project)
        if opened is None or (length is not None and length > MAX_PART):
            return None
        opened.used_at = time.monotonic()
        return object_calls.get_recent(opened, bucket, key, offset, length)

    async def delete_object(
        self, project: str, bucket: str, key: str, *, if_revision: int | None = None
    ) -> None:
        """Delete an object with its revisions."""
        limits.require_object_key(key)
        limits.require_revision(if_revision, least=0)
        async with self._projects.use(project) as opened:
            await opened.change(
                lambda work: objects.delete(
                    work,
                    opened.resource(BUCKET, bucket),
                    opened.fanout,
                    key,
                    if_revision,
                    opened.files.delete,
                )
            )

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
        limits.require_limit(limit)
        limits.require_text("prefix", prefix, most=MAX_KEY_BYTES)
        if after is not None:
            limits.require_text("start of the page", after, most=MAX_KEY_BYTES)
        if delimiter is not None:
            limits.require_text("delimiter", delimiter, least=1, most=MAX_KEY_BYTES)
        async with self._projects.use(project) as opened:
            found = opened.resource(BUCKET, bucket)
            return await opened.read(
                lambda connection: objects.page(
                    connection, found, prefix=prefix, after=after, limit=limit, delimiter=delimiter
                )
            )

    async def object_revisions(self, project: str, bucket: str, key: str) -> tuple[ObjectInfo, ...]:
        """Return the revisions kept, newest first."""
        limits.require_object_key(key)
        async with self._projects.use(project) as opened:
            found = opened.resource(BUCKET, bucket)
            return await opened.read(lambda connection: objects.revisions(connection, found, key))
