"""The recorder's way to the vault: keys of entries, and signatures for heads of the journal."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, TypeVar

import msgspec

from casemate.child.calls import Callee, Calls
from casemate.vault import protocol
from casemate.vault.errors import VaultInputError, VaultUnavailableError
from casemate.vault.interface import DataKey, JournalKey, Purpose

ANSWER_SECONDS = 30.0
MAX_PENDING = 256

T = TypeVar("T")


class RecorderVault:
    """Asks over a connection of the kind `protocol.RECORDER`."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Use the connected stream socket `sock` in `loop`."""
        callee = Callee(
            name="vault",
            bounds=protocol.ASKING,
            pending=MAX_PENDING,
            seconds=ANSWER_SECONDS,
            errors=protocol.ERRORS,
            unavailable=VaultUnavailableError,
            invalid=VaultInputError,
        )
        self._calls = Calls(callee, sock, loop)
        self.lost = self._calls.lost
        """Done when the vault is gone."""

    async def _ask(self, kind: type[T], message: type[protocol.Message], *fields: Any) -> T:
        result = await self._calls.ask(lambda number: message(number, *fields))
        return msgspec.msgpack.decode(result, type=kind)

    async def entry_key(self, project: str, version: int | None = None) -> DataKey:
        """Return the key of a project's entries; None: the newest. Raises VaultError."""
        return await self._ask(DataKey, protocol.GetDataKey, project, Purpose.JOURNAL, version)

    async def journal_key(self) -> JournalKey:
        """Return the public half of the key that signs heads. Raises VaultError."""
        return await self._ask(JournalKey, protocol.GetJournalKey)

    async def sign_head(self, head: str) -> bytes:
        """Return the signature of a checkpoint's text. Raises VaultError."""
        return await self._ask(bytes, protocol.SignHead, head)

    def close(self) -> None:
        """Close the connection."""
        self._calls.close()
