"""What can go wrong with the vault. No message ever holds a key or a value."""

from __future__ import annotations

from casemate.model.errors import (
    CasemateError,
    ConflictError,
    InvalidInputError,
    OutOfServiceError,
    UnavailableError,
)


class VaultError(CasemateError):
    """The vault cannot do this."""


class VaultUnavailableError(VaultError, UnavailableError):
    """The vault does not answer."""


class VaultUnsureError(VaultUnavailableError):
    """It is not known whether the vault was changed."""


class VaultInputError(VaultError, InvalidInputError):
    """The vault was given something that it does not take."""


class VaultConflictError(VaultError, ConflictError):
    """The change conflicts with what the vault keeps."""


class VaultDamagedError(VaultError):
    """A file of the vault is not as the vault wrote it."""


class VaultMissingError(VaultError, OutOfServiceError):
    """There is no vault here."""


class WrongMasterKeyError(VaultError, OutOfServiceError):
    """The vault was wrapped with another master key."""


class MasterKeySourceError(VaultError, InvalidInputError):
    """The master key cannot be had from its source."""


class DecryptionError(VaultError):
    """The ciphertext is not what was encrypted with this key in this context."""
