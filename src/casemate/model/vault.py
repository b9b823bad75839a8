"""What is known of the vault and of the secrets in it: never a key, never a value."""

from __future__ import annotations

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


class SecretInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A secret and its versions, oldest first, without values."""

    project: str
    name: str
    versions: tuple[SecretVersion, ...]


class VaultStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the vault is."""

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


INDEX_PREFIX = "index-"
"""How the name of a secret begins that is the login of a package index: who builds may have it."""


def is_for_index(name: str) -> bool:
    """Tell whether a secret is the login of a package index, by its name."""
    return name.startswith(INDEX_PREFIX) and len(name) > len(INDEX_PREFIX)
