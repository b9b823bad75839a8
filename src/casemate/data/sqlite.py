"""`SqliteProjectData`: the port's methods, each checked and handed to a writer or reader."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from casemate.data import (
    attributes,
    limits,
    object_calls,
    objects,
    queues,
    resources,
    rotation,
    tables,
)
from casemate.data.folder import DataFolder
from casemate.data.interface import (
    MAX_KEY_BYTES,
    MAX_PART,
    Item,
    ItemPage,
    Message,
    ObjectInfo,
    ObjectPage,
    QueueInfo,
    Range,
)
from casemate.data.limits import DataOptions
from casemate.data.objects import NewObject
from casemate.data.project import change_resources
from casemate.data.projects import Keys, Projects
from casemate.data.queries import Query
from casemate.data.resources import BUCKET, QUEUE, TABLE, TOPIC, Resource
from casemate.data.snapshot import snapshot
from casemate.data.uploads import Uploads
from casemate.data.writer import Work
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.grant import Resources

T = TypeVar("T")


class SqliteProjectData:
    """Satisfies `casemate.data.interface.ProjectData`, which documents the calls.

    One encrypted database for each project, and files for large objects. A change whose awaiter
    is cancelled may still be made. All calls belong to one event loop. The lock on the folder is
    inherited by fork: children must exec.
    """

    def __init__(self, folder: Path, keys: Keys, options: DataOptions | None = None) -> None:
        """Lock `folder`, made where it is missing; `keys` is the vault's `data_key`.

        Raises DataLockedError if another process has it, DataForeignError, DataError.
        """
        self._options = options or DataOptions()
        self._keys = keys
        self._projects = Projects(DataFolder(folder), keys, self._options)
        self._uploads = Uploads(self._projects)

    # Resources

    async def ensure(self, project: str, declared: Resources) -> None:
        """Make what is declared and missing, and change limits to what is declared."""
        limits.require_project(project)
        resources.require_valid(declared)
        if not any(resources.specs(declared)):
            return
        async with self._projects.use(project, create=True) as opened:
            await opened.writer.submit_job(
                change_resources(
                    opened,
                    lambda connection, registry: resources.ensure(connection, registry, declared),
                )
            )

    async def resources(self, project: str) -> Resources:
        """Return what a project has."""
        limits.require_project(project)
        try:
            async with self._projects.use(project) as opened:
                return resources.declared(opened.registry)
        except NotFoundError:
            return Resources()

    async def drop(self, project: str, kind: str, name: str) -> None:
        """Delete a resource with all that is in it."""
        limits.require_project(project)
        async with self._projects.use(project) as opened:
            opened.resource(kind, name)
            await opened.writer.submit_job(
                change_resources(
                    opened,
                    lambda connection, registry: resources.drop(
                        connection, resources.find(registry, project, kind, name)
                    ),
                )
            )

    # Objects

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
    ) -> ObjectInfo:
        """Write an object."""
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
                    lambda writer: object_calls.finished(writer, key, content_type, encoded),
                    if_revision,
                )
            digest = hashlib.sha256(content).hexdigest()
            new = NewObject(key, len(content), digest, content_type, encoded, content)
            return await opened.change(object_calls.put_change(opened, bucket, new, if_revision))

    async def begin_object(
        self, project: str, bucket: str, key: str, *, content_type: str, metadata: dict[str, str]
    ) -> str:
        """Begin an object in parts."""
        limits.require_object_key(key)
        limits.require_content_type(content_type)
        encoded = limits.encode_metadata(metadata)
        async with self._projects.use(project) as opened:
            return await self._uploads.begin(opened, bucket, key, content_type, encoded)

    async def add_part(self, project: str, bucket: str, upload: str, content: bytes) -> int:
        """Append a part."""
        async with self._projects.use(project) as opened:
            return await self._uploads.add(opened, bucket, upload, content)

    async def commit_object(
        self, project: str, bucket: str, upload: str, *, if_revision: int | None = None
    ) -> ObjectInfo:
        """Make an upload the object's present content. Whatever comes of it, the upload is over."""
        limits.require_revision(if_revision, least=0)
        async with self._projects.use(project) as opened:
            return await self._uploads.commit(
                opened, bucket, upload, if_revision, object_calls.commit
            )

    async def abort_object(self, project: str, bucket: str, upload: str) -> None:
        """Forget an upload."""
        await self._uploads.abort(project, bucket, upload)

    async def upload_key(self, project: str, bucket: str, upload: str) -> str:
        """Return the key that an upload is for."""
        return self._uploads.find(project, bucket, upload).key

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

    async def delete_object(
        self, project: str, bucket: str, key: str, *, if_revision: int | None = None
    ) -> None:
        """Delete an object with its revisions."""
        limits.require_object_key(key)
        limits.require_revision(if_revision, least=0)
        async with self._projects.use(project) as opened:
            await opened.change(
                lambda work: objects.delete(
                    work, opened.resource(BUCKET, bucket), key, if_revision, opened.files.delete
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

    # Items

    async def put_item(
        self,
        project: str,
        table: str,
        value: dict[str, object],
        *,
        if_revision: int | None = None,
    ) -> Item:
        """Write an item whole."""
        limits.require_revision(if_revision, least=0)
        encoded = attributes.encode_item(value)
        async with self._projects.use(project) as opened:
            opened.resource(TABLE, table)
            if attributes.quick_to_check(encoded):
                attributes.require_item(value)
            else:
                await self._projects.in_thread(lambda: attributes.require_item(value))
            return await opened.change(
                lambda work: tables.put(
                    work, opened.resource(TABLE, table), value, encoded, if_revision
                )
            )

    async def get_item(
        self, project: str, table: str, key: str | float, sort: str | float | None = None
    ) -> Item:
        """Return an item."""
        async with self._projects.use(project) as opened:
            found = opened.resource(TABLE, table)
            return await opened.read(lambda connection: tables.get(connection, found, key, sort))

    async def delete_item(
        self,
        project: str,
        table: str,
        key: str | float,
        sort: str | float | None = None,
        *,
        if_revision: int | None = None,
    ) -> None:
        """Delete an item."""
        limits.require_revision(if_revision, least=0)
        async with self._projects.use(project) as opened:
            await opened.change(
                lambda work: tables.delete(
                    work, opened.resource(TABLE, table), key, sort, if_revision
                )
            )

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
        """Return a page of items."""
        limits.require_limit(limit)
        async with self._projects.use(project) as opened:
            query = Query(
                opened.resource(TABLE, table),
                key=key,
                index=index,
                sort=sort,
                after=after,
                limit=limit,
                descending=descending,
                secret=opened.marks_key,
            )
            return await opened.read(query.run)

    # Messages

    async def send(
        self,
        project: str,
        kind: str,
        name: str,
        body: bytes,
        *,
        delay: float = 0.0,
        deduplication: str | None = None,
    ) -> str:
        """Keep a message."""
        queues.require_body(body)
        queues.require_deduplication(deduplication)
        seconds = limits.require_seconds("delay", delay, limits.MAX_DELAY)
        return await self._change_queue(
            project, kind, name, lambda work, q: queues.send(work, q, body, seconds, deduplication)
        )

    async def receive(
        self, project: str, kind: str, name: str, *, limit: int = 1, lease: float = 30.0
    ) -> tuple[Message, ...]:
        """Lease the oldest messages."""
        limits.require_limit(limit)
        seconds = limits.require_seconds("lease", lease, limits.MAX_LEASE)
        return await self._change_queue(
            project, kind, name, lambda work, q: queues.receive(work, q, limit, seconds)
        )

    async def acknowledge(self, project: str, kind: str, name: str, ids: Sequence[str]) -> int:
        """Delete messages that were handled."""
        queues.require_ids(ids)
        return await self._change_queue(
            project, kind, name, lambda work, q: queues.acknowledge(work, q, ids)
        )

    async def queue_info(self, project: str, kind: str, name: str) -> QueueInfo:
        """Return how much waits."""
        resources.require_kind(kind, (QUEUE, TOPIC))
        async with self._projects.use(project) as opened:
            found = opened.resource(kind, name)
            return await opened.read(lambda connection: queues.info(connection, found))

    async def purge(self, project: str, kind: str, name: str) -> int:
        """Delete every message."""
        return await self._change_queue(project, kind, name, queues.purge)

    async def _change_queue(
        self, project: str, kind: str, name: str, change: Callable[[Work, Resource], T]
    ) -> T:
        resources.require_kind(kind, (QUEUE, TOPIC))
        async with self._projects.use(project) as opened:
            return await opened.change(lambda work: change(work, opened.resource(kind, name)))

    # All of it

    async def rekey(self, project: str) -> None:
        """Encrypt what is stored with the newest data keys."""
        limits.require_project(project)
        async with self._projects.use(project) as opened:
            await rotation.rekey(opened, self._projects.folder, self._keys, self._options)

    async def snapshot(self, folder: Path) -> None:
        """Copy everything into `folder`, each project as it is at one moment."""
        await snapshot(self._projects, folder)

    async def close(self) -> None:
        """Write what is queued and release the files."""
        await self._uploads.close()
        await self._projects.close()
