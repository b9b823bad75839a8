"""What `casemate doctor` says of one protection."""

from __future__ import annotations

import msgspec

from casemate.model.errors import CasemateError


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One protection as it was found."""

    name: str
    holds: bool
    detail: str
    next_step: str = ""
    required: bool = True
    """False if a node starts without it; what is left open then is in SECURITY.md."""


def missing(name: str, error: Exception) -> Finding:
    """Return what is said of a protection that could not be had."""
    next_step = error.next_step if isinstance(error, CasemateError) else None
    message = error.message if isinstance(error, CasemateError) else str(error)
    return Finding(name=name, holds=False, detail=message, next_step=next_step or "")
