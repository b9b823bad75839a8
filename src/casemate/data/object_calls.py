"""Writing and reading the content of objects: which of database and file, with which key."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import TypeVar

from casemate.data import limits, objects
from casemate.data.content import FILE_KEY_BYTES, context_of
from casemate.data.damaged import Reading
from casemate.data.errors import DataCorruptError
from casemate.data.files import FileWriter, read_range
from casemate.data.objects import NewObject
from casemate.data.project import MissingKeyError, OpenProject
from casemate.data.projects import Projects
from casemate.data.recent import FoundObject
from casemate.data.registry import BUCKET, Resource
from casemate.data.work import Work, in_trace
from casemate.model.data import MAX_PART, ObjectInfo
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.sqlite.answers import Answers, Waiter
from casemate.sqlite.engine import Connection
from casemate.vault.interface import Purpose

T = TypeVar("T")
_READ_TRIES = 5


def put_change(
    opened: OpenProject,
    bucket: str,
    new: NewObject,
    if_revision: int | None,
    bucket_id: int | None = None,
) -> Callable[[Work], ObjectInfo]:
    """Return the change that makes `new` an object, of the bucket with that id if it is given."""

    def change(work: Work) -> ObjectInfo:
        found = opened.resource(BUCKET, bucket)
        if bucket_id not in (None, found.id):
            raise NotFoundError(
                f"The bucket {bucket} was dropped and created again since the upload began.",
                next_step="Start the upload again.",
            )
        return objects.put(
            work,
            found,
            opened.fanout,
            new,
            opened.newest_key,
            if_revision,
            opened.files.delete,
        )

    return in_trace(change)


def start_put_file(
    projects: Projects[OpenProject],
    opened: OpenProject,
    bucket: str,
    content: bytes,
    named: Callable[[FileWriter], NewObject],
    if_revision: int | None,
) -> asyncio.Future[ObjectInfo]:
    """Write a file on a thread, which also queues the change: nothing is lost between."""
    waiter, context = Waiter.of_running_loop(), contextvars.copy_context()

    def work() -> None:
        writer = FileWriter(opened.files)
        try:
            writer.write(content)
            change = context.run(put_change, opened, bucket, named(writer), if_revision)
            opened.writer.enqueue(waiter, change, writer.discard)
        except Exception as error:  # noqa: BLE001 - carried to whoever waits
            writer.discard()
            answers = Answers()
            answers.add_error(waiter, error)
            answers.send()

    projects.start_in_thread(work)
    return waiter.future


def finished(
    writer: FileWriter, key: str, content_type: str, metadata: bytes, labels: bytes
) -> NewObject:
    """Return what was written as a new object: in the database if it is small, else its file."""
    small = writer.small() if writer.size <= limits.INLINE_BYTES else None
    name: str | None = None
    if small is not None:
        secret = small
    else:
        name, secret = writer.finish()
    return NewObject(
        key,
        writer.size,
        writer.sha256,
        content_type,
        metadata,
        secret,
        name,
        labels,
        writer.until,
    )


def commit(
    opened: OpenProject,
    bucket: str,
    new: NewObject,
    if_revision: int | None,
    writer: FileWriter,
    bucket_id: int,
) -> asyncio.Future[ObjectInfo]:
    """Queue the change that makes an upload an object; what was written goes if it is refused."""
    waiter = Waiter.of_running_loop()
    try:
        change = put_change(opened, bucket, new, if_revision, bucket_id)
        opened.writer.enqueue(waiter, change, writer.discard)
    except BaseException:
        writer.discard()
        raise
    return waiter.future


async def get(
    projects: Projects[OpenProject],
    opened: OpenProject,
    bucket: str,
    key: str,
    revision: int | None,
    offset: int,
    length: int | None,
) -> tuple[ObjectInfo, bytes]:
    """Return a piece of an object of at most MAX_PART bytes."""
    reading = Reading(bucket, key, revision, offset, length)
    read = await _get(projects, opened, reading)
    projects.damaged.read(opened.name, reading)
    return read


async def _get(
    projects: Projects[OpenProject], opened: OpenProject, reading: Reading
) -> tuple[ObjectInfo, bytes]:
    bucket, key, revision, offset, length = reading

    def ask(connection: Connection, found: Resource) -> tuple[int, FoundObject, bytes]:
        row = objects.find(connection, found, key, revision)
        with projects.damaged.noting(opened.name, reading):
            return found.id, row, _unseal(opened, bucket, row)

    for _ in range(_READ_TRIES):
        before = opened.recent.before_read()
        identity, row, secret = await _with_keys(
            projects, opened, lambda: opened.read_of(BUCKET, bucket, ask)
        )
        if revision is None:
            opened.recent.keep(before, identity, row)
        piece = _piece(row.info.size, offset, length)
        if row.file is None:
            return row.info, secret[offset : offset + piece]
        try:
            with projects.damaged.noting(opened.name, reading):
                content = await _read_file(projects, opened, row, secret, offset, piece)
        except FileNotFoundError:  # deleted or replaced between the two steps
            continue
        return row.info, content
    with projects.damaged.noting(opened.name, reading):
        raise DataCorruptError(
            "The file of an object is missing.", next_step="Restore the object from a backup."
        )


def get_recent(
    opened: OpenProject, bucket: str, key: str, offset: int, length: int | None
) -> tuple[ObjectInfo, bytes] | None:
    """Return what `get` would of the present revision if memory has it, else None."""
    row = opened.recent.find(opened.resource(BUCKET, bucket).id, key)
    if row is None:
        return None
    try:
        secret = _unseal(opened, bucket, row)
    except MissingKeyError:
        return None
    piece = _piece(row.info.size, offset, length)
    return row.info, secret[offset : offset + piece]


async def _read_file(
    projects: Projects[OpenProject],
    opened: OpenProject,
    row: FoundObject,
    key: bytes,
    offset: int,
    length: int,
) -> bytes:
    name, size = row.file or "", row.info.size
    return await projects.content_in_thread(
        lambda: read_range(opened.files, name, key, size, offset=offset, length=length)
    )


async def _with_keys(
    projects: Projects[OpenProject], opened: OpenProject, ask: Callable[[], Awaitable[T]]
) -> T:
    """Ask again with every older key that turns out to be needed."""
    while True:
        try:
            return await ask()
        except MissingKeyError as error:
            key = await projects.keys(opened.name, Purpose.OBJECTS, error.version)
            opened.add_key(key, newest=False)


def _unseal(opened: OpenProject, bucket: str, row: FoundObject) -> bytes:
    """Return the content of a small object, or the key of a large one's file."""
    context = context_of(opened.name, bucket, row.info.key, row.info.revision)
    key = opened.object_key(row.key_version)
    secret = key.open(row.sealed, context, file=row.file is not None)
    if len(secret) != (row.info.size if row.file is None else FILE_KEY_BYTES):
        raise DataCorruptError("An object's content has another size than it is said to have.")
    return secret


def _piece(size: int, offset: int, length: int | None) -> int:
    if offset > size:
        raise InvalidInputError(f"The offset is {offset}; the object has {size} bytes.")
    return min(size - offset, MAX_PART if length is None else length)
