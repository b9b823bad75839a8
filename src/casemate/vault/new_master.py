"""What is sealed to the vault to change its master key."""

from __future__ import annotations

import msgspec

from casemate.vault.envelope import context
from casemate.vault.sealed import seal
from casemate.vault.sources import KeyParameters


class NewMaster(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed to the vault to change its master key."""

    source: str
    key: bytes
    parameters: KeyParameters
    present: bytes
    """The key that holds now, as proof that whoever asks could open the vault anyway."""

    def __repr__(self) -> str:
        """Leave out the keys."""
        return f"NewMaster(source={self.source!r})"


def master_info(vault: str) -> bytes:
    """Return what a sealed master key is bound to."""
    return context("sealed master key", vault)


def seal_master(public_key: bytes, vault: str, new: NewMaster) -> bytes:
    """Seal a new master key to the vault with the id `vault`, for `rotate_master`."""
    return seal(public_key, master_info(vault), msgspec.msgpack.encode(new))
