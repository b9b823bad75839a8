"""What is kept of the decoys of a node: which generation each project is at, and which are off.

A project of which nothing is kept has its first decoys, all of them on.
"""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from casemate.decoding import decodable
from casemate.model.decoy import DecoyKind, DecoySetting
from casemate.store.interface import Store
from casemate.store.value import KeptValues

_PARTS = 16
"""A value of the store is bounded; the projects are spread over so many."""
MAX_GENERATIONS = 8
"""Generations that are watched for: who stole a decoy does not know that it was replaced."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Those of one project."""

    generations: tuple[tuple[int, int], ...] = ((1, 1),)
    """Generation and version of the project's key, the newest last."""
    off: tuple[DecoySetting, ...] = ()

    @property
    def kinds_off(self) -> frozenset[DecoyKind]:
        """Which decoys are off."""
        return frozenset(each.kind for each in self.off)

    def rotated(self, key: int) -> Settings:
        """Return those with new decoys, of a version of the project's key."""
        newest = (self.generations[-1][0] + 1, key)
        kept = (*self.generations, newest)[-MAX_GENERATIONS:]
        return msgspec.structs.replace(self, generations=kept)

    def with_one(self, kind: DecoyKind, setting: DecoySetting | None) -> Settings:
        """Return those with a decoy off by `setting`, on without one."""
        others = tuple(each for each in self.off if each.kind is not kind)
        off = others if setting is None else (*others, setting)
        return msgspec.structs.replace(self, off=off)


class KeptSettings:
    """Keeps them in the store. Belongs to one event loop."""

    def __init__(self, store: Store) -> None:
        """Read nothing yet."""
        self._values = KeptValues(store, [_name(part) for part in range(_PARTS)])
        self._parts: list[dict[str, Settings]] = [{} for _ in range(_PARTS)]
        self._writing = asyncio.Lock()

    async def load(self) -> tuple[str, ...]:
        """Read them; return the projects of which anything is kept."""
        async with self._writing:
            self._parts = [_settings(value) for value in await self._values.read()]
        return tuple(project for part in self._parts for project in part)

    def of(self, project: str) -> Settings:
        """Return those of a project."""
        return self._parts[_part(project)].get(project, Settings())

    async def keep(self, project: str, settings: Settings) -> None:
        """Keep those of a project. They hold once this returns."""
        part = _part(project)
        async with self._writing:
            changed = {**self._parts[part], project: settings}
            await self._values[part].write(msgspec.json.encode(changed))
            self._parts[part] = changed


def _settings(value: bytes | None) -> dict[str, Settings]:
    if value is None:
        return {}
    return msgspec.json.decode(value, type=decodable(dict[str, Settings]))


def _part(project: str) -> int:
    return hashlib.sha256(project.encode()).digest()[0] % _PARTS


def _name(part: int) -> str:
    return f"decoys {part}"
