"""The operation that sends a backup of the whole node."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import Response
from starlette.types import Send

from casemate.api.held_response import HeldResponse, while_allowed
from casemate.api.performing import Call, Performers, tell
from casemate.api.served import all_served
from casemate.model.errors import CasemateError
from casemate.model.still import require_still
from casemate.operations import backup
from casemate.operations.declaration import TAR
from casemate.operations.form import form_of
from casemate.operations.node import KeepNodeValue

BACKUP_MADE = "backup made"
"""Name of the node value that says when a backup was last fetched whole."""


class _BackupResponse(HeldResponse):
    """Sends a backup, and notes that it was sent whole."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        size: int,
        held: contextlib.AsyncExitStack,
        sent: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(
            self._noted(pieces),
            held,
            media_type=TAR,
            headers={
                "content-length": str(size),
                "content-disposition": 'attachment; filename="casemate-backup.tar"',
                "cache-control": "no-store",
            },
        )
        self._whole = False
        self._sent = sent

    async def stream_response(self, send: Send) -> None:
        await super().stream_response(send)
        if self._whole:
            await self._sent()

    async def _noted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
        self._whole = True


performs = Performers()


@performs(backup.Backup)
async def _send(_operation: backup.Backup, call: Call) -> Response:
    if call.request.method == "HEAD":  # the length is known only once the backup is made
        return Response(media_type=TAR)
    service = call.service
    service.backups.require(call.answerable)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(service.backups.counted(call.answerable))
        service.recorder.require()
        made = await service.make_backup()
        stack.push_async_callback(made.close)
        require_still()  # it takes as long as the node is large
        # Here, not as of other operations: what is held is released where it cannot be recorded.
        tell(form_of(backup.Backup), call, None)
        await service.recorder.durable()

        async def sent() -> None:
            # The backup is with who asked for it: that it cannot be noted undoes nothing.
            with contextlib.suppress(CasemateError):
                value = str(time.time()).encode()
                await service.store.change(KeepNodeValue(name=BACKUP_MADE, value=value))

        pieces = while_allowed(made.pieces(), call.still)
        return _BackupResponse(pieces, made.size, stack.pop_all(), sent)


OPERATIONS = all_served(backup, performs)
