"""A certificate with its key, for whoever only uses it."""

from __future__ import annotations

import msgspec

from casemate.model.errors import CasemateError


class CertificateError(CasemateError):
    """A certificate or its key cannot be used."""


class KeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate, or a chain with the server's own first, and its key; both PEM.

    The representation does not show the key.
    """

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Leave out the key."""
        return f"KeyPair(certificate={self.certificate!r})"
