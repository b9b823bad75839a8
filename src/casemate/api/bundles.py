"""Operations on bundles: ask for one, upload one."""

from __future__ import annotations

import asyncio
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import IO

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from casemate.api.authorization import function_of, principal
from casemate.api.control import Deploys
from casemate.api.inputs import Query, declared_length, path_digest, require_media_type, too_large
from casemate.api.operations import GZIP, Operation, Service, json_response
from casemate.api.problems import RequestError
from casemate.model.principal import NODE, Action, Resource, ResourceKind

MAX_BUNDLE_BYTES = 512 * 1024 * 1024
_WRITE_BYTES = 1024 * 1024
"""The file is written in pieces of this size, off the event loop."""


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that the node holds now."""

    digest: str
    size: int
    """Bytes of the archive as received."""


def _require_deployer(request: Request, service: Service) -> None:
    """Let in who may deploy any function: a bundle belongs to none until it is deployed."""
    asking = principal(request)
    wanted = [NODE] + [
        function_of(binding.project, binding.function)
        if binding.function is not None
        else Resource(kind=ResourceKind.PROJECT, project=binding.project)
        for binding in asking.bindings
        if binding.project is not None
    ]
    if not any(service.may(request, Action.FUNCTION_DEPLOY, resource) for resource in wanted):
        service.require(request, Action.FUNCTION_DEPLOY, NODE)


def _deploys(request: Request, service: Service) -> Deploys:
    def deploys(project: str, function: str) -> bool:
        return service.may(request, Action.FUNCTION_DEPLOY, function_of(project, function))

    return deploys


async def _has(request: Request, service: Service) -> Response:
    _require_deployer(request, service)
    digest = path_digest(request)
    Query(request).end()
    held = await service.control.has_bundle(
        digest, by=principal(request).text, deploys=_deploys(request, service)
    )
    status = HTTPStatus.OK if held else HTTPStatus.NOT_FOUND
    return Response(status_code=status.value)


async def _put(request: Request, service: Service) -> Response:
    _require_deployer(request, service)
    digest = path_digest(request)
    Query(request).end()
    require_media_type(request, GZIP)
    declared_length(request, MAX_BUNDLE_BYTES)
    service.uploads.require()
    with (
        service.uploads.counted(),
        tempfile.NamedTemporaryFile(dir=service.spool, prefix="upload-", suffix=".tar.gz") as file,
    ):
        size = await _receive(request, file)
        added = await service.control.put_bundle(
            digest,
            Path(file.name),
            by=principal(request).text,
            deploys=_deploys(request, service),
        )
    status = HTTPStatus.CREATED if added else HTTPStatus.OK
    return json_response(Uploaded(digest=digest, size=size), status)


async def _receive(request: Request, file: IO[bytes]) -> int:
    """Write the body to `file` and return its size; cut it off at the limit."""
    size = 0
    pending = bytearray()
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BUNDLE_BYTES:
                raise too_large(MAX_BUNDLE_BYTES)
            pending += chunk
            if len(pending) >= _WRITE_BYTES:
                await asyncio.to_thread(file.write, bytes(pending))
                pending.clear()
    except ClientDisconnect as error:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The archive ended before it was complete."
        ) from error
    await asyncio.to_thread(file.write, bytes(pending))
    await asyncio.to_thread(file.flush)
    return size


OPERATIONS = (
    Operation(
        method="HEAD",
        path="/bundles/{digest}",
        id="hasBundle",
        tag="bundles",
        summary="Tell whether the node holds a bundle that one has uploaded or may deploy",
        endpoint=_has,
        problems=(404,),
    ),
    Operation(
        method="PUT",
        path="/bundles/{digest}",
        id="putBundle",
        tag="bundles",
        summary="Upload a bundle",
        description=(
            "The body is the bundle's tar.gz archive of at most 512 MiB. Every path and hash in "
            "it is checked; 422 says that it is not the bundle that the digest names. What is not "
            "deployed within an hour is deleted; 429 says that too much waits for a deploy."
        ),
        endpoint=_put,
        has_body=True,
        body_media_type=GZIP,
        status=HTTPStatus.CREATED,
        response=Uploaded,
        other_statuses=((HTTPStatus.OK, "The node held the bundle already.", Uploaded),),
        problems=(409, 413, 415, 422, 429),
    ),
)
