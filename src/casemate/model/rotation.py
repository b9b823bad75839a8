"""How secrets get other values without anybody choosing one."""

from __future__ import annotations

import msgspec

from casemate.model.vault import NewValue


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """How a new value of a secret is made, and how long the one before is good for."""

    project: str
    name: str
    value: NewValue
    overlap: int
    """Seconds."""
    function: str = ""
    """Of the project, that sets it where it is checked; empty: nobody has to be told."""
    by: str
    """Who has said so."""
    since: float


class SecretRotation(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that has another value."""

    project: str
    name: str
    version: int
    former: int
    """The version before; 0: there was none."""
    until: float | None
    """Until when that one is accepted, and may be gone back to; none: it is not any more."""
    function: str = ""
    """Who has set it outside."""
