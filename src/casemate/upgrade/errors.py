"""What an upgrade is refused with."""

from __future__ import annotations

from casemate.model.errors import CasemateError


class UpgradeError(CasemateError):
    """The upgrade is not possible."""


class ReleaseError(UpgradeError):
    """What was given is not a release that can be relied upon."""
