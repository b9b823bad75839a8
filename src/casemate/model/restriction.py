"""What is held back until somebody lifts it: of a function, a project, or the node."""

from __future__ import annotations

from enum import StrEnum

import msgspec

MAX_WHAT = 253
EVERYTHING = "*"
"""Every host, or every secret."""


class RestrictionKind(StrEnum):
    """What is held back."""

    ALIAS = "alias"
    """No alias of a function is moved: by no deploy, promotion, rollback or removal."""
    HOST = "host"
    """No connection to a host outside is made, and those that there are end."""
    ADDRESS = "address"
    """No call is taken from an address."""
    SECRET = "secret"  # noqa: S105
    """No function is given a secret's value, until it has another one."""


class Restriction(msgspec.Struct, frozen=True, kw_only=True):
    """One of them."""

    id: str
    kind: RestrictionKind
    project: str
    """Empty: of the whole node."""
    function: str
    """Empty: of all functions of the project."""
    what: str
    """A host, an address or network, a secret's name, or `*`; of aliases empty."""
    reason: str
    by: str
    since: float
    """Unix time."""

    @property
    def of(self) -> str:
        """Return whose it is, in words."""
        if self.function:
            return f"{self.project}/{self.function}"
        return self.project or "the node"
