"""The host's side of a function's uses, in memory: what a real channel sends is decided here.

A request is encoded as the runner does and decoded as the node does, so that what a node would
refuse for its form is refused in a test; then the manifest's grants are asked, by the node's code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from casemate.capabilities import requests
from casemate.capabilities.errors import code_of
from casemate.data.item_content import item_of
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.granted import CompiledGrants
from casemate.operations.declaration import Operation
from casemate.operations.items import DeleteItem, GetItem, PutItem, QueryItems
from casemate.operations.messages import PublishMessage, SendMessage
from casemate.operations.objects import (
    AbortObject,
    AddPart,
    BeginObject,
    CommitObject,
    DeleteObject,
    HeadObject,
    ListObjects,
    ReadObject,
    WriteObject,
)
from casemate.operations.uses import IdentityToken, InvokeFunction, ReadSecret
from casemate.runner.channel import ERRORS, CapabilityError, DeniedError, InvalidError
from casemate.testing.memory import MemoryBucket, MemoryMessages, MemoryTable, StoredItem

Handler = Callable[[Any], Any]
Reply = tuple[dict[str, Any], bytes, int | None]
_OF_AN_UPLOAD = (AddPart, CommitObject, AbortObject)
"""What is allowed by having been allowed to begin the upload."""


class Fakes(msgspec.Struct, kw_only=True):
    """What a project has, in memory."""

    buckets: Mapping[str, MemoryBucket]
    tables: Mapping[str, MemoryTable]
    queues: Mapping[str, MemoryMessages]
    topics: Mapping[str, MemoryMessages]
    secrets: dict[str, list[bytes]] = {}
    """Values, the newest last: the first is version 1."""
    functions: dict[str, Handler] = {}


def _of(found: Mapping[str, Any], kind: str, name: str) -> Any:
    if name not in found:
        raise NotFoundError(f"There is no {kind} {name} in the project.")
    return found[name]


class FakeChannel:
    """Stands in the place of `casemate.runner.channel.Channel`."""

    def __init__(self, fakes: Fakes, grants: CompiledGrants, project: str, function: str) -> None:
        """Serve one function's uses."""
        self._fakes = fakes
        self._project = project
        self._grants = grants
        self._function = function
        self._number = 0
        self.uses: list[str] = []
        """What was used, such as `bucket.put`, in order."""

    def labels_of(self, value: object) -> str | None:
        """There is no sink guard that would follow data."""
        return None

    def storing(self, key: str, content: str | bytes, content_type: str) -> None:
        """There is no sink guard that would judge it."""

    def came(self, source: str, value: object, labels: object) -> None:
        """There is no sink guard that would follow data."""

    def call(self, operation: str, body: bytes = b"", **arguments: object) -> Reply:
        """Answer one request. Raises CapabilityError."""
        self._number += 1
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            head = msgspec.json.encode({**given, "op": operation, "n": self._number})
            asked = requests.decode(head)
        except (TypeError, ValueError, RecursionError) as error:
            # On a node this ends the instance: it is no mistake that a handler can make there.
            raise InvalidError(f"a node does not take this {operation}: {error}") from error
        self.uses.append(operation)
        try:
            self._require_granted(asked)
            wanted = requests.read(self._project, asked, body)
            return _PERFORM[type(wanted)](self._fakes, wanted)
        except CasemateError as error:
            raise ERRORS.get(code_of(error) or "", CapabilityError)(error.message) from None

    def _require_granted(self, asked: Any) -> None:
        wanted = requests.wanted(asked)
        if wanted is None or requests.kind_of(asked) in _OF_AN_UPLOAD:
            return
        kind, name, action, key = wanted
        if self._grants.find(kind, name, action, key) is None:
            where = f" for {key!r}" if key else ""
            raise DeniedError(
                f"{self._function} is not granted {action} on {kind.value} {name}{where}"
            )


def _fields(item: StoredItem) -> dict[str, Any]:
    return {"value": item.value, "revision": item.revision, "modified_at": item.modified_at}


def _get_object(fakes: Fakes, r: ReadObject) -> Reply:
    found = _of(fakes.buckets, "bucket", r.bucket).get(r.key, r.revision)
    end = None if r.length is None else r.offset + r.length
    return found.fields, found.content[r.offset : end], None


def _head_object(fakes: Fakes, r: HeadObject) -> Reply:
    return _of(fakes.buckets, "bucket", r.bucket).get(r.key, r.revision).fields, b"", None


def _put_object(fakes: Fakes, r: WriteObject) -> Reply:
    bucket = _of(fakes.buckets, "bucket", r.bucket)
    return bucket.put(r.key, r.content, r.content_type, r.metadata, r.if_revision).fields, b"", None


def _begin_object(fakes: Fakes, r: BeginObject) -> Reply:
    bucket = _of(fakes.buckets, "bucket", r.bucket)
    upload = f"upload-{len(bucket.uploads) + 1}"
    bucket.uploads[upload] = (r.key, r.content_type, r.metadata, bytearray())
    return {"upload": upload}, b"", None


