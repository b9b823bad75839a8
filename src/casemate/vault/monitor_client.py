"""The monitor's way to the vault: its own key, signatures of alerts, and passwords of channels."""

from __future__ import annotations

import asyncio
import os
import socket

from casemate.model.vault import SecretVersion
from casemate.vault import protocol
from casemate.vault.asking import Asking
from casemate.vault.errors import VaultError
from casemate.vault.interface import DataKey, Purpose

MAX_PENDING = 256
MAX_PASSWORD_BYTES = 1024


class MonitorVault(Asking):
    """Asks over a connection of the kind `protocol.MONITOR`."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Use the connected stream socket `sock` in `loop`."""
        super().__init__(sock, loop, pending=MAX_PENDING)

    async def key(self, version: int | None = None) -> DataKey:
        """Return the key of what the monitor remembers; None: the newest. Raises VaultError."""
        return await self._ask(DataKey, protocol.GetDataKey, "", Purpose.MONITOR, version)

    async def sign_hmac(self, secret: str, message: bytes) -> bytes:
        """Return the HMAC-SHA256 of a message under `PROJECT/NAME`. Raises VaultError."""
        project, _, name = secret.partition("/")
        return await self._ask(bytes, protocol.SignHmac, project, name, message)

    async def password(self, secret: str) -> str:
        """Return the value of `PROJECT/NAME`, a short text. Raises VaultError."""
        project, _, name = secret.partition("/")
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            try:
                await self._ask(
                    SecretVersion, protocol.DeliverSecret, project, name, None, descriptor=writing
                )
            finally:
                os.close(writing)
            value = os.read(reading, MAX_PASSWORD_BYTES + 1)
        finally:
            os.close(reading)
        if len(value) > MAX_PASSWORD_BYTES:
            raise VaultError(
                f"{secret} has more than {MAX_PASSWORD_BYTES} bytes.",
                next_step="Name the secret that holds a password.",
            )
        try:
            return value.decode()
        except UnicodeDecodeError:
            # Not `from`: the error holds the bytes.
            raise VaultError(
                f"{secret} is not text in UTF-8.", next_step="Set it to a password."
            ) from None
