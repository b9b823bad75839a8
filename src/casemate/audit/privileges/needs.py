"""What a function's code needs: actions with the resources they are called on, and what is open."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from casemate.audit.model import Place
from casemate.audit.privileges.values import HOLE

Part: TypeAlias = str | int
"""A module by its file, a function by its number; empty for the call of the handler."""
EVERY = "*"
"""Of services: all of them."""
_MAX_OPEN = 200
_MAX_LOST = 1_000


class Need(msgspec.Struct, frozen=True, order=True):
    """One action on one resource, and where the code calls it."""

    action: str
    resource: str
    """As the code or the environment says it; `HOLE` within it where it is not known."""
    place: Place
    sure: bool = True
    """False if the call needs it in some cases only: then it is no surplus, if it is granted."""

    @property
    def known(self) -> bool:
        """Tell whether it is known on which resource."""
        return HOLE not in self.resource


class Open(msgspec.Struct, frozen=True, order=True):
    """A service whose rights cannot be decided on, and why."""

    service: str
    """What stands before the colon in actions; `*` for every service."""
    place: Place
    what: str


class Lost(msgspec.Struct, frozen=True, order=True):
    """A call of a method on something that is not known, which is called as an operation is."""

    method: str
    place: Place


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of what one function needs."""

    uses: tuple[Need, ...] = ()
    open: tuple[Open, ...] = ()
    lost: tuple[Lost, ...] = ()


class _Part:
    """What one part of the code told: a module, or a function."""

    __slots__ = ("lost", "open", "uses")

    def __init__(self) -> None:
        self.uses: set[Need] = set()
        self.open: dict[tuple[str, str], Open] = {}
        self.lost: set[Lost] = set()


class Recorder:
    """Gathers needs while code is read, each once."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._parts: dict[Part, _Part] = {}
        self._part = _Part()

    def begin(self, part: Part) -> None:
        """Read a part of the code (again): what it told before all was known counts no more."""
        self._part = self._parts[part] = _Part()

    def need(self, action: str, resource: str, place: Place, *, sure: bool = True) -> None:
        """Tell of an action."""
        self._part.uses.add(Need(action, resource, place, sure))

    def open(self, service: str, place: Place, what: str) -> None:
        """Tell that a service cannot be decided on."""
        if len(self._part.open) < _MAX_OPEN or service == EVERY:
            self._part.open.setdefault((service, what), Open(service, place, what))

    # -- what only grants of a manifest are made of: see `details` ---------------------------------

    def call(
        self, service: str, operation: str, resource: str, place: Place, *, own: bool = True
    ) -> None:
        """Tell of an operation. `own` is False if it is called with other credentials."""

    def variable(self, name: str, place: Place) -> None:
        """Tell of a variable of the environment that is read."""

    def address(self, url: str, place: Place) -> None:
        """Tell of a server that is called."""

    def file(self, path: str, place: Place) -> None:
        """Tell of a file that is opened."""

    def library(self, name: str) -> None:
        """Tell of a library that is imported."""

    def unread(self, file: str) -> None:
        """Tell of a file of the function that cannot be parsed."""

    # ------------------------------------------------------------------------------------------

    def lost(self, method: str, place: Place) -> None:
        """Tell of a call that may be one of an operation."""
        if len(self._part.lost) < _MAX_LOST:
            self._part.lost.add(Lost(method, place))

    def needs(self) -> Needs:
        """Return all of it."""
        open_: dict[tuple[str, str], Open] = {}
        for part in self._parts.values():
            for key, each in part.open.items():
                open_.setdefault(key, each)
        return Needs(
            uses=tuple(sorted({each for part in self._parts.values() for each in part.uses})),
            open=tuple(sorted(open_.values())),
            lost=tuple(sorted({each for part in self._parts.values() for each in part.lost})),
        )
