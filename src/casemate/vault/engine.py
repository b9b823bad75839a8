"""The vault itself: every operation, without processes and sockets."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import NotFoundError
from casemate.model.function import NAME_PATTERN
from casemate.model.grant import RESOURCE_PATTERN
from casemate.model.vault import (
    INDEX_PREFIX,
    MAX_AT_ONCE,
    NewValue,
    SecretInfo,
    SecretVersion,
    VaultStatus,
    is_for_index,
)
from casemate.unwritten import try_again, unwritten
from casemate.vault import envelope
from casemate.vault.counts import BACKUP_BYTES, Counts
from casemate.vault.data_keys import DataKeys
from casemate.vault.errors import (
    DecryptionError,
    VaultDamagedError,
    VaultInputError,
)
from casemate.vault.interface import (
    DataKey,
    JournalKey,
    Mac,
    Purpose,
)
from casemate.vault.journal_key import JournalSigning
from casemate.vault.new_master import NewMaster, master_info
from casemate.vault.open_state import OpenState
from casemate.vault.own_record import OWN_FILE, OwnRecord
from casemate.vault.protocol import MAX_WRAPPED_VALUE
from casemate.vault.redaction import Redactor
from casemate.vault.sealed import lent_info, seal
from casemate.vault.secret_values import SecretValues
from casemate.vault.signing import SigningKeys
from casemate.vault.state import STATE_FILE, Header, State, decode_state, wrapping_key
from casemate.vault.statement_key import BACKUP, PLAYBOOK, StatementSigning
from casemate.vault.verifying import is_equal, is_hard_to_guess, is_signed, signature_of

_PROJECT = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")
_SECRET = re.compile(RESOURCE_PATTERN.removesuffix("$") + r"\Z")
_MAX_REDACTORS = 256
"""Projects whose secrets are kept prepared for redaction."""
_BY = re.compile(r"[^\x00-\x1f\x7f]{1,200}\Z")


def _check(what: str, pattern: re.Pattern[str], text: str) -> None:
    if pattern.match(text) is None:
        raise VaultInputError(
            f"{text[:80]!r} is no {what}.",
            next_step="Use lower-case letters, digits and `-`, at most 63, a letter first.",
        )


def _require_by(by: str) -> None:
    if _BY.match(by) is None:
        raise VaultInputError(
            "The name of whoever sets the secret does not have 1 to 200 printable characters.",
            next_step="Give the principal's text.",
        )


def _of_backup(number: int, digest: bytes) -> bytes:
    return number.to_bytes(BACKUP_BYTES, "big") + digest


class VaultEngine:
    """An open vault. Not safe for threads; no call waits for anything but the disk."""

    def __init__(
        self,
        opened: OpenState,
        *,
        memory_locked: bool,
        own: OwnRecord | None = None,
        source: str = "",
    ) -> None:
        """Use what is open; `own` is this node's where nodes share it.

        `source` is where this node had the master key from: the vault may have been moved since it
        was made, or be another machine's.
        """
        self._source = source, opened.header.key_id
        self._opened = opened
        self._folder = opened.folder
        self._memory_locked = memory_locked
        self._own = own
        self._keys = DataKeys(self._opened)
        self.secret_values = SecretValues(self._opened, self._keys)
        self._signing = SigningKeys(self._opened)
        self._journal = JournalSigning(self._opened, own)
        self._playbooks = StatementSigning(PLAYBOOK, self._opened, self._keys)
        self._backups = StatementSigning(BACKUP, self._opened, self._keys)
        self.counts = Counts(self._opened, self._keys)
        self._redactors: dict[str, Redactor] = {}

    def adopt(self, header: Header, state: State, master: bytes) -> None:
        """Go on with what the folder holds since: a change of this node or of another one."""
        before = {project: self.secret_values.of_project(project) for project in self._redactors}
        self._opened.adopt(header, state, master)
        self.secret_values.index()
        for project, records in before.items():
            if records != self.secret_values.of_project(project):
                del self._redactors[project]

    def data_key(self, project: str, purpose: Purpose, version: int | None) -> DataKey:
        """See `Vault.data_key`."""
        if project:
            _check("project's name", _PROJECT, project)
        return self._keys.data_key(project, purpose, version)

    @property
    def opened(self) -> OpenState:
        """The state."""
        return self._opened

    @property
    def memory_locked(self) -> bool:
        """Whether no page of this process reaches swap."""
        return self._memory_locked

    def public_key(self) -> bytes:
        """See `Vault.public_key`."""
        return self._opened.header.public_key

    def put_secret(self, project: str, name: str, sealed: bytes, by: str) -> SecretVersion:
        """See `Vault.put_secret`."""
        [version] = self.put_secrets(project, ((name, sealed),), by)
        return version

    def put_secrets(
        self, project: str, sealed: Sequence[tuple[str, bytes]], by: str
    ) -> tuple[SecretVersion, ...]:
        """See `Vault.put_secrets`."""
        _check("project's name", _PROJECT, project)
        for name, _value in sealed:
            _check("secret's name", _SECRET, name)
        names = {name for name, _value in sealed}
        if not 1 <= len(sealed) <= MAX_AT_ONCE or len(names) != len(sealed):
            raise VaultInputError(
                f"{len(sealed)} values for {len(names)} names, expected one for each of 1 to "
                f"{MAX_AT_ONCE}.",
                next_step="Send them in several parts.",
            )
        _require_by(by)
        try:
            return self.secret_values.put(project, sealed, by)
        finally:
            self._redactors.pop(project, None)

    def secret_value(
        self, project: str, name: str, version: int | None
    ) -> tuple[SecretVersion, Callable[[], bytes]]:
        """Return a version and the function that decrypts its value."""
        return self.secret_values.reading(project, name, version)

    def verify_hmac(
        self, project: str, secret: str, algorithm: Mac, message: bytes, signature: bytes
    ) -> bool:
        """See `Vault.verify_hmac`."""
        values = self.secret_values.accepted(project, secret)
        return any(is_signed(value, algorithm, message, signature) for value in values)

    def sign_hmac(self, project: str, secret: str, message: bytes) -> bytes:
        """See `MonitorVault.sign_hmac`."""
        _version, value = self.secret_values.reading(project, secret, None)
        found = signature_of(value(), Mac.STANDARD, message)
        if found is None:
            raise VaultInputError(
                f"The secret {project}/{secret} is not a signing key.",
                next_step="Set it to a random text, or to `whsec_` and 24 to 64 bytes in base64.",
            )
        return found

    def verify_equal(self, project: str, secret: str, value: bytes) -> bool:
        """See `Vault.verify_equal`."""
        return any(is_equal(kept, value) for kept in self.secret_values.accepted(project, secret))

    def resists_guessing(self, project: str, secret: str) -> bool:
        """See `Vault.resists_guessing`."""
        return all(map(is_hard_to_guess, self.secret_values.accepted(project, secret)))

    def prepare_secret(
        self, project: str, name: str, made: NewValue | int, expected: int, by: str
    ) -> SecretVersion:
        """See `Vault.prepare_secret`."""
        _check("project's name", _PROJECT, project)
        _check("secret's name", _SECRET, name)
        _require_by(by)
        try:
            return self.secret_values.prepare(project, name, made, expected, by)
        finally:
            self._redactors.pop(project, None)

    def finish_secret(self, project: str, name: str, version: int, overlap: float) -> SecretVersion:
        """See `Vault.finish_secret`."""
        return self.secret_values.finish(project, name, version, overlap)

    def lend_secret(self, project: str, name: str, public_key: bytes) -> bytes:
        """See `Vault.lend_secret`."""
        if not is_for_index(name):
            raise VaultInputError(
                f"The secret {project}/{name} is lent to nobody: only functions get it.",
                next_step=f"Call the login of a package index {INDEX_PREFIX}NAME.",
            )
        _version, kept = self.secret_values.reading(project, name, None)
        return seal(public_key, lent_info(project, name), kept())

    def secrets(self, project: str | None) -> tuple[SecretInfo, ...]:
        """See `Vault.secrets`."""
        return self.secret_values.listed(project)

    def delete_secret(self, project: str, name: str) -> None:
        """See `Vault.delete_secret`."""
        try:
            self.secret_values.delete(project, name)
        finally:
            self._redactors.pop(project, None)

    def has_secrets(self, project: str) -> bool:
        """See `Vault.has_secrets`."""
        return self.secret_values.has(project)

    def redactor(self, project: str) -> Redactor | None:
        """Return what redacts a project's texts, None if it has no secrets.

        Raises VaultDamagedError if a value cannot be known.
        """
        if not self.secret_values.has(project):
            return None
        redactor = self._redactors.pop(project, None)
        if redactor is None:
            if len(self._redactors) >= _MAX_REDACTORS:
                del self._redactors[next(iter(self._redactors))]  # not used for the longest
            redactor = Redactor(self.secret_values.values(project))
        self._redactors[project] = redactor
        return redactor

    def redact(self, project: str, texts: Sequence[bytes]) -> tuple[bytes, ...]:
        """See `Vault.redact`. Raises VaultDamagedError, SearchTooLongError."""
        redactor = self.redactor(project)
        return tuple(texts) if redactor is None else tuple(map(redactor.redact, texts))

    def wrap(self, use: str, value: bytes) -> bytes:
        """See `Vault.wrap`."""
        if len(value) > MAX_WRAPPED_VALUE:
            raise VaultInputError(
                f"The value has {len(value)} bytes, expected at most {MAX_WRAPPED_VALUE}.",
                next_step="Encrypt large content with a data key.",
            )
        return self._keys.wrap(use, value)

    def unwrap(self, use: str, wrapped: bytes) -> bytes:
        """See `Vault.unwrap`."""
        return self._keys.unwrap(use, wrapped)

    def sign_token(self, claims: bytes) -> str:
        """See `Vault.sign_token`; the claims in JSON."""
        return self._signing.sign(claims)

    def public_keys(self) -> dict[str, object]:
        """See `Vault.public_keys`."""
        return self._signing.published()

    def sign_playbook(self, statement: bytes) -> bytes:
        """See `Vault.sign_playbook`."""
        return self._playbooks.sign(statement)

    def verify_playbook(self, statement: bytes, signature: bytes) -> bool:
        """See `Vault.verify_playbook`. Raises NotFoundError if there is no such key."""
        return self._playbooks.is_signed(statement, signature)

    def sign_backup(self, number: int, digest: bytes) -> bytes:
        """See `Vault.sign_backup`."""
        if number != self.counts.backups():
            raise VaultInputError(
                f"The newest backup is number {self.counts.backups()}; {number} is not signed.",
                next_step="Make the backup again, and one at a time.",
            )
        return self._backups.sign(_of_backup(number, digest))

    def verify_backup(self, number: int, digest: bytes, signature: bytes) -> bool:
        """See `Vault.verify_backup`. Raises NotFoundError if there is no such key."""
        return self._backups.is_signed(_of_backup(number, digest), signature)

    def journal_key(self) -> JournalKey:
        """See `RecorderVault.journal_key`."""
        return self._journal.key()

    def sign_head(self, head: str) -> bytes:
        """See `RecorderVault.sign_head`."""
        return self._journal.sign(head)

    def records_kept(self) -> bool:
        """See `RecorderVault.records_kept`."""
        if self._own is not None:
            return self._own.records_kept()
        return self._opened.state.records

    def keep_records(self) -> None:
        """See `RecorderVault.keep_records`."""
        if self._own is not None:
            self._own.keep_records()
        elif not self._opened.state.records:
            self._opened.commit(replace(self._opened.state, records=True))

    def node(self) -> str:
        """See `RecorderVault.node`."""
        return "" if self._own is None else self._own.id

    def attest(self, digest: bytes) -> bytes:
        """See `RecorderVault.attest`."""
        return self._attesting().attest(digest)

    def is_attested(self, node: str, digest: bytes, code: bytes) -> bool:
        """See `RecorderVault.is_attested`."""
        return self._attesting().is_attested(node, digest, code)

    def _attesting(self) -> OwnRecord:
        if self._own is None:
            raise VaultInputError(
                "The vault is this node's alone: there is nobody to attest anything to.",
                next_step="Start the node with the cluster's store.",
            )
        return self._own

    def rotate_signing_key(self) -> str:
        """See `Vault.rotate_signing_key`."""
        return self._signing.rotate()

    def rotate_data_keys(self, project: str | None) -> tuple[str, ...]:
        """See `Vault.rotate_data_keys`."""
        if project:
            _check("project's name", _PROJECT, project)
        projects = self._keys.projects()
        if project is not None:
            if project not in projects:
                raise NotFoundError(
                    f"The project {project} has no data key: nothing of it is stored.",
                    next_step="See the projects there are: casemate ls",
                )
            projects = (project,)
        self._keys.rotate(projects)
        return projects

    def renew_secrets(self, project: str) -> bool:
        """See `Vault.renew_secrets`."""
        _check("project's name", _PROJECT, project)
        return self.secret_values.renew(project)

    def rotate_master(self, sealed: bytes) -> VaultStatus:
        """See `Vault.rotate_master`. One write: before it the old key holds, after it the new."""
        opened = self._opened
        data = opened.unseal(master_info(opened.vault), sealed)
        try:
            new = msgspec.msgpack.decode(data, type=decodable(NewMaster))
        except DECODING_ERRORS as error:
            raise VaultInputError(
                "The sealed master key does not hold what it must.",
                next_step="Use the command line of the node's own version.",
            ) from error
        if not hmac.compare_digest(new.present, opened.master):
            raise VaultInputError(
                "The present master key that came along is not this vault's.",
                next_step="Name its source with --from; `casemate vault status` shows it.",
            )
        if len(new.key) != envelope.KEY_BYTES or hmac.compare_digest(new.key, opened.master):
            raise VaultInputError(
                "The new master key is not 32 bytes, or the one that holds now.",
                next_step="Name another source with --to",
            )
        header = replace(
            opened.header,
            source=new.source,
            parameters=new.parameters,
            key_id=envelope.key_id(new.key),
            rotated_at=time.time(),
        )
        wrapping = wrapping_key(opened.vault, new.key)
        try:
            sealing, sealing_x25519 = opened.rewrapped_sealing(wrapping)
            state = replace(
                opened.state,
                keys=self._keys.rewrapped(wrapping),
                signing=self._signing.rewrapped(wrapping),
                journal=self._journal.rewrapped(wrapping),
                sealing=sealing,
                sealing_x25519=sealing_x25519,
            )
        except DecryptionError as error:
            raise VaultDamagedError(
                f"A key in {STATE_FILE} fails its check. Nothing was changed.",
                next_step="Restore the folder data/vault from a backup.",
            ) from error
        opened.commit(state, header=header, master=new.key)
        return self.status()

    def export_names(self) -> tuple[bytes, tuple[str, ...]]:
        """Return the state file's content and the names of the files that it names."""
        data = self._folder.read(STATE_FILE)
        if data is None:
            raise VaultDamagedError(
                f"{STATE_FILE} is gone.", next_step="Restore the folder data/vault from a backup."
            )
        # What is handed out, or read at the next start, is what this vault has written.
        decode_state(data, self._opened.master)
        own = () if self._folder.read(OWN_FILE) is None else (OWN_FILE,)
        return data, (*self.secret_values.files(), *own)

    def export_file(self, name: str) -> tuple[bytes, ...]:
        """Return one of those files, encrypted as it is; nothing if it was removed meanwhile.

        Raises VaultDamagedError for one that is named still, and gone.
        """
        own = name == OWN_FILE
        data = self._folder.read(name) if own else self.secret_values.sealed(name)
        return () if data is None else (data,)

    def status(self) -> VaultStatus:
        """See `Vault.status`."""
        try_again()
        header, keys = self._opened.header, self._opened.state.keys
        source, of = self._source
        newest: dict[str, float] = {record.project: record.created_at for record in keys}
        return VaultStatus(
            vault=header.vault,
            master_key=source if source and of == header.key_id else header.source,
            master_key_id=header.key_id,
            master_rotated_at=header.rotated_at,
            projects=len(newest.keys() - {""}),
            secrets=self.secret_values.count(),
            oldest_data_key_at=min(newest.values(), default=None),
            generation=header.generation,
            memory_locked=self._memory_locked,
            unwritten=unwritten(),
        )

    def close(self) -> None:
        """Unlock the folder."""
        self._folder.close()
