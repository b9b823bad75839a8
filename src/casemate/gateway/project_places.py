"""In which database each project lives, and which databases there are: as the control store says.

Both are values of the store, which a key of the vault proves where nodes share it: who can write
the database can move no project, and have none taken for another. A project is placed once, by
whichever node is first; how often it has moved since is in its own database as well.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from casemate.data.postgresql.binding import MAIN, Binding
from casemate.data.postgresql.placements import Placement
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import ConflictError
from casemate.model.processes import MAX_DATABASES
from casemate.nodes import Part
from casemate.store.errors import StoreError, StoreMovedError
from casemate.store.interface import Store
from casemate.store.value import KeptValue

_TRIES = 8
_PARTS = 16
"""A value of the store is bounded; the projects are spread over so many, some 7,000 in each."""
_PLACES, _DATABASES = "places of projects", "databases of projects"
_ID_BYTES = 16


class ProjectPlaces:
    """Satisfies `Placements`, which documents the calls. Belongs to one event loop."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`; nothing is known before `load`."""
        self._values = [KeptValue(store, f"{_PLACES} {part}") for part in range(_PARTS)]
        self._ids = KeptValue(store, _DATABASES)
        self._changing = asyncio.Lock()
        self.known: Mapping[str, Placement] = {}
        self.on_changed: Callable[[], None] = lambda: None
        """Called when a project lives elsewhere than was known."""

    def part(self) -> Part:
        """Return what is read again when another node has placed or moved a project."""
        return Part(
            name="places of projects", topics=frozenset({f"value {_PLACES}"}), reload=self.load
        )

    async def load(self) -> None:
        """Read where all projects live. Raises StoreError."""
        async with self._changing:
            found: dict[str, Placement] = {}
            for part in range(_PARTS):
                found |= await self._read(part)
            self._know(found)

    def moves_in(self, database: str) -> Callable[[str], int | None]:
        """Return what tells how often a project has moved that lives in a database. Any thread."""

        def moves(project: str) -> int | None:
            found = self.known.get(project)
            if found is None:
                return 0 if database == MAIN else None
            return found.moves if found.database == database else None

        return moves

    async def find(self, project: str) -> Placement | None:
        """Return what is stored at this moment. Raises StoreError."""
        async with self._changing:
            return (await self._refreshed(project)).get(project)

    async def place(self, project: str, database: str) -> Placement:
        """Place a project that has no place; return where it lives, if another node was first."""

        def placed(found: Placement | None) -> Placement:
            return found or Placement(database)

        return await self.change(project, placed)

    async def change(
        self, project: str, wanted: Callable[[Placement | None], Placement]
    ) -> Placement:
        """Have a project live where `wanted` says of where it lives now; return that.

        It is asked again if another node was faster. What it raises is raised, and StoreError.
        """
        async with self._changing:
            for _ in range(_TRIES):
                there = await self._refreshed(project)
                before = there.get(project)
                after = wanted(before)
                if after == before:
                    return after
                try:
                    await self._write(_part(project), {**there, project: after})
                except StoreMovedError:  # another node has placed or moved one meanwhile
                    continue
                self._know({**self.known, project: after})
                return after
        raise StoreMovedError("Other nodes place projects all the time.", next_step="Try again.")

    async def _refreshed(self, project: str) -> dict[str, Placement]:
        part = _part(project)
        there = await self._read(part)
        others = {name: where for name, where in self.known.items() if _part(name) != part}
        self._know(others | there)
        return there

    def _know(self, found: Mapping[str, Placement]) -> None:
        if found != self.known:
            self.known = found
            self.on_changed()

    async def _read(self, part: int) -> dict[str, Placement]:
        value = await self._values[part].read()
        found: dict[str, Placement] = _decoded(value, dict[str, Placement])
        return found

    async def _write(self, part: int, places: Mapping[str, Placement]) -> None:
        await self._values[part].write(msgspec.json.encode(dict(sorted(places.items()))))

    # -- which databases there are -------------------------------------------------------------

    async def bindings(self, names: Collection[str]) -> dict[str, Binding]:
        """Return what each of the databases is to be that this node was told of, by name.

        One that is new gets an id, for all nodes. Raises ConflictError if this node was not told
        of one in which projects live, StoreError.
        """
        for _ in range(_TRIES):
            value = await self._ids.read()
            known: dict[str, str] = _decoded(value, dict[str, str])
            used = self._used() - {MAIN}
            if missing := sorted(used - set(names)):
                raise ConflictError(
                    f"Projects live in the databases {', '.join(missing[:5])} as well, of which "
                    "this node was not told.",
                    next_step="Start it with the same --databases as the other nodes.",
                )
            new = {name: secrets.token_hex(_ID_BYTES) for name in names if name not in known}
            if not new:
                return self._bindings({name: known[name] for name in names})
            if len(known) + len(new) > MAX_DATABASES:
                raise ConflictError(f"There can be at most {MAX_DATABASES} databases of projects.")
            try:
                await self._ids.write(msgspec.json.encode(known | new))
            except StoreMovedError:
                continue
            return self._bindings({name: (known | new)[name] for name in names})
        raise StoreMovedError("Other nodes name databases all the time.", next_step="Try again.")

    def _used(self) -> set[str]:
        """Return where projects live, or are on their way to."""
        return {name for one in self.known.values() for name in (one.database, one.to) if name}

    def _bindings(self, ids: Mapping[str, str]) -> dict[str, Binding]:
        used = self._used()
        found = {name: Binding(name, id, name in used, False) for name, id in ids.items()}
        return found | {MAIN: Binding(alone=not ids)}


def _decoded(value: bytes | None, kind: Any) -> Any:
    if not value:
        return {}
    try:
        return msgspec.json.decode(value, type=decodable(kind))
    except DECODING_ERRORS as error:
        raise StoreError(
            "The control store says where projects live in a form that is not known.",
            next_step="Start the newest Casemate that any node of the cluster has.",
        ) from error


def _part(project: str) -> int:
    return hashlib.sha256(project.encode()).digest()[0] % _PARTS
