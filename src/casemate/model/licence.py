"""Licences of the packages of functions: which may be, and what bundles state."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class UnknownLicences(StrEnum):
    """What is done about packages whose licence is not known."""

    REFUSED = "refused"
    ALLOWED = "allowed"


class LicenceRules(msgspec.Struct, frozen=True, kw_only=True):
    """Which licences packages of functions may have."""

    allowed: tuple[str, ...] | None = None
    """As SPDX names them. None: there is no rule, and nothing is refused; empty: none may be."""
    unknown: UnknownLicences = UnknownLicences.REFUSED


class PackageLicence(msgspec.Struct, frozen=True, kw_only=True):
    """One licence that a package in a bundle states. Of several, all hold."""

    package: str
    version: str
    expression: str
    """An expression of SPDX; empty: it is not known."""
    stated: str = ""
    """What is stated instead, or why nothing is known."""
