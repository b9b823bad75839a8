"""The vault: a process of its own that keeps the master key, projects' keys and secrets.

What it is: envelope encryption of keys, secrets and their delivery, redaction, token signing, and
the encryption of files in chunks. What it is not: it decides nothing. Whether somebody may have a
secret is decided before the vault gets the request. May import `casemate.model` and, as a process,
`casemate.child`.
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred
from casemate.model.vault import VaultStatus
from casemate.vault.errors import (
    DecryptionError,
    MasterKeySourceError,
    VaultConflictError,
    VaultDamagedError,
    VaultError,
    VaultInputError,
    VaultMissingError,
    VaultUnavailableError,
    WrongMasterKeyError,
)
from casemate.vault.interface import Mac, Vault

if TYPE_CHECKING:
    from casemate.vault.client import VaultClient
    from casemate.vault.sealed import MIN_VALUE_BYTES, seal_value
    from casemate.vault.start import VaultProcess, start_vault
    from casemate.vault.stream import (
        decrypt_stream,
        decrypted_chunks,
        encrypt_stream,
        sealed_size,
    )
else:
    __getattr__ = deferred(
        __name__,
        client=("VaultClient",),
        sealed=(
            "MIN_VALUE_BYTES",
            "seal_value",
        ),
        start=(
            "VaultProcess",
            "start_vault",
        ),
        stream=(
            "decrypt_stream",
            "decrypted_chunks",
            "encrypt_stream",
            "sealed_size",
        ),
    )

__all__ = [
    "MIN_VALUE_BYTES",
    "DecryptionError",
    "Mac",
    "MasterKeySourceError",
    "Vault",
    "VaultClient",
    "VaultConflictError",
    "VaultDamagedError",
    "VaultError",
    "VaultInputError",
    "VaultMissingError",
    "VaultProcess",
    "VaultStatus",
    "VaultUnavailableError",
    "WrongMasterKeyError",
    "decrypt_stream",
    "decrypted_chunks",
    "encrypt_stream",
    "seal_value",
    "sealed_size",
    "start_vault",
]
