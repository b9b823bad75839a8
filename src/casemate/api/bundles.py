"""Operations on bundles: ask for one, upload one."""

from __future__ import annotations

import tempfile
from http import HTTPStatus
from pathlib import Path

from starlette.responses import Response

from casemate.api.authorization import function_of
from casemate.api.control import Deploys
from casemate.api.inputs import declared_length, receive, require_media_type
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.api.service import json_response
from casemate.model.bundle import MAX_ARCHIVE_BYTES
from casemate.model.principal import Action
from casemate.operations import bundles
from casemate.operations.bundles import (
    FindPieces,
    FoundPieces,
    HasBundle,
    PutBundle,
    Uploaded,
)
from casemate.operations.declaration import GZIP

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


@performs(FindPieces)
async def _find_pieces(operation: FindPieces, call: Call) -> FoundPieces:
    found = await call.service.control.find_pieces(
        operation.project,
        operation.function,
        operation.digests,
        by=call.principal.text,
        deploys=_deploys(call),
    )
    return FoundPieces(digests=tuple(one for one in operation.digests if one in found))


@performs(PutBundle)
async def _put(operation: PutBundle, call: Call) -> Response:
    request, service = call.request, call.service
    require_media_type(request, GZIP)
    declared = declared_length(request, MAX_ARCHIVE_BYTES)
    service.uploads.require(call.answerable)
    # Before half a gigabyte is received for nothing.
    await service.control.require_room(
        operation.digest, declared, by=call.principal.text, deploys=_deploys(call)
    )
    with (
        service.uploads.counted(call.answerable),
        tempfile.NamedTemporaryFile(dir=service.spool, prefix="upload-", suffix=".tar.gz") as file,
    ):
        size = await receive(request, file, MAX_ARCHIVE_BYTES)
        added = await service.control.put_bundle(
            operation.digest,
            Path(file.name),
            by=call.principal.text,
            deploys=_deploys(call),
            partial=operation.partial,
        )
    status = HTTPStatus.CREATED if added else HTTPStatus.OK
    return json_response(Uploaded(digest=operation.digest, size=size), status)


OPERATIONS = all_served(bundles, performs)
