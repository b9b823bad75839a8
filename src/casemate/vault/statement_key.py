"""The keys that sign what the node says, one for each kind of statement (Ed25519, RFC 8032).

Each is derived from a version of the node's own data key, so that it goes with it: it is one on all
nodes that share the vault, is in each backup of it, and is another one once that key is rotated,
where what the former ones have signed still verifies.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casemate.vault.data_keys import DataKeys
from casemate.vault.envelope import context
from casemate.vault.open_state import OpenState

PLAYBOOK = "playbook"
BACKUP = "backup"
_VERSION_BYTES = 4
_SIGNATURE_BYTES = 64


class StatementSigning:
    """Signs and verifies statements of one kind: a signature names the version of its key."""

    def __init__(self, kind: str, opened: OpenState, keys: DataKeys) -> None:
        """Use the node's own key of `keys`, which are those in `opened`."""
        self._kind = kind
        self._opened = opened
        self._keys = keys

    def _key(self, version: int) -> Ed25519PrivateKey:
        info = context(f"{self._kind} signing key", self._opened.vault, version)
        return Ed25519PrivateKey.from_private_bytes(self._keys.key("", version, info))

    def _bound(self, version: int, statement: bytes) -> bytes:
        return context(self._kind, self._opened.vault, version, statement)

    def sign(self, statement: bytes) -> bytes:
        """Return the signature of a statement by the newest key."""
        version = self._keys.newest("")
        signature = self._key(version).sign(self._bound(version, statement))
        return version.to_bytes(_VERSION_BYTES, "big") + signature

    def is_signed(self, statement: bytes, signature: bytes) -> bool:
        """Tell whether this vault has signed a statement.

        Raises NotFoundError for a version of the key that it does not have, VaultDamagedError.
        """
        if len(signature) != _VERSION_BYTES + _SIGNATURE_BYTES:
            return False
        version = int.from_bytes(signature[:_VERSION_BYTES], "big")
        public = self._key(version).public_key()
        try:
            public.verify(signature[_VERSION_BYTES:], self._bound(version, statement))
        except InvalidSignature:
            return False
        return True
