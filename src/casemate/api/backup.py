"""The operation that sends a backup of the whole node."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from casemate.api.inputs import Query
from casemate.api.operations import Operation, Service
from casemate.model.principal import Action

TAR = "application/x-tar"


class PreparedBackup(Protocol):
    """A backup that is ready to be sent, once. Close it in any case."""

    size: int
    """Bytes that `pieces` gives."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Give the archive."""
        ...

    async def close(self) -> None:
        """Remove what was kept for it."""
        ...


MakeBackup = Callable[[], Awaitable[PreparedBackup]]


class _BackupResponse(StreamingResponse):
    """Sends a backup and releases what it holds however the sending ends."""

    def __init__(self, backup: PreparedBackup, held: contextlib.AsyncExitStack) -> None:
        super().__init__(
            backup.pieces(),
            media_type=TAR,
            headers={
                "content-length": str(backup.size),
                "content-disposition": 'attachment; filename="casemate-backup.tar"',
                "cache-control": "no-store",
            },
        )
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


async def _get(request: Request, service: Service) -> Response:
    Query(request).end()
    if request.method == "HEAD":  # the length is known only once the backup is made
        return Response(media_type=TAR)
    service.backups.require()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(service.backups.counted())
        backup = await service.make_backup()
        stack.push_async_callback(backup.close)
        return _BackupResponse(backup, stack.pop_all())


OPERATIONS = (
    Operation(
        method="GET",
        path="/backup",
        id="backup",
        tag="node",
        summary="Send a backup of the whole node",
        description=(
            "A tar archive: `manifest.json` with the size and SHA-256 of every file, then the "
            "files, all of them encrypted. The master key is not in it. One at a time; 429 says "
            "that another one is being made. The node goes on serving meanwhile."
        ),
        endpoint=_get,
        response=bytes,
        response_media_type=TAR,
        action=Action.NODE_BACKUP,
        problems=(429, 503),
    ),
)
