"""Why a bundle is not deployed, or not started."""

from __future__ import annotations

from casemate.model.errors import ConflictError, NotFoundError


class UnsignedError(ConflictError):
    """Nobody vouches for the bundle who would have to."""


class NotVouchedError(NotFoundError):
    """Nobody vouches for the bundle any more, so nothing of it is started."""
