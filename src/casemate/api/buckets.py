"""Operations on buckets that are not the data's alone: objects come and go in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from casemate.api.held_response import while_allowed
from casemate.api.inputs import declared_length, too_large
from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.service import json_response
from casemate.capabilities.labels import FROM_API
from casemate.data.errors import LimitError
from casemate.data.interface import ObjectInfo, ProjectData
from casemate.model.errors import NotFoundError
from casemate.model.principal import Action, ResourceKind
from casemate.operations.declaration import BINARY
from casemate.operations.objects import (
    AbortObject,
    AddPart,
    BeginObject,
    Buckets,
    CommitObject,
    GetObject,
    HeadObject,
    ListBuckets,
    PutObject,
    ReadObject,
    WriteObject,
)

MAX_OBJECT_BODY = 64 << 20
"""Largest object that one request carries; functions write larger ones in parts."""
_PART = 1 << 20

performs = Performers()


@performs(ListBuckets)
async def _list(operation: ListBuckets, call: Call) -> Buckets:
    found, project = await call.service.data.read(operation), operation.project
    return Buckets(
        buckets=call.shown(Action.BUCKET_LIST, ResourceKind.BUCKET, project, found.buckets)
    )


@performs(GetObject)
async def _get(operation: GetObject, call: Call) -> Response:
    data = call.service.data
    project, bucket = operation.project, operation.bucket
    key, revision = operation.key, operation.revision
    if call.request.method == "HEAD":
        head = HeadObject(project=project, bucket=bucket, key=key, revision=revision)
        return Response(headers=_headers(await data.read(head)))
    first = ReadObject(project=project, bucket=bucket, key=key, revision=revision, length=_PART)
    info, content = await data.read(first)
    if len(content) == info.size:
        return Response(content, headers=_headers(info))
    pieces = while_allowed(_pieces(data, first, info, content), call.still)
    return StreamingResponse(pieces, headers=_headers(info))


def _headers(info: ObjectInfo) -> dict[str, str]:
    """Return headers that let no browser take an object for a page of this node."""
    return {
        "content-type": BINARY,
        "content-length": str(info.size),
        "content-disposition": "attachment",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "etag": f'"{info.revision}"',
        "casemate-content-type": info.content_type,
        "casemate-sha256": info.sha256,
    }


async def _pieces(
    data: ProjectData, first: ReadObject, info: ObjectInfo, content: bytes
) -> AsyncIterator[bytes]:
    """Yield the whole of one revision. Should it be replaced meanwhile, the answer breaks off."""
    sent = 0
    while content:
        yield content
        sent += len(content)
        if sent >= info.size:
            return
        following = ReadObject(
            project=first.project,
            bucket=first.bucket,
            key=first.key,
            revision=info.revision,
            offset=sent,
            length=_PART,
        )
        try:
            _, content = await data.read(following)
        except NotFoundError as error:
            raise RuntimeError("The object was replaced while it was sent.") from error


@performs(PutObject)
async def _put(operation: PutObject, call: Call) -> Response:
    content_type = _content_type(call.request)
    declared_length(call.request, MAX_OBJECT_BODY)
    call.service.uploads.require(call.answerable)
    with call.service.uploads.counted(call.answerable), _limits_as_problems():
        info = await _receive(operation, call, content_type)
    status = HTTPStatus.CREATED if info.revision == 1 else HTTPStatus.OK
    return json_response(info, status)


@contextmanager
def _limits_as_problems() -> Iterator[None]:
    """Answer a limit that is reached with 413."""
    try:
        yield
    except LimitError as error:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.message, next_step=error.next_step
        ) from error


def _content_type(request: Request) -> str:
    values = request.headers.getlist("content-type")
    if len(values) > 1:
        raise RequestError(HTTPStatus.BAD_REQUEST, "The Content-Type is given more than once.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body has a Content-Encoding, expected none."
        )
    return values[0] if values else BINARY


async def _receive(operation: PutObject, call: Call, content_type: str) -> ObjectInfo:
    """Keep the body as an object: at once if it is short, else in parts as it comes."""
    data, upload, size = call.service.data, None, 0
    project, bucket, key = operation.project, operation.bucket, operation.key
    pending = bytearray()
    try:
        async for chunk in call.request.stream():
            size += len(chunk)
            if size > MAX_OBJECT_BODY:
                raise too_large(MAX_OBJECT_BODY)
            pending += chunk
            while len(pending) > _PART:
                if upload is None:
                    begin = BeginObject(
                        project=project, bucket=bucket, key=key, content_type=content_type
                    )
                    upload = (await data.change(begin)).upload
                part = bytes(pending[:_PART])
                await data.change(
                    AddPart(project=project, bucket=bucket, upload=upload, content=part)
                )
                del pending[:_PART]
        if upload is None:
            return await data.change(
                WriteObject(
                    project=project,
                    bucket=bucket,
                    key=key,
                    content=bytes(pending),
                    content_type=content_type,
                    if_revision=operation.if_revision,
                    labels=FROM_API,
                )
            )
        await data.change(
            AddPart(project=project, bucket=bucket, upload=upload, content=bytes(pending))
        )
        return await data.change(
            CommitObject(
                project=project,
                bucket=bucket,
                upload=upload,
                if_revision=operation.if_revision,
                labels=FROM_API,
            )
        )
    except ClientDisconnect as error:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The object ended before it was complete."
        ) from error
    finally:
        if upload is not None:  # after a commit there is nothing left to forget
            await data.change(AbortObject(project=project, bucket=bucket, upload=upload))
