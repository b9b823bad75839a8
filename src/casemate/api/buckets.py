"""Operations on buckets and their objects. Keys are in the query: they are data, not paths."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from casemate.api.authorization import named
from casemate.api.data_query import (
    DataQuery,
    limits_as_problems,
    revision_parameter,
    text_parameter,
    visible,
)
from casemate.api.inputs import Query, declared_length, path_name, too_large
from casemate.api.operations import Operation, Service, json_response, number_parameter
from casemate.api.problems import RequestError
from casemate.capabilities.labels import FROM_API
from casemate.data.interface import MAX_PAGE, ObjectInfo, ObjectPage
from casemate.model.errors import NotFoundError
from casemate.model.grant import BucketSpec
from casemate.model.principal import Action, ResourceKind

MAX_OBJECT_BODY = 64 << 20
"""Largest object that one request carries; functions write larger ones in parts."""
BINARY = "application/octet-stream"
_PART = 1 << 20
_bucket = named(ResourceKind.BUCKET, "bucket")


class Buckets(msgspec.Struct, frozen=True, kw_only=True):
    """The buckets of a project that the caller may list, by name."""

    buckets: tuple[BucketSpec, ...]


class ObjectRevisions(msgspec.Struct, frozen=True, kw_only=True):
    """The revisions of an object that are kept, newest first."""

    revisions: tuple[ObjectInfo, ...]


async def _list(request: Request, service: Service) -> Response:
    project = path_name(request, "project")
    Query(request).end()
    found = (await service.data.resources(project)).buckets
    return json_response(
        Buckets(
            buckets=tuple(
                spec
                for spec in found
                if visible(
                    request, service, Action.BUCKET_LIST, ResourceKind.BUCKET, project, spec.name
                )
            )
        )
    )


async def _drop(request: Request, service: Service) -> Response:
    project, bucket = path_name(request, "project"), path_name(request, "bucket")
    Query(request).end()
    await service.data.drop(project, "bucket", bucket)
    return Response(status_code=HTTPStatus.NO_CONTENT.value)


async def _list_objects(request: Request, service: Service) -> Response:
    project, bucket = path_name(request, "project"), path_name(request, "bucket")
    query = DataQuery(request)
    prefix, after = query.text("prefix") or "", query.text("after")
    delimiter, limit = query.text("delimiter"), query.limit()
    query.end()
    return json_response(
        await service.data.list_objects(
            project, bucket, prefix=prefix, after=after, limit=limit, delimiter=delimiter
        )
    )


async def _revisions(request: Request, service: Service) -> Response:
    project, bucket = path_name(request, "project"), path_name(request, "bucket")
    query = DataQuery(request)
    key = query.key()
    query.end()
    found = await service.data.object_revisions(project, bucket, key)
    return json_response(ObjectRevisions(revisions=found))


async def _get(request: Request, service: Service) -> Response:
    project, bucket = path_name(request, "project"), path_name(request, "bucket")
    query = DataQuery(request)
    key, revision = query.key(), query.revision("revision", 1)
    query.end()
    if request.method == "HEAD":
        info = await service.data.head_object(project, bucket, key, revision)
        return Response(headers=_headers(info))
    info, content = await service.data.get_object(
        project, bucket, key, revision=revision, length=_PART
    )
    if len(content) == info.size:
        return Response(content, headers=_headers(info))
    pieces = _pieces(service, project, bucket, info, content)
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
    service: Service, project: str, bucket: str, info: ObjectInfo, content: bytes
) -> AsyncIterator[bytes]:
    """Yield the whole of one revision. Should it be replaced meanwhile, the answer breaks off."""
    sent = 0
    while content:
        yield content
        sent += len(content)
        if sent >= info.size:
            return
        try:
            _, content = await service.data.get_object(
                project, bucket, info.key, revision=info.revision, offset=sent, length=_PART
            )
        except NotFoundError as error:
            raise RuntimeError("The object was replaced while it was sent.") from error


async def _put(request: Request, service: Service) -> Response:
    project, bucket = path_name(request, "project"), path_name(request, "bucket")
    query = DataQuery(request)
    key, if_revision = query.key(), query.revision("if_revision", 0)
    query.end()
    content_type = _content_type(request)
    declared_length(request, MAX_OBJECT_BODY)
    service.uploads.require()
    with service.uploads.counted(), limits_as_problems():
        info = await _receive(
            request, service, project, bucket, key, content_type, if_revision=if_revision
        )
    status = HTTPStatus.CREATED if info.revision == 1 else HTTPStatus.OK
    return json_response(info, status)


def _content_type(request: Request) -> str:
    values = request.headers.getlist("content-type")
    if len(values) > 1:
        raise RequestError(HTTPStatus.BAD_REQUEST, "The Content-Type is given more than once.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body has a Content-Encoding, expected none."
        )
    return values[0] if values else BINARY


async def _receive(
    request: Request,
    service: Service,
    project: str,
    bucket: str,
    key: str,
    content_type: str,
    *,
    if_revision: int | None,
) -> ObjectInfo:
    """Keep the body as an object: at once if it is short, else in parts as it comes."""
    data, upload, size = service.data, None, 0
    pending = bytearray()
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_OBJECT_BODY:
                raise too_large(MAX_OBJECT_BODY)
            pending += chunk
            while len(pending) > _PART:
                if upload is None:
                    upload = await data.begin_object(
                        project, bucket, key, content_type=content_type, metadata={}
                    )
                await data.add_part(project, bucket, upload, bytes(pending[:_PART]))
                del pending[:_PART]
        if upload is None:
            return await data.put_object(
                project,
                bucket,
                key,
                bytes(pending),
                content_type=content_type,
                if_revision=if_revision,
                labels=FROM_API,
            )
        await data.add_part(project, bucket, upload, bytes(pending))
        return await data.commit_object(
            project, bucket, upload, if_revision=if_revision, labels=FROM_API
        )
    except ClientDisconnect as error:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The object ended before it was complete."
        ) from error
    finally:
        if upload is not None:  # after a commit there is nothing left to forget
            await data.abort_object(project, bucket, upload)


async def _delete(request: Request, service: Service) -> Response:
    project, bucket = path_name(request, "project"), path_name(request, "bucket")
    query = DataQuery(request)
    key, if_revision = query.key(), query.revision("if_revision", 0)
    query.end()
    await service.data.delete_object(project, bucket, key, if_revision=if_revision)
    return Response(status_code=HTTPStatus.NO_CONTENT.value)


_PATH = "/buckets/{project}/{bucket}"
_KEY = text_parameter("key", "The object's key; required.", least=1)
_IF_REVISION = revision_parameter(
    "if_revision", "Only if this revision is present; 0: only if there is none.", minimum=0
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/buckets/{project}",
        id="listBuckets",
        tag="data",
        summary="List the buckets of a project that the caller may list",
        endpoint=_list,
        response=Buckets,
    ),
    Operation(
        method="DELETE",
        path=_PATH,
        id="dropBucket",
        tag="data",
        summary="Delete a bucket with all its objects",
        endpoint=_drop,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
        action=Action.BUCKET_DROP,
        resource=_bucket,
    ),
    Operation(
        method="GET",
        path=_PATH + "/objects",
        id="listObjects",
        tag="data",
        summary="List objects by key, in byte order",
        endpoint=_list_objects,
        query=(
            text_parameter("prefix", "Only keys that start with this."),
            text_parameter("after", "`after` of the page before."),
            text_parameter("delimiter", "Group keys by what they share up to this.", least=1),
            number_parameter(
                "limit", "How many to return.", default=100, minimum=1, maximum=MAX_PAGE
            ),
        ),
        response=ObjectPage,
        problems=(404, 422),
        action=Action.BUCKET_LIST,
        resource=_bucket,
    ),
    Operation(
        method="GET",
        path=_PATH + "/revisions",
        id="listRevisions",
        tag="data",
        summary="List the revisions of an object that are kept",
        endpoint=_revisions,
        query=(_KEY,),
        response=ObjectRevisions,
        problems=(404, 422),
        action=Action.BUCKET_LIST,
        resource=_bucket,
    ),
    Operation(
        method="GET",
        path=_PATH + "/object",
        id="getObject",
        tag="data",
        summary="Return the content of an object",
        description=(
            "The answer's type is always application/octet-stream; the object's own is in the "
            "header Casemate-Content-Type, its SHA-256 in Casemate-Sha256, its revision in ETag."
        ),
        endpoint=_get,
        query=(_KEY, revision_parameter("revision", "An older revision.", minimum=1)),
        response=bytes,
        response_media_type=BINARY,
        problems=(404, 422),
        action=Action.BUCKET_READ,
        resource=_bucket,
    ),
    Operation(
        method="PUT",
        path=_PATH + "/object",
        id="putObject",
        tag="data",
        summary="Write an object",
        description=(
            "The body is the content, at most 64 MiB, and its Content-Type becomes the object's. "
            "The object is there whole or not at all. 413 says that a limit of the bucket is "
            "reached."
        ),
        endpoint=_put,
        query=(_KEY, _IF_REVISION),
        has_body=True,
        body_media_type=BINARY,
        response=ObjectInfo,
        other_statuses=((HTTPStatus.CREATED, "It is the first revision.", ObjectInfo),),
        problems=(404, 409, 413, 415, 422, 429),
        action=Action.BUCKET_WRITE,
        resource=_bucket,
    ),
    Operation(
        method="DELETE",
        path=_PATH + "/object",
        id="deleteObject",
        tag="data",
        summary="Delete an object with its revisions",
        endpoint=_delete,
        query=(_KEY, _IF_REVISION),
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 409, 422),
        action=Action.BUCKET_DELETE,
        resource=_bucket,
    ),
)
