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
from casemate.model.errors import CasemateError, InvalidInputError, NotFoundError
from casemate.model.granted import CompiledGrants
from casemate.runner.channel import (
    CapabilityError,
    ConflictError,
    DeniedError,
    InvalidError,
    LimitError,
    UnavailableError,
)
from casemate.runner.channel import NotFoundError as NotFound
from casemate.testing.memory import MemoryBucket, MemoryMessages, MemoryTable, StoredItem

Handler = Callable[[Any], Any]
Reply = tuple[dict[str, Any], bytes, int | None]
_OF_AN_UPLOAD = (requests.AddPart, requests.CommitObject, requests.AbortObject)
"""What is allowed by having been allowed to begin the upload."""
_ERRORS: dict[str, type[CapabilityError]] = {
    "denied": DeniedError,
    "not-found": NotFound,
    "conflict": ConflictError,
    "invalid": InvalidError,
    "limit": LimitError,
    "unavailable": UnavailableError,
}


class Fakes(msgspec.Struct, kw_only=True):
    """What a project has, in memory."""

    buckets: Mapping[str, MemoryBucket]
    tables: Mapping[str, MemoryTable]
    queues: Mapping[str, MemoryMessages]
    topics: Mapping[str, MemoryMessages]
    secrets: dict[str, bytes] = {}
    functions: dict[str, Handler] = {}


def _of(found: Mapping[str, Any], kind: str, name: str) -> Any:
    if name not in found:
        raise NotFoundError(f"There is no {kind} {name} in the project.")
    return found[name]


class FakeChannel:
    """Stands in the place of `casemate.runner.channel.Channel`."""

    def __init__(self, fakes: Fakes, grants: CompiledGrants, function: str) -> None:
        """Serve one function's uses."""
        self._fakes = fakes
        self._grants = grants
        self._function = function
        self._number = 0
        self.uses: list[str] = []
        """What was used, such as `bucket.put`, in order."""

    def labels_of(self, value: object) -> str | None:
        """There is no sink guard that would follow data."""
        return None

    def came(self, source: str, value: object, labels: object) -> None:
        """There is no sink guard that would follow data."""

    def call(self, operation: str, body: bytes = b"", **arguments: object) -> Reply:
        """Answer one request. Raises CapabilityError."""
        self._number += 1
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            head = msgspec.json.encode({**given, "op": operation, "n": self._number})
            request = requests.decode(head)
        except (TypeError, ValueError, RecursionError) as error:
            # On a node this ends the instance: it is no mistake that a handler can make there.
            raise InvalidError(f"a node does not take this {operation}: {error}") from error
        self.uses.append(operation)
        try:
            if not isinstance(request, requests.IdentityToken):
                self._require_granted(request)
            return _PERFORM[type(request)](self._fakes, request, body)
        except CasemateError as error:
            raise _ERRORS.get(code_of(error) or "", CapabilityError)(error.message) from None

    def _require_granted(self, request: requests.GrantedRequest) -> None:
        kind, name, action, key = request.grant
        if (
            not isinstance(request, _OF_AN_UPLOAD)
            and self._grants.find(kind, name, action, key) is None
        ):
            where = f" for {key!r}" if key else ""
            raise DeniedError(
                f"{self._function} is not granted {action} on {kind.value} {name}{where}"
            )


def _fields(item: StoredItem) -> dict[str, Any]:
    return {"value": item.value, "revision": item.revision, "modified_at": item.modified_at}


def _get_object(fakes: Fakes, r: requests.GetObject, _: bytes) -> Reply:
    found = _of(fakes.buckets, "bucket", r.bucket).get(r.key, r.revision)
    end = None if r.length is None else r.offset + r.length
    return found.fields, found.content[r.offset : end], None


def _head_object(fakes: Fakes, r: requests.HeadObject, _: bytes) -> Reply:
    return _of(fakes.buckets, "bucket", r.bucket).get(r.key, r.revision).fields, b"", None


def _put_object(fakes: Fakes, r: requests.PutObject, body: bytes) -> Reply:
    bucket = _of(fakes.buckets, "bucket", r.bucket)
    return bucket.put(r.key, body, r.content_type, r.metadata, r.if_revision).fields, b"", None


def _begin_object(fakes: Fakes, r: requests.BeginObject, _: bytes) -> Reply:
    bucket = _of(fakes.buckets, "bucket", r.bucket)
    upload = f"upload-{len(bucket.uploads) + 1}"
    bucket.uploads[upload] = (r.key, r.content_type, r.metadata, bytearray())
    return {"upload": upload}, b"", None


def _add_part(fakes: Fakes, r: requests.AddPart, body: bytes) -> Reply:
    content = _of(_of(fakes.buckets, "bucket", r.bucket).uploads, "upload", r.upload)[3]
    content += body
    return {"size": len(content)}, b"", None


