"""The gateway's way to the vault: requests with numbers, many at once on one socket."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from casemate.model.frames import FrameBuffer, FrameError
from casemate.vault import protocol
from casemate.vault.errors import VaultInputError, VaultUnavailableError
from casemate.vault.interface import (
    DataKey,
    Mac,
    Purpose,
    SecretInfo,
    SecretVersion,
    VaultStatus,
)
from casemate.vault.sealed import MAX_VALUE_BYTES
from casemate.vault.state import STATE_FILE
from casemate.vault.verifying import MAX_SIGNATURE_BYTES, MAX_SIGNED_BYTES

MAX_PENDING = 1024
ANSWER_SECONDS = 30.0
_MAX_UNSENT = 64 * 1024 * 1024
_BATCH_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024
_EXPORT_ATTEMPTS = 5

T = TypeVar("T")


class _Pending(asyncio.Future[msgspec.Raw]):
    """An answer that is waited for."""

    asked_at = 0.0


def _lost() -> VaultUnavailableError:
    return VaultUnavailableError(
        "The vault is gone.", next_step="start the node again; its log says why the vault ended"
    )


class VaultClient:
    """Implements `Vault` over a connection of `VaultProcess.connect`."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Use the connected stream socket `sock` in `loop`."""
        sock.setblocking(False)
        self._sock = sock
        self._loop = loop
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._frames = FrameBuffer(protocol.MAX_FRAME)
        self._unsent: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self._unsent_bytes = 0
        self._closed = False
        self._watch: asyncio.TimerHandle | None = None
        self._known: dict[str, bool] = {}
        """Whether projects have secrets; only this client's gateway changes it."""
        self._changes = 0
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done when the vault is gone."""
        loop.add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        """Close the connection; what is waited for fails with VaultUnavailableError."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        if self._watch is not None:
            self._watch.cancel()
        for _data, descriptors in self._unsent:
            _close_all(descriptors)
        self._unsent.clear()
        pending, self._pending = self._pending, {}
        for future in pending.values():
            if not future.done():
                future.set_exception(_lost())
        if not self.lost.done():
            self.lost.set_result(None)

    async def _ask(
        self, kind: type[T], message: type[protocol.Message], *fields: Any, descriptor: int = -1
    ) -> T:
        """Send a request and return its result as `kind`. Raises what the vault says."""
        if self._closed:
            raise _lost()
        if len(self._pending) >= MAX_PENDING or self._unsent_bytes > _MAX_UNSENT:
            raise VaultUnavailableError(
                f"The vault has {len(self._pending)} requests to answer first.",
                next_step="try again in a moment",
            )
        number = next(self._numbers) & 0xFFFFFFFF
        data = protocol.frame(message(number, *fields))
        if len(data) > protocol.MAX_FRAME:
            raise VaultInputError(
                f"The request has {len(data)} bytes, expected at most {protocol.MAX_FRAME}.",
                next_step="ask for less at once",
            )
        future = _Pending(loop=self._loop)
        future.asked_at = self._loop.time()
        self._pending[number] = future
        if self._watch is None:
            self._watch = self._loop.call_later(ANSWER_SECONDS, self._check_answers)
        self._send(data, descriptor)
        return msgspec.msgpack.decode(await future, type=kind)

    def _send(self, data: bytes, descriptor: int) -> None:
        """Send now what fits, the rest later. A descriptor goes with the first byte."""
        sent = 0
        descriptors = (descriptor,) if descriptor >= 0 else ()
        if not self._unsent:
            sent = self._write(data, descriptors)
        if self._closed or sent == len(data):
            return
        # The caller may close its descriptor at any time, so a copy waits.
        copies = tuple(map(os.dup, descriptors)) if not sent else ()
        if not self._unsent:
            self._loop.add_writer(self._sock.fileno(), self._writable)
        self._unsent.append((memoryview(data)[sent:], copies))
        self._unsent_bytes += len(data) - sent

    def _write(self, data: bytes | memoryview, descriptors: tuple[int, ...]) -> int:
        """Return how many bytes the socket took; close if it is broken."""
        try:
            if descriptors:
                return socket.send_fds(self._sock, [data], descriptors)
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.close()
            return 0

    def _writable(self) -> None:
        while self._unsent:
            data, descriptors = self._unsent[0]
            sent = self._write(data, descriptors)
            if self._closed or not sent:
                return
            _close_all(descriptors)
            self._unsent_bytes -= sent
            if sent < len(data):
                self._unsent[0] = (data[sent:], ())
                return
            self._unsent.popleft()
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
            bodies = self._frames.feed(data)
            replies = [protocol.decode_reply(body) for body in bodies]
        except BlockingIOError:
            return
        except (OSError, FrameError, msgspec.MsgspecError, UnicodeDecodeError):
            data, replies = b"", []
        for reply in replies:
            future = self._pending.pop(reply.n, None)
            if future is None or future.done():
                continue
            if reply.failure is None:
                future.set_result(reply.result)
            else:
                future.set_exception(reply.failure.error())
        if not data:
            self.close()

    def _check_answers(self) -> None:
        """Give the vault up if it has not answered for too long."""
        self._watch = None
        oldest = next(iter(self._pending.values()), None)
        if oldest is None:
            return
        left = oldest.asked_at + ANSWER_SECONDS - self._loop.time()
        if left <= 0:
            self.close()
        else:
            self._watch = self._loop.call_later(left, self._check_answers)

    async def data_key(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        """See `Vault.data_key`."""
        return await self._ask(DataKey, protocol.GetDataKey, project, purpose, version)

    async def public_key(self) -> bytes:
        """See `Vault.public_key`."""
        return await self._ask(bytes, protocol.GetPublicKey)

    async def put_secret(self, project: str, name: str, sealed: bytes, by: str) -> SecretVersion:
        """See `Vault.put_secret`."""
        try:
            return await self._ask(SecretVersion, protocol.PutSecret, project, name, sealed, by)
        finally:
            self._changed(project)

    async def put_secrets(
        self, project: str, sealed: Sequence[tuple[str, bytes]], by: str
    ) -> tuple[SecretVersion, ...]:
        """See `Vault.put_secrets`."""
        try:
            return await self._ask(
                tuple[SecretVersion, ...], protocol.PutSecrets, project, tuple(sealed), by
            )
        finally:
            self._changed(project)

    async def deliver_secret(
        self, project: str, name: str, version: int | None, descriptor: int
    ) -> SecretVersion:
        """See `Vault.deliver_secret`."""
        return await self._ask(
            SecretVersion, protocol.DeliverSecret, project, name, version, descriptor=descriptor
        )

    async def verify_hmac(
        self, project: str, secret: str, algorithm: Mac, message: bytes, signature: bytes
    ) -> bool:
        """See `Vault.verify_hmac`."""
        _require_at_most("message", message, MAX_SIGNED_BYTES)
        _require_at_most("signature", signature, MAX_SIGNATURE_BYTES)
        return await self._ask(
            bool, protocol.VerifyHmac, project, secret, algorithm, message, signature
        )

    async def verify_equal(self, project: str, secret: str, value: bytes) -> bool:
        """See `Vault.verify_equal`."""
        _require_at_most("value", value, MAX_VALUE_BYTES)
        return await self._ask(bool, protocol.VerifyEqual, project, secret, value)

    async def secrets(self, project: str | None) -> tuple[SecretInfo, ...]:
        """See `Vault.secrets`."""
        return await self._ask(tuple[SecretInfo, ...], protocol.ListSecrets, project)

    async def delete_secret(self, project: str, name: str) -> None:
        """See `Vault.delete_secret`."""
        try:
            await self._ask(object, protocol.DeleteSecret, project, name)
        finally:
            self._changed(project)

    async def redact(self, project: str, texts: Sequence[bytes]) -> tuple[bytes, ...]:
        """See `Vault.redact`."""
        done: list[bytes] = []
        for batch in _batches(texts):
            done += await self._ask(tuple[bytes, ...], protocol.Redact, project, batch)
        return tuple(done)

    async def has_secrets(self, project: str) -> bool:
        """See `Vault.has_secrets`; remembered, so mostly without asking."""
        known = self._known.get(project)
        if known is None:
            changes = self._changes
            known = await self._ask(bool, protocol.HasSecrets, project)
            if changes == self._changes:
                self._known[project] = known
        return known

    def known_secrets(self, project: str) -> bool | None:
        """See `Vault.known_secrets`."""
        return self._known.get(project)

    def _changed(self, project: str) -> None:
        self._changes += 1
        self._known.pop(project, None)

    async def wrap(self, context: str, value: bytes) -> bytes:
        """See `Vault.wrap`."""
        return await self._ask(bytes, protocol.Wrap, context, value)

    async def unwrap(self, context: str, wrapped: bytes) -> bytes:
        """See `Vault.unwrap`."""
        return await self._ask(bytes, protocol.Unwrap, context, wrapped)

    async def sign_token(self, claims: dict[str, object]) -> str:
        """See `Vault.sign_token`."""
        return await self._ask(str, protocol.SignToken, msgspec.json.encode(claims))

    async def public_keys(self) -> dict[str, object]:
        """See `Vault.public_keys`."""
        return await self._ask(dict[str, object], protocol.GetPublicKeys)

    async def rotate_master(self, sealed: bytes) -> VaultStatus:
        """See `Vault.rotate_master`."""
        return await self._ask(VaultStatus, protocol.RotateMaster, sealed)

    async def rotate_data_keys(self, project: str | None) -> tuple[str, ...]:
        """See `Vault.rotate_data_keys`."""
        return await self._ask(tuple[str, ...], protocol.RotateDataKeys, project)

    async def renew_secrets(self, project: str) -> bool:
        """See `Vault.renew_secrets`."""
        return await self._ask(bool, protocol.RenewSecrets, project)

    async def rotate_signing_key(self) -> str:
        """See `Vault.rotate_signing_key`."""
        return await self._ask(str, protocol.RotateSigningKey)

    async def export(self) -> dict[str, bytes]:
        """See `Vault.export`."""
        for _attempt in range(_EXPORT_ATTEMPTS):
            state, names = await self._ask(tuple[bytes, tuple[str, ...]], protocol.ExportNames)
            files = {STATE_FILE: state}
            for name in names:
                found = await self._ask(tuple[bytes, ...], protocol.ExportFile, name)
                if not found:
                    break  # removed since the state was read: start again from the new one
                files[name] = found[0]
            else:
                return files
        raise VaultUnavailableError(
            "Secrets were removed the whole time while they were being exported.",
            next_step="try again in a moment",
        )

    async def status(self) -> VaultStatus:
        """See `Vault.status`."""
        return await self._ask(VaultStatus, protocol.GetStatus)


def _require_at_most(what: str, value: bytes, most: int) -> None:
    """Refuse what strangers sent before it costs the connection, which is everybody's."""
    if len(value) > most:
        raise VaultInputError(
            f"The {what} has {len(value)} bytes, expected at most {most}.",
            next_step="take less of a request",
        )


def _close_all(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _batches(texts: Sequence[bytes]) -> list[list[bytes]]:
    """Split texts so that no request keeps others waiting for long."""
    batches: list[list[bytes]] = [[]]
    size = 0
    for text in texts:
        if batches[-1] and size + len(text) > _BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(text)
        size += len(text)
    return batches
