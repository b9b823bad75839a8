"""Operations on bundles: ask for one, upload one."""

from __future__ import annotations

import asyncio
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import IO

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from casemate.api.authorization import function_of
from casemate.api.control import Deploys
from casemate.api.inputs import declared_length, require_media_type, too_large
from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.api.service import json_response
from casemate.model.principal import Action
from casemate.operations import bundles
from casemate.operations.bundles import HasBundle, PutBundle, Uploaded
from casemate.operations.declaration import GZIP

MAX_BUNDLE_BYTES = 512 * 1024 * 1024
_WRITE_BYTES = 1024 * 1024
"""The file is written in pieces of this size, off the event loop."""


performs = Performers()


def _deploys(call: Call) -> Deploys:
    def deploys(project: str, function: str) -> bool:
        return call.may(Action.FUNCTION_DEPLOY, function_of(project, function))

    return deploys


@performs(HasBundle)
async def _has(operation: HasBundle, call: Call) -> Response:
    held = await call.service.control.has_bundle(
        operation.digest, by=call.principal.text, deploys=_deploys(call)
    )
    status = HTTPStatus.OK if held else HTTPStatus.NOT_FOUND
    return Response(status_code=status.value)


@performs(PutBundle)
async def _put(operation: PutBundle, call: Call) -> Response:
    request, service = call.request, call.service
    require_media_type(request, GZIP)
    declared_length(request, MAX_BUNDLE_BYTES)
    service.uploads.require()
    with (
        service.uploads.counted(),
        tempfile.NamedTemporaryFile(dir=service.spool, prefix="upload-", suffix=".tar.gz") as file,
    ):
        size = await _receive(request, file)
        added = await service.control.put_bundle(
            operation.digest, Path(file.name), by=call.principal.text, deploys=_deploys(call)
        )
    status = HTTPStatus.CREATED if added else HTTPStatus.OK
    return json_response(Uploaded(digest=operation.digest, size=size), status)


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


OPERATIONS = all_served(bundles, performs)
