"""The key that signs the heads of the node's journal: one for the life of a vault, and of a node.

It signs nothing but heads of its own journal, and while the vault runs none that goes back: who can
ask for signatures still cannot have one for a journal that was rolled back or split.
"""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from casemate.vault.errors import DecryptionError, VaultDamagedError, VaultInputError
from casemate.vault.interface import JournalKey
from casemate.vault.open_state import OpenState
from casemate.vault.own_record import OwnRecord
from casemate.vault.state import STATE_FILE, JournalKeyRecord

_LABEL = "journal key"
_LINES = 4
"""Origin, size, root, and what follows the last newline."""
_MAX_DIGITS = 17


class JournalSigning:
    """Signs heads. The key is made when it is first asked for."""

    def __init__(self, opened: OpenState, own: OwnRecord | None = None) -> None:
        """Use the key in `opened`, that of `own` in a vault that nodes share."""
        self._opened = opened
        self._own = own
        self._private: Ed25519PrivateKey | None = None
        self._signed: tuple[int, str] | None = None
        """Size and root of the newest head."""

    @property
    def _name(self) -> str:
        if self._own is not None:
            return self._own.journal_name()
        return f"casemate/{self._opened.vault}"

    def _record(self) -> JournalKeyRecord | None:
        return self._opened.state.journal if self._own is None else self._own.first_journal()

    def key(self) -> JournalKey:
        """Return the public half, and whether it was made by this very call."""
        if self._own is not None and self._own.first_journal() is None:
            name = self._name
            private, made = self._own.journal_key()
            public = private.public_key().public_bytes_raw()
            return JournalKey(name=name, public=public, made=made)
        record = self._opened.state.journal
        made = record is None
        if record is None:
            record = self._make()
        return JournalKey(name=self._name, public=record.public_key, made=made)

    def _make(self) -> JournalKeyRecord:
        private = Ed25519PrivateKey.generate()
        record = JournalKeyRecord(
            time.time(),
            self._opened.wrap_key(_LABEL, private.private_bytes_raw()),
            private.public_key().public_bytes_raw(),
        )
        self._opened.commit(replace(self._opened.state, journal=record))
        return record

    def sign(self, head: str) -> bytes:
        """Return the signature of a head, the text of a checkpoint.

        Raises VaultInputError for any other text, and for a head that goes back.
        """
        lines = head.split("\n")
        number = lines[1] if len(lines) == _LINES else ""
        if lines[0] != self._name or not number.isascii() or not number.isdigit() or lines[3]:
            raise VaultInputError(
                "The text is not a head of this node's journal.",
                next_step="Ask the journal's own writer.",
            )
        size, root = int(number[:_MAX_DIGITS]), lines[2]
        before = self._signed
        if before is not None and (size < before[0] or (size == before[0] and root != before[1])):
            raise VaultInputError(
                f"A head of {before[0]} entries was signed; one of {size} would go back behind it.",
                next_step="Check it: casemate journal verify",
            )
        signature = self._open().sign(head.encode())
        self._signed = size, root
        return signature

    def _open(self) -> Ed25519PrivateKey:
        if self._private is None and self._own is not None and self._own.first_journal() is None:
            self._private, _made = self._own.journal_key()
        if self._private is None:
            record = self._record() or self._make()
            try:
                raw = self._opened.unwrap_key(_LABEL, record.wrapped)
            except DecryptionError as error:
                raise VaultDamagedError(
                    f"The journal's key in {STATE_FILE} fails its check.",
                    next_step="Restore the folder data/vault from a backup.",
                ) from error
            self._private = Ed25519PrivateKey.from_private_bytes(raw)
        return self._private

    def rewrapped(self, wrapping: bytes) -> JournalKeyRecord | None:
        """Return the record as another wrapping key protects it."""
        record = self._opened.state.journal
        if record is None:
            return None
        raw = self._opened.unwrap_key(_LABEL, record.wrapped)
        return replace(record, wrapped=self._opened.wrap_key(_LABEL, raw, wrapping=wrapping))
