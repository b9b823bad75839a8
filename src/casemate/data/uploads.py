"""Objects in parts: kept aside until they are whole, forgotten after an hour.

Uploads live in this process; what a crash leaves of them is swept when the project is opened.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from casemate.data import objects
from casemate.data.errors import LimitError
from casemate.data.files import FileWriter, ObjectFiles
from casemate.data.limits import MAX_UPLOADS, UPLOAD_SECONDS
from casemate.data.object_calls import finished
from casemate.data.objects import NewObject
from casemate.data.project import OpenProject
from casemate.data.projects import Projects
from casemate.data.registry import BUCKET, find
from casemate.model.data import MAX_PART, ObjectInfo
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.grant import BucketSpec

T = TypeVar("T")
Commit = Callable[
    [OpenProject, str, NewObject, int | None, FileWriter, int], "asyncio.Future[ObjectInfo]"
]


class Upload:
    """One unfinished object."""

    def __init__(
        self,
        project: str,
        bucket: str,
        key: str,
        content_type: str,
        metadata: bytes,
        files: ObjectFiles,
        *,
        bucket_id: int,
    ) -> None:
        """Begin at now. `bucket_id` tells the bucket from one that is made anew under its name."""
        self.project = project
        self.bucket = bucket
        self.bucket_id = bucket_id
        self.key = key
        self.content_type = content_type
        self.metadata = metadata
        self.began = time.monotonic()
        self.lock = asyncio.Lock()
        self.files = files
        self.writer = FileWriter(files)
        self.ended = False


class Uploads:
    """The unfinished uploads of all projects. Belongs to one event loop."""

    def __init__(self, projects: Projects[OpenProject]) -> None:
        """Begin with none."""
        self._projects = projects
        self._by_id: dict[str, Upload] = {}
        self._tasks: set[asyncio.Future[Any]] = set()

    async def begin(
        self,
        project: OpenProject,
        bucket: str,
        key: str,
        content_type: str,
        metadata: bytes,
    ) -> str:
        """Return the id of a new upload. LimitError if the project has too many unfinished."""
        found = find(await project.present(), project.name, BUCKET, bucket)
        await self._forget_old()
        unfinished = sum(1 for upload in self._by_id.values() if upload.project == project.name)
        if unfinished >= MAX_UPLOADS:
            raise LimitError(
                f"The project {project.name} has {unfinished} unfinished uploads, which is the "
                "most.",
                next_step="Commit or abort some of them.",
            )
        files = self._projects.databases.files_of(project.name)
        upload = Upload(
            project.name, bucket, key, content_type, metadata, files, bucket_id=found.id
        )
        identity = secrets.token_hex(16)
        self._by_id[identity] = upload
        return identity

    def find(self, project: str, bucket: str, identity: str) -> Upload:
        """Return an upload of a bucket. Raises NotFoundError."""
        upload = self._by_id.get(identity) if isinstance(identity, str) else None
        if upload is None or (upload.project, upload.bucket) != (project, bucket) or _old(upload):
            raise NotFoundError(
                "There is no such upload in this bucket; they are forgotten after an hour.",
                next_step="Start the upload again.",
            )
        return upload

    async def add(self, project: OpenProject, bucket: str, identity: str, content: bytes) -> int:
        """Append a part; return the bytes so far. A cancelled caller leaves no half part."""
        if type(content) is not bytes or len(content) > MAX_PART:
            raise InvalidInputError(f"A part is not bytes, at most {MAX_PART} of them.")
        upload = self.find(project.name, bucket, identity)
        return await self._unbroken(self._add(project, upload, identity, content))

    async def _add(
        self, project: OpenProject, upload: Upload, identity: str, content: bytes
    ) -> int:
        async with upload.lock:
            self.find(project.name, upload.bucket, identity)
            resource = project.resource(BUCKET, upload.bucket)
            spec = objects.spec_of(resource)
            size = upload.writer.size + len(content)
            objects.require_size(spec, size)
            stored = await project.read(lambda connection: objects.total(connection, resource))
            self._require_room(spec, upload, stored, len(content))
            try:
                await self._projects.content_in_thread(lambda: upload.writer.write(content))
            except BaseException:
                await self._end(identity, upload)
                raise
            return upload.writer.size

    def _require_room(self, spec: BucketSpec, upload: Upload, stored: int, more: int) -> None:
        """Count what is unfinished too: it takes room on the disk. `commit` decides for good."""
        place = (upload.project, upload.bucket)
        unfinished = sum(
            other.writer.size
            for other in self._by_id.values()
            if (other.project, other.bucket) == place
        )
        objects.require_total(spec, stored + unfinished + more)

    async def commit(
        self,
        project: OpenProject,
        bucket: str,
        identity: str,
        if_revision: int | None,
        labels: bytes,
        commit: Commit,
    ) -> ObjectInfo:
        """Make an upload an object. Whatever comes of it, the upload is over."""
        upload = self.find(project.name, bucket, identity)

        async def finish() -> ObjectInfo:
            async with upload.lock:
                self.find(project.name, bucket, identity)
                del self._by_id[identity]
                upload.ended = True
                try:
                    return await self._commit(project, upload, if_revision, labels, commit)
                finally:
                    upload.files.close()

        return await self._unbroken(finish())

    async def _commit(
        self,
        project: OpenProject,
        upload: Upload,
        if_revision: int | None,
        labels: bytes,
        commit: Commit,
    ) -> ObjectInfo:
        writer = upload.writer
        try:
            new = await self._projects.content_in_thread(
                lambda: finished(writer, upload.key, upload.content_type, upload.metadata, labels)
            )
        except BaseException:
            writer.discard()
            raise
        return await commit(project, upload.bucket, new, if_revision, writer, upload.bucket_id)

    async def abort(self, project: str, bucket: str, identity: str) -> None:
        """Forget an upload; one that is not there is fine."""
        try:
            upload = self.find(project, bucket, identity)
        except NotFoundError:
            return
        await self._unbroken(self._abort(identity, upload))

    async def _abort(self, identity: str, upload: Upload) -> None:
        async with upload.lock:
            await self._end(identity, upload)

    async def close(self) -> None:
        """Forget all uploads, once calls in progress have ended."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))
        for identity, upload in list(self._by_id.items()):
            await self._end(identity, upload)

    async def _forget_old(self) -> None:
        for identity, upload in list(self._by_id.items()):
            if _old(upload) and not upload.lock.locked():
                await self._end(identity, upload)

    async def _end(self, identity: str, upload: Upload) -> None:
        if not upload.ended:
            upload.ended = True
            self._by_id.pop(identity, None)
            upload.writer.discard()
            upload.files.close()

    async def _unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        """Let `work` go on to its end even if the caller is cancelled."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)


def _old(upload: Upload) -> bool:
    return time.monotonic() - upload.began > UPLOAD_SECONDS
