"""Objects of buckets in the database: revisions, conditions, limits, and pages of keys."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from casemate.data.content import ObjectKey, context_of
from casemate.data.errors import DataMediumError, LimitError
from casemate.data.fanout import Fanout
from casemate.data.limits import MAX_OBJECTS, successor
from casemate.data.recent import FoundObject
from casemate.data.registry import Resource
from casemate.data.tables import raise_floor
from casemate.data.terms import Terms, terms_of
from casemate.data.terms import now as now_of
from casemate.data.work import Work
from casemate.model.data import ObjectInfo, ObjectPage
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import BucketSpec
from casemate.sqlite.engine import Connection
from casemate.sqlite.transaction import one_state

_INFO = "key, revision, size, content_type, metadata, modified_at, sha256, labels"


class NewObject(NamedTuple):
    """What is to become an object: its content, or the file that holds it and that file's key."""

    key: str
    size: int
    sha256: str
    content_type: str
    metadata: bytes
    secret: bytes
    file: str | None = None
    labels: bytes = b""
    until: float = math.inf
    """When a file without a row may be swept, on the clock that counts while a machine sleeps."""


def spec_of(resource: Resource) -> BucketSpec:
    """Return a bucket's declaration."""
    if not isinstance(resource.spec, BucketSpec):
        raise InvalidInputError(f"{resource.name} is a {resource.kind}, expected a bucket.")
    return resource.spec


def require_size(spec: BucketSpec, size: int) -> None:
    """Refuse an object that is larger than its bucket allows."""
    if size > spec.max_object:
        raise LimitError(
            f"The object has {size} bytes; the bucket {spec.name} takes {spec.max_object}.",
            next_step="Raise max_object in the manifest and deploy, or split the object.",
        )


def require_total(spec: BucketSpec, total: int) -> None:
    """Refuse what would fill a bucket beyond its limit."""
    if total > spec.max_total:
        raise LimitError(
            f"The bucket {spec.name} would hold {total} bytes; its limit is {spec.max_total}.",
            next_step="Delete objects, or raise max_total in the manifest and deploy.",
        )


def put(
    work: Work,
    bucket: Resource,
    fanout: Fanout,
    new: NewObject,
    object_key: ObjectKey,
    if_revision: int | None,
    delete_files: Callable[[list[str]], None],
) -> ObjectInfo:
    """Make `new` the present revision; those beyond the number kept go.

    Raises ConflictError if a condition does not hold, LimitError.
    """
    spec, connection = spec_of(bucket), work.connection
    require_size(spec, new.size)
    if time.clock_gettime(time.CLOCK_BOOTTIME) > new.until:
        raise DataMediumError("The object's file waited too long to become an object.")
    kept = connection.execute(
        "SELECT id, revision, size, file FROM object WHERE bucket = ? AND key = ? "
        "ORDER BY revision DESC",
        (bucket.id, new.key),
    ).fetchall()
    present = kept[0][1] if kept else 0
    _require_revision(present, if_revision)
    floor, total, number = connection.execute(
        "SELECT floor, total, number FROM resource WHERE id = ?", (bucket.id,)
    ).fetchone()
    excess = kept[spec.versions - 1 :]
    total += new.size - sum(row[2] for row in excess)
    number += 1 - len(excess)
    require_total(spec, total)
    if number > MAX_OBJECTS:
        raise LimitError(f"The bucket {spec.name} holds {MAX_OBJECTS} objects, which is the most.")
    work.recent.drop(bucket.id, new.key)
    connection.executemany("DELETE FROM object WHERE id = ?", [(row[0],) for row in excess])
    if len(excess) < len(kept):
        connection.execute("UPDATE object SET present = 0 WHERE id = ?", (kept[0][0],))
    revision, now = (present or floor) + 1, now_of(connection)
    context = context_of(fanout.project, bucket.name, new.key, revision)
    sealed = object_key.seal(new.secret, context, file=new.file is not None)
    _insert(connection, bucket, new, revision, now, (object_key.version, sealed))
    connection.execute(
        "UPDATE resource SET total = ?, number = ? WHERE id = ?", (total, number, bucket.id)
    )
    _delete_after(work, [row[3] for row in excess], delete_files)
    info = ObjectInfo(
        key=new.key,
        revision=revision,
        size=new.size,
        content_type=new.content_type,
        metadata=msgspec.json.decode(new.metadata, type=dict[str, str]),
        modified_at=now,
        sha256=new.sha256,
        labels=new.labels,
    )
    if bucket.name in fanout.routes.buckets:
        fanout.object_changed(work, bucket.name, "created", info, now)
    return info


