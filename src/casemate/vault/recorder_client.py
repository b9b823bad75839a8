"""The recorder's way to the vault: its keys, signatures for heads, whether there are records."""

from __future__ import annotations

import asyncio
import socket

from casemate.vault import protocol
from casemate.vault.asking import Asking
from casemate.vault.interface import DataKey, JournalKey, Purpose

MAX_PENDING = 256


class RecorderVault(Asking):
    """Asks over a connection of the kind `protocol.RECORDER`."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Use the connected stream socket `sock` in `loop`."""
        super().__init__(sock, loop, pending=MAX_PENDING)

    async def entry_key(self, project: str, version: int | None = None) -> DataKey:
        """Return the key of a project's entries; None: the newest. Raises VaultError."""
        return await self._ask(DataKey, protocol.GetDataKey, project, Purpose.JOURNAL, version)

    async def records_key(self, version: int | None = None) -> DataKey:
        """Return the key of the records' database; None: the newest. Raises VaultError."""
        return await self._ask(DataKey, protocol.GetDataKey, "", Purpose.RECORDS, version)

    async def records_kept(self) -> bool:
        """Tell whether there have been records: then they must be there. Raises VaultError."""
        return await self._ask(bool, protocol.AreRecordsKept)

    async def keep_records(self) -> None:
        """Say that there are records from now on. Raises VaultError."""
        await self._ask(type(None), protocol.KeepRecords)

    async def node(self) -> str:
        """Return which of the nodes that share the vault this is; empty: it shares none."""
        return await self._ask(str, protocol.GetNode)

    async def attest(self, digest: bytes) -> bytes:
        """Return what proves to the others that this node's recorder said so. VaultError."""
        return await self._ask(bytes, protocol.Attest, digest)

    async def is_attested(self, node: str, digest: bytes, code: bytes) -> bool:
        """Tell whether the recorder of a node said so. Raises VaultError."""
        return await self._ask(bool, protocol.IsAttested, node, digest, code)

    async def journal_key(self) -> JournalKey:
        """Return the public half of the key that signs heads. Raises VaultError."""
        return await self._ask(JournalKey, protocol.GetJournalKey)

    async def sign_head(self, head: str) -> bytes:
        """Return the signature of a checkpoint's text. Raises VaultError."""
        return await self._ask(bytes, protocol.SignHead, head)
