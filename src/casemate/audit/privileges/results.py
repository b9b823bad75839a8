"""What a function is granted beside what it needs, as rules and outputs take it."""

from __future__ import annotations

import msgspec

from casemate.audit.model import Place
from casemate.audit.privileges.needs import Open


class Surplus(msgspec.Struct, frozen=True, kw_only=True):
    """Actions that one statement grants and the code does not call on its resources."""

    place: Place
    origin: str
    pattern: str
    """As it is granted: `dynamodb:*`, `s3:PutObject`."""
    actions: tuple[str, ...]
    """Those that it stands for and that are not needed."""
    kept: tuple[str, ...]
    """Those that it stands for and that are."""
    resources: tuple[str, ...]
    others: tuple[str, ...] = ()
    """Functions with the same role that need one of them."""

    @property
    def wild(self) -> bool:
        """Tell whether one pattern grants more than one action."""
        return "*" in self.pattern or "?" in self.pattern


class Wide(msgspec.Struct, frozen=True, kw_only=True):
    """Actions that are granted on everything, and called on what the code names."""

    place: Place
    origin: str
    actions: tuple[str, ...]
    granted: tuple[str, ...]
    named: tuple[str, ...]


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """A resource of a statement that none of its actions is called on."""

    place: Place
    origin: str
    resource: str
    actions: tuple[str, ...]


class Privileges(msgspec.Struct, frozen=True, kw_only=True):
    """All that is to be said of one function."""

    application: str
    function: str
    place: Place
    needed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Actions, and the resources that the code names; an empty name where it is not known."""
    surplus: tuple[Surplus, ...] = ()
    wide: tuple[Wide, ...] = ()
    idle: tuple[Idle, ...] = ()
    undecided: tuple[Open, ...] = ()
    """Services whose rights the code does not decide, and why."""
    missing: tuple[str, ...] = ()
    """Actions that the code calls and nothing that is known grants."""
    minimal: str = ""
    """The least that is enough, to paste: a policy of IAM, or grants of a manifest."""

    @property
    def needless(self) -> tuple[str, ...]:
        """Return each action that is granted somewhere and not needed there, once."""
        return tuple(dict.fromkeys(a for each in self.surplus for a in each.actions))