def _add_part(fakes: Fakes, r: AddPart) -> Reply:
    content = _of(_of(fakes.buckets, "bucket", r.bucket).uploads, "upload", r.upload)[3]
    content += r.content
    return {"size": len(content)}, b"", None


def _commit_object(fakes: Fakes, r: CommitObject) -> Reply:
    bucket = _of(fakes.buckets, "bucket", r.bucket)
    key, content_type, metadata, content = _of(bucket.uploads, "upload", r.upload)
    stored = bucket.put(key, bytes(content), content_type, metadata, r.if_revision)
    del bucket.uploads[r.upload]
    return stored.fields, b"", None


def _abort_object(fakes: Fakes, r: AbortObject) -> Reply:
    _of(fakes.buckets, "bucket", r.bucket).uploads.pop(r.upload, None)
    return {}, b"", None


def _delete_object(fakes: Fakes, r: DeleteObject) -> Reply:
    _of(fakes.buckets, "bucket", r.bucket).delete(r.key, r.if_revision)
    return {}, b"", None


def _list_objects(fakes: Fakes, r: ListObjects) -> Reply:
    bucket = _of(fakes.buckets, "bucket", r.bucket)
    page, more = bucket.list(r.prefix, r.after, r.limit)
    after = page[-1].key if more else None
    return {"objects": [one.fields for one in page], "after": after}, b"", None


def _get_item(fakes: Fakes, r: GetItem) -> Reply:
    item = _of(fakes.tables, "table", r.table).get(r.key, r.sort)
    return {}, msgspec.json.encode(_fields(item)), None


def _put_item(fakes: Fakes, r: PutItem) -> Reply:
    item = _of(fakes.tables, "table", r.table).put(item_of(r.content), r.if_revision)
    return {**_fields(item), "value": {}}, b"", None


def _delete_item(fakes: Fakes, r: DeleteItem) -> Reply:
    _of(fakes.tables, "table", r.table).delete(r.key, r.sort, r.if_revision)
    return {}, b"", None


def _query_items(fakes: Fakes, r: QueryItems) -> Reply:
    table = _of(fakes.tables, "table", r.table)
    found = table.query(r.key, r.index, r.sort, descending=r.descending)
    start = int(r.after or "0")
    end = start + r.limit
    told = {
        "items": [_fields(item) for item in found[start:end]],
        "after": str(end) if end < len(found) else None,
    }
    return {}, msgspec.json.encode(told), None


def _send(fakes: Fakes, r: SendMessage) -> Reply:
    identity = _of(fakes.queues, "queue", r.queue).send(
        r.deduplication,
        data=msgspec.json.decode(r.content),
        attributes=r.attributes or {},
        key=r.key,
        delay=r.delay,
        priority=r.priority,
    )
    return {"id": identity}, b"", None


def _publish(fakes: Fakes, r: PublishMessage) -> Reply:
    identity = _of(fakes.topics, "topic", r.topic).send(
        r.deduplication, data=msgspec.json.decode(r.content), attributes=r.attributes or {}
    )
    return {"id": identity}, b"", None


def _secret(fakes: Fakes, r: ReadSecret) -> Reply:
    values = _of(fakes.secrets, "secret", r.name)
    version = len(values) if r.version is None else r.version
    if not 1 <= version <= len(values):
        raise NotFoundError(f"The secret {r.name} has no version {version} in the project.")
    reading, writing = os.pipe2(os.O_CLOEXEC)  # 64 KiB, the most that a secret has, fit into it
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(values[version - 1])
    return {"version": version}, b"", reading


def _invoke(fakes: Fakes, r: InvokeFunction) -> Reply:
    result = _of(fakes.functions, "function", r.function)(msgspec.json.decode(r.content))
    told = result if r.wait else {"id": "inv_test"}
    return {"status": 200, "type": "application/json"}, msgspec.json.encode(told), None


def _identity_token(_fakes: Fakes, r: IdentityToken) -> Reply:
    """Return what no verifier takes for a token: nothing signs here."""
    return {"token": f"test-token-for:{r.audience}", "expires_at": 0.0}, b"", None


_PERFORM: dict[type[Operation[Any]], Callable[[Fakes, Any], Reply]] = {
    ReadObject: _get_object,
    HeadObject: _head_object,
    WriteObject: _put_object,
    BeginObject: _begin_object,
    AddPart: _add_part,
    CommitObject: _commit_object,
    AbortObject: _abort_object,
    DeleteObject: _delete_object,
    ListObjects: _list_objects,
    GetItem: _get_item,
    PutItem: _put_item,
    DeleteItem: _delete_item,
    QueryItems: _query_items,
    SendMessage: _send,
    PublishMessage: _publish,
    ReadSecret: _secret,
    InvokeFunction: _invoke,
    IdentityToken: _identity_token,
}
