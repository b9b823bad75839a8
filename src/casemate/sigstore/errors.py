"""Why something that Sigstore's keys signed is not believed."""

from __future__ import annotations

from casemate.model.errors import InvalidInputError


class AttestationError(InvalidInputError):
    """An attestation does not hold."""


class TrustedRootError(InvalidInputError):
    """A file of trusted keys cannot be used."""
