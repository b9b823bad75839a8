"""Copies of the journal, which the recorder writes into files of the gateway's."""

from __future__ import annotations

import os
from pathlib import Path

from casemate.recorder import protocol
from casemate.recorder.client import RecorderClient
from casemate.recorder.errors import RecorderError

LONG_SECONDS = 3600.0
MAX_PARTS = 4096


class JournalCopies:
    """Makes them. One at a time."""

    def __init__(self, recorder: RecorderClient) -> None:
        """Ask `recorder`."""
        self._recorder = recorder

    async def snapshot(self, folder: Path) -> None:
        """Have the journal written into new files of a folder, durably.

        All that was told before is in it. Raises RecorderError, CasemateError.
        """
        await self._recorder.durable()
        for number in range(MAX_PARTS):
            if not await self._part(folder / f"{protocol.COPY}.{number}", begin=number == 0):
                return
        raise RecorderError(
            f"The journal is larger than {MAX_PARTS} files of a backup.", next_step="Ask for help."
        )

    async def _part(self, target: Path, *, begin: bool) -> bool:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(target, flags, 0o600)
        except OSError as error:
            raise RecorderError(
                f"The journal cannot be copied to {target}: {error.strerror}.",
                next_step="Make room on that file system and check its rights.",
            ) from error
        try:
            return await self._recorder.ask(
                bool,
                lambda n: protocol.CopyJournal(n, begin),
                descriptors=(descriptor,),
                seconds=LONG_SECONDS,
            )
        finally:
            os.close(descriptor)