def _insert(
    connection: Connection,
    bucket: Resource,
    new: NewObject,
    revision: int,
    now: float,
    sealed: tuple[int, bytes],
) -> None:
    terms, place = terms_of(connection), (bucket.id, new.key, revision)
    connection.execute(
        f"INSERT INTO object (bucket, present, file, key_version, sealed, {_INFO}) "  # noqa: S608
        "VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            bucket.id,
            new.file,
            *sealed,
            new.key,
            revision,
            new.size,
            terms.seal_text(("object type", *place), new.content_type),
            terms.seal(("object metadata", *place, new.labels), new.metadata),
            now,
            terms.seal_text(("object digest", *place), new.sha256),
            terms.seal(("object labels", *place), new.labels),
        ),
    )


def delete(
    work: Work,
    bucket: Resource,
    fanout: Fanout,
    key: str,
    if_revision: int | None,
    delete_files: Callable[[list[str]], None],
) -> None:
    """Delete an object with its revisions. Raises ConflictError if a condition does not hold."""
    spec_of(bucket)
    connection = work.connection
    work.recent.drop(bucket.id, key)
    rows = connection.execute(
        f"DELETE FROM object WHERE bucket = ? AND key = ? RETURNING {_INFO}, file",  # noqa: S608
        (bucket.id, key),
    ).fetchall()
    last = max(rows, key=lambda row: row[1], default=None)
    newest = 0 if last is None else last[1]
    _require_revision(newest, if_revision)
    if last is None:
        return
    connection.execute(
        "UPDATE resource SET total = total - ?, number = number - ? WHERE id = ?",
        (sum(row[2] for row in rows), len(rows), bucket.id),
    )
    raise_floor(connection, bucket.id, newest)
    if bucket.name in fanout.routes.buckets:
        gone = _info(terms_of(connection), bucket.id, last[:-1])
        fanout.object_changed(work, bucket.name, "deleted", gone, now_of(connection))
    _delete_after(work, [row[-1] for row in rows], delete_files)


def head(connection: Connection, bucket: Resource, key: str, revision: int | None) -> ObjectInfo:
    """Return what is known of an object, without its content."""
    row = _select(connection, _INFO, bucket, key, revision)
    return _info(terms_of(connection), bucket.id, row)


def find(connection: Connection, bucket: Resource, key: str, revision: int | None) -> FoundObject:
    """Return an object as stored."""
    row = _select(connection, f"{_INFO}, key_version, file, sealed", bucket, key, revision)
    return FoundObject(_info(terms_of(connection), bucket.id, row[:8]), *row[8:])


def total(connection: Connection, bucket: Resource) -> int:
    """Return the bytes that a bucket holds."""
    row = connection.execute("SELECT total FROM resource WHERE id = ?", (bucket.id,)).fetchone()
    return int(row[0]) if row is not None else 0


def revisions(connection: Connection, bucket: Resource, key: str) -> tuple[ObjectInfo, ...]:
    """Return the revisions of an object that are kept, newest first."""
    spec_of(bucket)
    rows = connection.execute(
        f"SELECT {_INFO} FROM object WHERE bucket = ? AND key = ? "  # noqa: S608 - a constant
        "ORDER BY revision DESC",
        (bucket.id, key),
    ).fetchall()
    if not rows:
        raise _missing(bucket)
    terms = terms_of(connection)
    return tuple(_info(terms, bucket.id, row) for row in rows)


def page(
    connection: Connection,
    bucket: Resource,
    *,
    prefix: str,
    after: str | None,
    limit: int,
    delimiter: str | None,
) -> ObjectPage:
    """Return the next objects and common prefixes, by seeks: what is grouped is jumped over."""
    spec_of(bucket)
    listing = _Listing(bucket.id, prefix, limit, delimiter)
    if after is not None:
        listing.start_after(after)
    with one_state(connection):
        return listing.run(connection)


