"""Asking the vault: one connection, requests with numbers, many at once. For what asks for what."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, TypeVar

from casemate.child.calls import Callee, Calls
from casemate.vault import protocol
from casemate.vault.errors import VaultInputError, VaultUnavailableError

ANSWER_SECONDS = 30.0

T = TypeVar("T")


class Asking:
    """The asker's end of a connection of `VaultProcess.connect`."""

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, *, pending: int
    ) -> None:
        """Use the connected stream socket `sock` in `loop`; so many may wait for their answers."""
        callee = Callee(
            name="vault",
            bounds=protocol.ASKING,
            pending=pending,
            seconds=ANSWER_SECONDS,
            errors=protocol.ERRORS,
            unavailable=VaultUnavailableError,
            invalid=VaultInputError,
            takes=protocol.decode_request,
        )
        self._calls = Calls(callee, sock, loop)
        self.lost = self._calls.lost
        """Done when the vault is gone."""

    def close(self) -> None:
        """Close the connection; what is waited for fails with VaultUnavailableError."""
        self._calls.close()

    async def _ask(
        self, kind: type[T], message: type[protocol.Message], *fields: Any, descriptor: int = -1
    ) -> T:
        """Send a request and return its result as `kind`. Raises what the vault says."""
        descriptors = (descriptor,) if descriptor >= 0 else ()
        return await self._calls.ask_for(kind, lambda number: message(number, *fields), descriptors)
