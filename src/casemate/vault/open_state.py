"""The vault's state while it is open: read once, changed only by writing it whole."""

from __future__ import annotations

import time

import msgspec

from casemate.vault import envelope, sealed_x25519
from casemate.vault.envelope import context
from casemate.vault.errors import VaultDamagedError, VaultError, VaultMissingError
from casemate.vault.folder import MAX_FILE, VaultFolder
from casemate.vault.sealed import PUBLIC_KEY_BYTES, new_private_key, public_key_of, refused, unseal
from casemate.vault.sources import KeyParameters
from casemate.vault.state import (
    NEW,
    STATE_FILE,
    Header,
    State,
    decode_state,
    encode_state,
    read_header,
    wrapping_key,
)

_HYBRID, _X25519 = "hybrid sealing", "sealing"
"""What the wrapped private keys are bound to."""


class MasterKey(msgspec.Struct, frozen=True, kw_only=True):
    """A master key with what is kept to have it again."""

    source: str
    key: bytes
    parameters: KeyParameters

    def __repr__(self) -> str:
        """Leave out the key."""
        return f"MasterKey(source={self.source!r})"


def stored_header(folder: VaultFolder) -> Header | None:
    """Return the head of the vault in `folder`, None if there is no vault yet."""
    data = folder.read(STATE_FILE)
    if data is not None:
        return read_header(data)
    others = [name for name in folder.names() if name.endswith(".secret")]
    if others:
        raise VaultDamagedError(
            f"{folder.path / STATE_FILE} is missing beside {len(others)} files of secrets.",
            next_step="Restore the folder data/vault from a backup.",
        )
    return None


class OpenState:
    """Head, body and master key of one vault."""

    def __init__(self, folder: VaultFolder, header: Header, state: State, master: bytes) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self.header = header
        self.state = state
        self._master = master
        self._wrapping = wrapping_key(header.vault, master)

    @classmethod
    def create(cls, folder: VaultFolder, master: MasterKey) -> OpenState:
        """Make a new vault. Raises VaultError."""
        now = time.time()
        private = new_private_key()
        header = Header(
            vault=envelope.new_key().hex()[:32],
            generation=NEW,
            created_at=now,
            source=master.source,
            parameters=master.parameters,
            key_id=envelope.key_id(master.key),
            rotated_at=now,
            public_key=public_key_of(private),
        )
        opened = cls(folder, header, State(sealing=b""), master.key)
        sealing = opened.wrap_key(_HYBRID, private)
        opened.state = State(sealing=sealing)
        folder.write(STATE_FILE, encode_state(header, opened.state, master.key))
        return opened

    @classmethod
    def open(cls, folder: VaultFolder, master: bytes) -> OpenState:
        """Open the vault in `folder`. Raises WrongMasterKeyError, VaultDamagedError."""
        folder.remove_unfinished()
        data = folder.read(STATE_FILE)
        if data is None:
            raise VaultMissingError(
                f"There is no vault in {folder.path}.", next_step="Restore it from a backup."
            )
        opened = cls(folder, *decode_state(data, master), master)
        if len(opened.header.public_key) != PUBLIC_KEY_BYTES:
            opened._add_hybrid()
        return opened

    def _add_hybrid(self) -> None:
        """Give a vault from before the hybrid a key of it; what was sealed to the old one opens."""
        private = new_private_key()
        header = msgspec.structs.replace(self.header, public_key=public_key_of(private))
        sealing = self.wrap_key(_HYBRID, private)
        state = msgspec.structs.replace(
            self.state, sealing=sealing, sealing_x25519=self.state.sealing
        )
        self.commit(state, header=header)

    @property
    def vault(self) -> str:
        """The vault's id."""
        return self.header.vault

    @property
    def master(self) -> bytes:
        """The master key."""
        return self._master

    def commit(
        self, state: State, *, header: Header | None = None, master: bytes | None = None
    ) -> None:
        """Write `state` and go on with it. Raises VaultError; then nothing has changed."""
        key = self._master if master is None else master
        head = msgspec.structs.replace(header or self.header, generation=self.header.generation + 1)
        data = encode_state(head, state, key)
        if len(data) > MAX_FILE:
            raise VaultError(
                f"The vault would have {len(data)} bytes, and at most {MAX_FILE} are allowed.",
                next_step="Delete secrets that nobody uses: casemate secrets ls",
            )
        try:
            self.folder.write(STATE_FILE, data)
        except VaultError:
            # Renamed, but the folder could not be fsynced: what is on the disk is what holds.
            if self.folder.read(STATE_FILE) == data:
                self.adopt(head, state, key)
            raise
        self.adopt(head, state, key)

    def adopt(self, header: Header, state: State, master: bytes) -> None:
        """Go on with what the folder holds."""
        self.header, self.state = header, state
        self._master = master
        self._wrapping = wrapping_key(header.vault, master)

    def wrap_key(
        self, label: str, key: bytes, *parts: str | int, wrapping: bytes | None = None
    ) -> bytes:
        """Encrypt a key under the master key; `label` and `parts` say which key it is."""
        info = context("wrapped key", self.vault, label, *parts)
        return envelope.encrypt(wrapping or self._wrapping, key, info)

    def unwrap_key(self, label: str, wrapped: bytes, *parts: str | int) -> bytes:
        """Return what `wrap_key` was given. Raises DecryptionError."""
        info = context("wrapped key", self.vault, label, *parts)
        return envelope.decrypt(self._wrapping, wrapped, info)

    def own_key(self, label: str) -> bytes:
        """Return a key that stays whatever becomes of the master key: of the private one."""
        private = self.unwrap_key(_HYBRID, self.state.sealing)
        return envelope.derive(private, context(label, self.vault))

    def unseal(self, info: bytes, sealed: bytes) -> bytes:
        """Return a value sealed to the vault's public key. Raises VaultInputError."""
        if sealed[:1] != sealed_x25519.FORMAT:
            return unseal(self.unwrap_key(_HYBRID, self.state.sealing), info, sealed)
        if self.state.sealing_x25519 is None:
            raise refused()
        private = self.unwrap_key(_X25519, self.state.sealing_x25519)
        return sealed_x25519.unseal(private, info, sealed)

    def rewrapped_sealing(self, wrapping: bytes) -> tuple[bytes, bytes | None]:
        """Return both private keys of sealed values as another wrapping key protects them."""
        old = self.state.sealing_x25519
        return (
            self._rewrapped(_HYBRID, self.state.sealing, wrapping),
            None if old is None else self._rewrapped(_X25519, old, wrapping),
        )

    def _rewrapped(self, label: str, wrapped: bytes, wrapping: bytes) -> bytes:
        return self.wrap_key(label, self.unwrap_key(label, wrapped), wrapping=wrapping)