class _Listing:
    def __init__(self, bucket: int, prefix: str, limit: int, delimiter: str | None) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._limit = limit
        self._delimiter = delimiter
        self._end = successor(prefix)
        self._lower: str | None = prefix
        self._including = True
        self._objects: list[ObjectInfo] = []
        self._prefixes: list[str] = []
        self._last: str | None = None

    def start_after(self, after: str) -> None:
        group = self._group(after) if after.startswith(self._prefix) else None
        if group is not None:
            self._jump(group)
        elif after >= self._prefix:
            self._lower, self._including = after, False

    def run(self, connection: Connection) -> ObjectPage:
        more = True
        while more and self._lower is not None:
            more = self._run_to_group(connection)
        full = len(self._objects) + len(self._prefixes) >= self._limit
        after = self._last if full and self._exists_more(connection) else None
        return ObjectPage(objects=tuple(self._objects), prefixes=tuple(self._prefixes), after=after)

    def _run_to_group(self, connection: Connection) -> bool:
        """Take objects up to the next common prefix; return True if there may be more."""
        left = self._limit - len(self._objects) - len(self._prefixes)
        rows, terms = self._select(connection, _INFO, left), terms_of(connection)
        try:
            for row in rows:
                group = self._group(row[0])
                if group is not None:
                    self._prefixes.append(group)
                    self._last = group
                    self._jump(group)
                    return len(self._objects) + len(self._prefixes) < self._limit
                self._objects.append(_info(terms, self._bucket, row))
                self._last = self._lower = row[0]
                self._including = False
        finally:
            rows.close()
        return False

    def _exists_more(self, connection: Connection) -> bool:
        if self._lower is None:
            return False
        return self._select(connection, "1", 1).fetchone() is not None

    def _select(self, connection: Connection, columns: str, limit: int) -> Any:
        where = f"bucket = ? AND present = 1 AND key {'>=' if self._including else '>'} ?"
        values: list[Any] = [self._bucket, self._lower]
        if self._end is not None:
            where += " AND key < ?"
            values.append(self._end)
        return connection.execute(
            f"SELECT {columns} FROM object INDEXED BY object_present "  # noqa: S608 - constants
            f"WHERE {where} ORDER BY key LIMIT ?",
            (*values, limit),
        )

    def _group(self, key: str) -> str | None:
        """Return the common prefix that stands for `key`, None if it stands for itself."""
        if self._delimiter is None:
            return None
        at = key.find(self._delimiter, len(self._prefix))
        return None if at < 0 else key[: at + len(self._delimiter)]

    def _jump(self, group: str) -> None:
        self._lower, self._including = successor(group), True


def _select(
    connection: Connection, columns: str, bucket: Resource, key: str, revision: int | None
) -> Any:
    spec_of(bucket)
    which, values = ("present = 1", ()) if revision is None else ("revision = ?", (revision,))
    row = connection.execute(
        f"SELECT {columns} FROM object WHERE bucket = ? AND key = ? AND {which}",  # noqa: S608
        (bucket.id, key, *values),
    ).fetchone()
    if row is None:
        raise _missing(bucket)
    return row


def _missing(bucket: Resource) -> NotFoundError:
    return NotFoundError(
        f"The bucket {bucket.name} has no such object or revision.",
        next_step="Check the key; `casemate buckets objects` lists those that are there.",
    )


def _require_revision(present: int, expected: int | None) -> None:
    if expected is not None and present != expected:
        raise ConflictError(
            f"The object has revision {present}, expected {expected} (0: no object).",
            next_step="Read it again and decide again.",
        )


def _delete_after(
    work: Work, files: list[str | None], delete_files: Callable[[list[str]], None]
) -> None:
    names = [name for name in files if name is not None]
    if names:
        work.after_commit(lambda: delete_files(names))


def _info(terms: Terms, bucket: int, row: Any) -> ObjectInfo:
    key, revision, size, content_type, metadata, modified_at, sha256, labels = row
    place = (bucket, key, revision)
    labels = terms.open(("object labels", *place), labels)
    metadata = terms.open(("object metadata", *place, labels), metadata)
    return ObjectInfo(
        key=key,
        revision=revision,
        size=size,
        content_type=terms.open_text(("object type", *place), content_type),
        metadata=msgspec.json.decode(metadata, type=dict[str, str]),
        modified_at=modified_at,
        sha256=terms.open_text(("object digest", *place), sha256),
        labels=labels,
    )
