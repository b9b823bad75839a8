"""What one node alone has in a vault that nodes share: its journal's key, whether it has records.

In a file of its own that no other node gets, `node.sealed`, encrypted under a key that stays when
the master key is another one. Two journals are never signed under one name: each has the node's
random id in it, but that of the node which has given its vault to the others, and goes on with it.
"""

from __future__ import annotations

import hmac
import os
import time

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.vault import envelope
from casemate.vault.envelope import context
from casemate.vault.errors import DecryptionError, VaultDamagedError, VaultUnavailableError
from casemate.vault.folder import VaultFolder
from casemate.vault.open_state import OpenState
from casemate.vault.state import JournalKeyRecord

OWN_FILE = "node.sealed"
_MAGIC = b"CSMNODE\x01"
_LABEL = "node record"
_ATTESTED = "what recorders attest"


class _Own(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    journal: bytes | None = None
    journal_at: float = 0.0
    records: bool = False
    alone: bool = False


class OwnRecord:
    """The file, open."""

    def __init__(self, folder: VaultFolder, opened: OpenState) -> None:
        """Read it, or make it. `folder` can be written to. Raises VaultError."""
        self._folder = folder
        self._opened = opened
        self._key = opened.own_key(_LABEL)
        self._info = context(_LABEL, opened.vault)
        self._attesting = opened.own_key(_ATTESTED)
        data = folder.read(OWN_FILE)
        if data is None:
            self._keep(_Own(id=os.urandom(16).hex()))
        else:
            self._own = self._read(data)

    def _read(self, data: bytes) -> _Own:
        try:
            if not data.startswith(_MAGIC):
                raise DecryptionError
            body = envelope.decrypt(self._key, data[len(_MAGIC) :], self._info)
            return msgspec.msgpack.decode(body, type=decodable(_Own))
        except (DecryptionError, *DECODING_ERRORS) as error:
            raise VaultDamagedError(
                f"{self._folder.path / OWN_FILE}, which has the key of this node's journal, fails "
                "its check.",
                next_step="Bring this file back from a backup of this node.",
            ) from error

    def _keep(self, own: _Own) -> None:
        body = envelope.encrypt(self._key, msgspec.msgpack.encode(own), self._info)
        self._folder.write(OWN_FILE, _MAGIC + body)
        self._own = own

    @property
    def alone(self) -> bool:
        """Whether this node has the vault for itself again: its cluster has ended."""
        return self._own.alone

    def set_alone(self, alone: bool) -> None:
        """Say whether it has. Raises VaultError."""
        if alone != self._own.alone:
            self._keep(replace(self._own, alone=alone))

    @property
    def id(self) -> str:
        """Which node this is, to the vault."""
        return self._own.id

    @property
    def _founded(self) -> bool:
        """Whether this node has given the vault to the others. Raises VaultUnavailableError."""
        founder = self._opened.state.founder
        if not founder:
            raise VaultUnavailableError(
                "The vault is not in the cluster's database yet.",
                next_step="See that the database can be reached.",
            )
        return founder == self.id

    @property
    def _has_first(self) -> bool:
        return self._founded and self._opened.state.journal is not None

    def journal_name(self) -> str:
        """Return the name of the node's journal. Raises VaultUnavailableError."""
        first = f"casemate/{self._opened.vault}"
        return first if self._has_first else f"{first}/{self.id}"

    def first_journal(self) -> JournalKeyRecord | None:
        """Return the key from before the vault was shared, if that is this node's."""
        return self._opened.state.journal if self._has_first else None

    def journal_key(self) -> tuple[Ed25519PrivateKey, bool]:
        """Return the node's own key, and whether it was made just now. Raises VaultError."""
        made = self._own.journal is None
        if self._own.journal is None:
            raw = Ed25519PrivateKey.generate().private_bytes_raw()
            self._keep(replace(self._own, journal=raw, journal_at=time.time()))
        else:
            raw = self._own.journal
        return Ed25519PrivateKey.from_private_bytes(raw), made

    def attest(self, digest: bytes) -> bytes:
        """Return what proves to the vaults of other nodes that this node's recorder said so.

        All nodes have the key, and each vault says it of its own node alone.
        """
        return self._code(self.id, digest)

    def is_attested(self, node: str, digest: bytes, code: bytes) -> bool:
        """Tell whether the vault of a node has attested a digest."""
        return hmac.compare_digest(self._code(node, digest), code)

    def _code(self, node: str, digest: bytes) -> bytes:
        named = len(node.encode()).to_bytes(2, "big") + node.encode() + digest
        return hmac.digest(self._attesting, named, "sha256")

    def records_kept(self) -> bool:
        """Tell whether this node's recorder has had records. Raises VaultUnavailableError."""
        return self._own.records or (self._founded and self._opened.state.records)

    def keep_records(self) -> None:
        """Say that it has. Raises VaultError."""
        if not self._own.records:
            self._keep(replace(self._own, records=True))
