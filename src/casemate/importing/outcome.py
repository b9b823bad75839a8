"""What came of an import: what was made, what has to be changed, what is left for a person."""

from __future__ import annotations

import msgspec

from casemate.audit.model import Place
from casemate.importing.limits import MAX_SHOWN, MAX_TOLD
from casemate.shown_text import UNSAFE


def shown(text: str, most: int = MAX_SHOWN) -> str:
    """Return a text of the application on one line that no terminal or editor obeys."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return UNSAFE.sub("\N{REPLACEMENT CHARACTER}", cut)


def shown_place(place: Place) -> Place:
    """Return a place whose file, which the application names, is shown on one line."""
    return Place(shown(place.file), place.line, place.column)


class Left(msgspec.Struct, frozen=True, order=True):
    """Something that has no counterpart here, or that nobody but a person can decide."""

    place: Place
    what: str
    next: str
    blocking: bool = False
    """True if a function was left out, or does not do its work, until it is done."""


class Change(msgspec.Struct, frozen=True, order=True):
    """A place in the code that has to be changed by hand. The file is that of the project."""

    place: Place
    call: str
    instead: str


class Opened(msgspec.Struct, frozen=True, order=True):
    """A function that the template lets everybody call."""

    function: str
    place: Place
    accepted: bool
    """False: it was written closed."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """One function of the project."""

    name: str
    was: str
    place: Place
    handler: str
    source: str
    routes: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    project: str
    folder: str
    platform: str
    template: str
    functions: tuple[Made, ...] = ()
    resources: tuple[str, ...] = ()
    """Such as `table users`."""
    secrets: tuple[str, ...] = ()
    """Names to set with `casemate secrets set`. Their values are nowhere in the folder."""
    opened: tuple[Opened, ...] = ()
    changes: tuple[Change, ...] = ()
    left: tuple[Left, ...] = ()
    files: int = 0


class Notes:
    """Collects what is left and what has to be changed, each once, no more than is of use."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._left: dict[Left, None] = {}
        self._changes: dict[Change, None] = {}
        self.dropped = 0

    def leave(self, place: Place, what: str, next: str, *, blocking: bool = False) -> None:
        """Tell of what is left for a person."""
        found = Left(
            shown_place(place), shown(what, 2 * MAX_SHOWN), shown(next, 4 * MAX_SHOWN), blocking
        )
        if len(self._left) < MAX_TOLD:
            self._left[found] = None
        else:
            self.dropped += 1

    def change(self, place: Place, call: str, instead: str) -> None:
        """Tell of a place in the code."""
        if len(self._changes) < MAX_TOLD:
            instead = shown(instead, 2 * MAX_SHOWN)
            self._changes[Change(shown_place(place), shown(call), instead)] = None
        else:
            self.dropped += 1

    @property
    def left(self) -> tuple[Left, ...]:
        """Return what is left, that which blocks first, in the order of places."""
        found = sorted(self._left, key=lambda each: (not each.blocking, each))
        if self.dropped:
            what = f"{self.dropped} more entries are not listed"
            found.append(Left(Place("."), what, "import a part of the application by itself"))
        return tuple(found)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return the places in the code, in their order."""
        return tuple(sorted(self._changes))