def _commit_object(fakes: Fakes, r: requests.CommitObject, _: bytes) -> Reply:
    bucket = _of(fakes.buckets, "bucket", r.bucket)
    key, content_type, metadata, content = _of(bucket.uploads, "upload", r.upload)
    stored = bucket.put(key, bytes(content), content_type, metadata, r.if_revision)
    del bucket.uploads[r.upload]
    return stored.fields, b"", None


def _abort_object(fakes: Fakes, r: requests.AbortObject, _: bytes) -> Reply:
    _of(fakes.buckets, "bucket", r.bucket).uploads.pop(r.upload, None)
    return {}, b"", None


def _delete_object(fakes: Fakes, r: requests.DeleteObject, _: bytes) -> Reply:
    _of(fakes.buckets, "bucket", r.bucket).delete(r.key, r.if_revision)
    return {}, b"", None


def _list_objects(fakes: Fakes, r: requests.ListObjects, _: bytes) -> Reply:
    bucket = _of(fakes.buckets, "bucket", r.bucket)
    page, more = bucket.list(r.prefix, r.after, r.limit)
    after = page[-1].key if more else None
    return {"objects": [one.fields for one in page], "after": after}, b"", None


def _get_item(fakes: Fakes, r: requests.GetItem, _: bytes) -> Reply:
    item = _of(fakes.tables, "table", r.table).get(r.key, r.sort)
    return {}, msgspec.json.encode(_fields(item)), None


def _put_item(fakes: Fakes, r: requests.PutItem, body: bytes) -> Reply:
    value = msgspec.json.decode(body)
    if not isinstance(value, dict):
        raise InvalidInputError("An item is a JSON object.")
    item = _of(fakes.tables, "table", r.table).put(value, r.if_revision)
    return {**_fields(item), "value": {}}, b"", None


def _delete_item(fakes: Fakes, r: requests.DeleteItem, _: bytes) -> Reply:
    _of(fakes.tables, "table", r.table).delete(r.key, r.sort, r.if_revision)
    return {}, b"", None


def _query_items(fakes: Fakes, r: requests.QueryItems, _: bytes) -> Reply:
    table = _of(fakes.tables, "table", r.table)
    found = table.query(r.key, r.index, r.sort, descending=r.descending)
    start = int(r.after or "0")
    end = start + r.limit
    told = {
        "items": [_fields(item) for item in found[start:end]],
        "after": str(end) if end < len(found) else None,
    }
    return {}, msgspec.json.encode(told), None


def _send(fakes: Fakes, r: requests.SendMessage, body: bytes) -> Reply:
    identity = _of(fakes.queues, "queue", r.queue).send(
        r.deduplication,
        data=msgspec.json.decode(body),
        attributes=r.attributes or {},
        key=r.key,
        delay=r.delay,
        priority=r.priority,
    )
    return {"id": identity}, b"", None


def _publish(fakes: Fakes, r: requests.PublishMessage, body: bytes) -> Reply:
    identity = _of(fakes.topics, "topic", r.topic).send(
        r.deduplication, data=msgspec.json.decode(body), attributes=r.attributes or {}
    )
    return {"id": identity}, b"", None


def _secret(fakes: Fakes, r: requests.GetSecret, _: bytes) -> Reply:
    value = _of(fakes.secrets, "secret", r.name)
    reading, writing = os.pipe2(os.O_CLOEXEC)  # 64 KiB, the most that a secret has, fit into it
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(value)
    return {"version": r.version or 1}, b"", reading


def _invoke(fakes: Fakes, r: requests.InvokeFunction, body: bytes) -> Reply:
    result = _of(fakes.functions, "function", r.function)(msgspec.json.decode(body))
    told = result if r.wait else {"id": "inv_test"}
    return {"status": 200, "type": "application/json"}, msgspec.json.encode(told), None


def _identity_token(_fakes: Fakes, r: requests.IdentityToken, _: bytes) -> Reply:
    """Return what no verifier takes for a token: nothing signs here."""
    return {"token": f"test-token-for:{r.audience}", "expires_at": 0.0}, b"", None


_PERFORM: dict[type, Callable[[Fakes, Any, bytes], Reply]] = {
    requests.GetObject: _get_object,
    requests.HeadObject: _head_object,
    requests.PutObject: _put_object,
    requests.BeginObject: _begin_object,
    requests.AddPart: _add_part,
    requests.CommitObject: _commit_object,
    requests.AbortObject: _abort_object,
    requests.DeleteObject: _delete_object,
    requests.ListObjects: _list_objects,
    requests.GetItem: _get_item,
    requests.PutItem: _put_item,
    requests.DeleteItem: _delete_item,
    requests.QueryItems: _query_items,
    requests.SendMessage: _send,
    requests.PublishMessage: _publish,
    requests.GetSecret: _secret,
    requests.InvokeFunction: _invoke,
    requests.IdentityToken: _identity_token,
}
