"""What a function's code calls and reads, with places: what grants of a manifest are made of."""

from __future__ import annotations

import msgspec

from casemate.audit.model import Place
from casemate.audit.privileges.needs import Lost, Open, Recorder

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


class DetailRecorder(Recorder):
    """Gathers these beside the actions."""

    def __init__(self) -> None:
        """Know nothing yet."""
        super().__init__()
        self._calls: set[Call] = set()
        self._variables: set[Named] = set()
        self._addresses: set[Named] = set()
        self._files: set[Named] = set()
        self._libraries: set[str] = set()
        self._unread: dict[str, None] = {}
        self._more = False

    def forget(self) -> None:
        """Begin again. Which files and libraries there are stays as it was."""
        super().forget()
        for each in (self._calls, self._variables, self._addresses, self._files):
            each.clear()
        self._more = False

    def call(
        self, service: str, operation: str, resource: str, place: Place, *, own: bool = True
    ) -> None:
        """Tell of an operation."""
        if self._room(self._calls):
            self._calls.add(Call(place, service, operation, resource, own))

    def variable(self, name: str, place: Place) -> None:
        """Tell of a variable of the environment that is read."""
        self._keep(self._variables, name, place)

    def address(self, url: str, place: Place) -> None:
        """Tell of a server that is called."""
        self._keep(self._addresses, url, place)

    def file(self, path: str, place: Place) -> None:
        """Tell of a file that is opened."""
        self._keep(self._files, path, place)

    def library(self, name: str) -> None:
        """Tell of a library that is imported."""
        if self._room(self._libraries):
            self._libraries.add(name)

    def unread(self, file: str) -> None:
        """Tell of a file of the function that cannot be parsed."""
        if len(self._unread) < MAX_KEPT:
            self._unread[file] = None

    def _keep(self, kept: set[Named], name: str, place: Place) -> None:
        if self._room(kept):
            kept.add(Named(place, name))

    def _room(self, kept: set[Call] | set[Named] | set[str]) -> bool:
        self._more = self._more or len(kept) >= MAX_KEPT
        return len(kept) < MAX_KEPT

    def details(self, why: str) -> Details:
        """Return all of it; `why` is why there may be more."""
        needs = self.needs()
        return Details(
            calls=tuple(sorted(self._calls)),
            variables=tuple(sorted(self._variables)),
            addresses=tuple(sorted(self._addresses)),
            files=tuple(sorted(self._files)),
            libraries=frozenset(self._libraries),
            unread=tuple(self._unread),
            open=needs.open,
            lost=needs.lost,
            why=why or ("it calls and reads too much" if self._more else ""),
        )
