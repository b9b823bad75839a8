"""What is known of the vault and of the secrets in it: never a key, never a value."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

MAX_VALUE_BYTES = 64 * 1024
"""Of a secret."""
SEAL_OVERHEAD = 1137
"""By which a value is longer once it is sealed: format, encapsulated key and tag, as
`casemate.vault.sealed` writes them."""
MAX_SEALED_BYTES = MAX_VALUE_BYTES + SEAL_OVERHEAD
MAX_AT_ONCE = 100
"""Secrets that are set together."""


class SecretVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a secret, without its value."""

    project: str
    name: str
    version: int
    created_at: float
    created_by: str
    until: float | None = None
    """Of one that a rotation has replaced: until when it is accepted, and may be gone back to."""
    pending: bool = False
    """Made by a rotation, and not in use yet: only who asks for it by its number is given it."""
    value_of: int = 0
    """Of one that was gone back to: the version whose value it has. 0: it has one of its own."""


class ValueForm(StrEnum):
    """What a value looks like that the vault makes."""

    BYTES = "bytes"
    HEX = "hex"
    URL_SAFE = "url-safe"
    """Letters, digits, `-` and `_`."""
    PASSWORD = "password"  # noqa: S105
    """Lower and upper case, digits, and marks of `-._~`, at least one of each."""


LEAST_LENGTH = {
    ValueForm.BYTES: 16,
    ValueForm.HEX: 32,
    ValueForm.URL_SAFE: 22,
    ValueForm.PASSWORD: 22,
}
"""Bytes, or characters: with less a value could be guessed more easily than a key of 128 bits."""
MAX_LENGTH = 1024
MAX_OVERLAP_SECONDS = 7 * 86_400


class NewValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a random value is made."""

    form: ValueForm
    length: Annotated[int, msgspec.Meta(ge=16, le=MAX_LENGTH)]
    """Bytes, or characters."""


class SecretInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A secret and its versions, oldest first, without values."""

    project: str
    name: str
    versions: tuple[SecretVersion, ...]

    @property
    def in_use(self) -> SecretVersion | None:
        """Return the newest that is not prepared only; None: there is none yet."""
        return next((one for one in reversed(self.versions) if not one.pending), None)


class VaultStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the vault is."""

    vault: str
    """Its id, 32 hexadecimal digits made up with it: of all nodes of a cluster the same."""
    master_key: str
    """Where the master key comes from, such as `file:/etc/casemate/master.key`; never the key."""
    master_key_id: str
    """First 16 hexadecimal digits of a hash of it, to tell keys apart."""
    master_rotated_at: float
    projects: int
    secrets: int
    oldest_data_key_at: float | None
    """When the oldest of the projects' newest keys was made."""
    generation: int = 0
    """Counts the vault's writes; one that is lower than it was tells of an older copy."""
    memory_locked: bool = False
    """True if no page of the vault's memory can be written to swap (mlockall(2))."""
    unwritten: tuple[str, ...] = ()
    """What it could not write, since when, how often and why."""


INDEX_PREFIX = "index-"
"""How the name of a secret begins that is the login of a package index: who builds may have it."""


def is_for_index(name: str) -> bool:
    """Tell whether a secret is the login of a package index, by its name."""
    return name.startswith(INDEX_PREFIX) and len(name) > len(INDEX_PREFIX)
