"""The gateway's way to the vault: requests with numbers, many at once on one socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import msgspec

from casemate.model.errors import NotFoundError
from casemate.model.vault import MAX_VALUE_BYTES, NewValue, SecretInfo, SecretVersion, VaultStatus
from casemate.vault import protocol
from casemate.vault.asking import Asking
from casemate.vault.errors import VaultInputError, VaultUnavailableError
from casemate.vault.interface import (
    DataKey,
    Mac,
    Purpose,
)
from casemate.vault.state import STATE_FILE
from casemate.vault.verifying import MAX_SIGNATURE_BYTES, MAX_SIGNED_BYTES

MAX_PENDING = 1024
_BATCH_BYTES = 1024 * 1024
_EXPORT_ATTEMPTS = 5


class VaultClient(Asking):
    """Implements `Vault` over a connection of `VaultProcess.connect`."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Use the connected stream socket `sock` in `loop`."""
        super().__init__(sock, loop, pending=MAX_PENDING)
        self._known: dict[str, bool] = {}
        """Whether projects have secrets, until they change; another node's change is followed."""
        self._changes = 0

    async def data_key(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        """See `Vault.data_key`."""
        return await self._ask(DataKey, protocol.GetDataKey, project, purpose, version)

    async def follow(self) -> None:
        """Have a vault that nodes share take what is newest of it, or give it to them.

        Raises VaultDamagedError for what does not follow what it has seen, WrongMasterKeyError
        after another node has changed the master key, VaultUnavailableError without the database.
        """
        try:
            while await self._ask(int, protocol.FollowDatabase):
                pass
        finally:
            self._changes += 1
            self._known.clear()

    async def public_key(self) -> bytes:
        """See `Vault.public_key`."""
        return await self._ask(bytes, protocol.GetPublicKey)

    async def put_secret(self, project: str, name: str, sealed: bytes, by: str) -> SecretVersion:
        """See `Vault.put_secret`."""
        try:
            kept = await self._ask(SecretVersion, protocol.PutSecret, project, name, sealed, by)
        finally:
            self._changed(project)
        self._known[project] = True
        return kept

    async def put_secrets(
        self, project: str, sealed: Sequence[tuple[str, bytes]], by: str
    ) -> tuple[SecretVersion, ...]:
        """See `Vault.put_secrets`."""
        try:
            kept = await self._ask(
                tuple[SecretVersion, ...], protocol.PutSecrets, project, tuple(sealed), by
            )
        finally:
            self._changed(project)
        self._known[project] = True
        return kept

    async def deliver_secret(
        self, project: str, name: str, version: int | None, descriptor: int
    ) -> SecretVersion:
        """See `Vault.deliver_secret`."""
        delivered = await self._ask(
            SecretVersion, protocol.DeliverSecret, project, name, version, descriptor=descriptor
        )
        # Another node may have set the project's first one: what is printed is redacted from now.
        self._known[project] = True
        return delivered

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

    async def resists_guessing(self, project: str, secret: str) -> bool:
        """See `Vault.resists_guessing`."""
        return await self._ask(bool, protocol.ResistsGuessing, project, secret)

    async def lend_secret(self, project: str, name: str, public_key: bytes) -> bytes:
        """See `Vault.lend_secret`."""
        _require_at_most("public key", public_key, protocol.MAX_PUBLIC_KEY_BYTES)
        return await self._ask(bytes, protocol.LendSecret, project, name, public_key)

    async def prepare_secret(
        self, project: str, name: str, made: NewValue | int, expected: int, by: str
    ) -> SecretVersion:
        """See `Vault.prepare_secret`."""
        try:
            return await self._ask(
                SecretVersion, protocol.PrepareSecret, project, name, made, expected, by
            )
        finally:
            self._changed(project)

    async def finish_secret(
        self, project: str, name: str, version: int, overlap: float
    ) -> SecretVersion:
        """See `Vault.finish_secret`."""
        return await self._ask(
            SecretVersion, protocol.FinishSecret, project, name, version, overlap
        )

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

    async def sign_playbook(self, statement: bytes) -> bytes:
        """See `Vault.sign_playbook`."""
        _require_at_most("statement", statement, protocol.MAX_STATEMENT)
        return await self._ask(bytes, protocol.SignPlaybook, statement)

    async def verify_playbook(self, statement: bytes, signature: bytes) -> bool:
        """See `Vault.verify_playbook`."""
        if len(statement) > protocol.MAX_STATEMENT or len(signature) > protocol.MAX_SIGNATURE:
            return False  # it signs no such thing
        try:
            return await self._ask(bool, protocol.VerifyPlaybook, statement, signature)
        except NotFoundError:
            return False  # by a key that it never had

    async def next_backup(self) -> int:
        """See `Vault.next_backup`."""
        return await self._ask(int, protocol.NextBackup)

    async def sign_backup(self, number: int, digest: bytes) -> bytes:
        """See `Vault.sign_backup`."""
        return await self._ask(bytes, protocol.SignBackup, number, digest)

    async def verify_backup(self, number: int, digest: bytes, signature: bytes) -> bool:
        """See `Vault.verify_backup`."""
        if len(signature) > protocol.MAX_SIGNATURE:
            return False  # as of playbooks
        try:
            return await self._ask(bool, protocol.VerifyBackup, number, digest, signature)
        except NotFoundError:
            return False  # by a key that it never had

    async def starts(self) -> int:
        """See `Vault.starts`."""
        return await self._ask(int, protocol.GetStarts)

    async def keep_starts(self, starts: int) -> None:
        """See `Vault.keep_starts`."""
        await self._ask(object, protocol.KeepStarts, starts)

    async def journal_entries(self) -> int:
        """See `Vault.journal_entries`."""
        return await self._ask(int, protocol.GetJournalEntries)

    async def keep_journal_entries(self, entries: int, *, lost: bool = False) -> None:
        """See `Vault.keep_journal_entries`."""
        await self._ask(object, protocol.KeepJournalEntries, entries, lost)

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
            next_step="Try again in a moment.",
        )

    async def status(self) -> VaultStatus:
        """See `Vault.status`."""
        return await self._ask(VaultStatus, protocol.GetStatus)


def _require_at_most(what: str, value: bytes, most: int) -> None:
    """Refuse what strangers sent before it costs the connection, which is everybody's."""
    if len(value) > most:
        raise VaultInputError(
            f"The {what} has {len(value)} bytes, expected at most {most}.",
            next_step="Take less of a request.",
        )


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
