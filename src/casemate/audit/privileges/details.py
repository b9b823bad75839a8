"""What a function's code calls and reads, with places: what grants of a manifest are made of."""

from __future__ import annotations

import msgspec

from casemate.audit.model import Place
from casemate.audit.privileges.needs import Lost, Open, Part, Recorder

MAX_KEPT = 1_000
"""Calls of operations of one function; as many addresses, variables, and files."""


class Call(msgspec.Struct, frozen=True, order=True):
    """A call of an operation of the SDK on one resource."""

    place: Place
    service: str
    """As the SDK calls it."""
    operation: str
    """Such as `PutItem`; `GeneratePresignedUrl` and `BatchWriter.put_item` for what is none."""
    resource: str
    """As the code or the environment says it; `HOLE` within it where it is not known."""
    own: bool = True
    """False if it is made with other credentials than those of the function."""


class Named(msgspec.Struct, frozen=True, order=True):
    """A variable that is read, an address that is called, a file that is opened."""

    place: Place
    name: str


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, in the order of places."""

    calls: tuple[Call, ...] = ()
    variables: tuple[Named, ...] = ()
    addresses: tuple[Named, ...] = ()
    """With `HOLE` for what is not known."""
    files: tuple[Named, ...] = ()
    libraries: frozenset[str] = frozenset()
    """The first names of what is imported and is not the function's own."""
    unread: tuple[str, ...] = ()
    """Files that cannot be parsed."""
    open: tuple[Open, ...] = ()
    lost: tuple[Lost, ...] = ()
    why: str = ""
    """Why there may be more, if so."""


class _Kept:
    """What one part of the code told."""

    __slots__ = ("addresses", "calls", "files", "more", "variables")

    def __init__(self) -> None:
        self.calls: set[Call] = set()
        self.variables: set[Named] = set()
        self.addresses: set[Named] = set()
        self.files: set[Named] = set()
        self.more = False

    def keep(self, kept: set[Named], name: str, place: Place) -> None:
        if self.has_room(kept):
            kept.add(Named(place, name))

    def has_room(self, kept: set[Call] | set[Named]) -> bool:
        self.more = self.more or len(kept) >= MAX_KEPT
        return len(kept) < MAX_KEPT


class DetailRecorder(Recorder):
    """Gathers these beside the actions."""

    def __init__(self) -> None:
        """Know nothing yet."""
        super().__init__()
        self._kept: dict[Part, _Kept] = {}
        self._now = _Kept()
        self._libraries: set[str] = set()
        self._unread: dict[str, None] = {}

    def begin(self, part: Part) -> None:
        """Read a part of the code (again)."""
        super().begin(part)
        self._now = self._kept[part] = _Kept()

    def call(
        self, service: str, operation: str, resource: str, place: Place, *, own: bool = True
    ) -> None:
        """Tell of an operation."""
        if self._now.has_room(self._now.calls):
            self._now.calls.add(Call(place, service, operation, resource, own))

    def variable(self, name: str, place: Place) -> None:
        """Tell of a variable of the environment that is read."""
        self._now.keep(self._now.variables, name, place)

    def address(self, url: str, place: Place) -> None:
        """Tell of a server that is called."""
        self._now.keep(self._now.addresses, url, place)

    def file(self, path: str, place: Place) -> None:
        """Tell of a file that is opened."""
        self._now.keep(self._now.files, path, place)

    def library(self, name: str) -> None:
        """Tell of a library that is imported."""
        if len(self._libraries) < MAX_KEPT:
            self._libraries.add(name)

    def unread(self, file: str) -> None:
        """Tell of a file of the function that cannot be parsed."""
        if len(self._unread) < MAX_KEPT:
            self._unread[file] = None

    def details(self, why: str) -> Details:
        """Return all of it; `why` is why there may be more."""
        needs, parts = self.needs(), self._kept.values()
        calls = sorted({each for part in parts for each in part.calls})
        variables, addresses, files = (
            sorted({each for part in parts for each in getattr(part, kind)})
            for kind in ("variables", "addresses", "files")
        )
        more = any(part.more for part in parts) or any(
            len(each) > MAX_KEPT for each in (calls, variables, addresses, files)
        )
        return Details(
            calls=tuple(calls[:MAX_KEPT]),
            variables=tuple(variables[:MAX_KEPT]),
            addresses=tuple(addresses[:MAX_KEPT]),
            files=tuple(files[:MAX_KEPT]),
            libraries=frozenset(self._libraries),
            unread=tuple(self._unread),
            open=needs.open,
            lost=needs.lost,
            why=why or ("it calls and reads too much" if more else ""),
        )
