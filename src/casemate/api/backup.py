"""The operation that sends a backup of the whole node."""

from __future__ import annotations

import contextlib

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from casemate.api.performing import Call, Performers, tell
from casemate.api.served import all_served
from casemate.api.service import PreparedBackup
from casemate.operations import backup
from casemate.operations.declaration import TAR
from casemate.operations.form import form_of


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


performs = Performers()


@performs(backup.Backup)
async def _send(_operation: backup.Backup, call: Call) -> Response:
    if call.request.method == "HEAD":  # the length is known only once the backup is made
        return Response(media_type=TAR)
    service = call.service
    service.backups.require()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(service.backups.counted())
        service.recorder.require()
        made = await service.make_backup()
        stack.push_async_callback(made.close)
        # Here, not as of other operations: what is held is released where it cannot be recorded.
        tell(form_of(backup.Backup), call, None)
        await service.recorder.durable()
        return _BackupResponse(made, stack.pop_all())


OPERATIONS = all_served(backup, performs)
