"""Many small things that the node keeps for itself, spread over values of the store.

A value is bounded and written as a whole: each part holds those whose key falls to it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.store.errors import StoreError, StoreMovedError
from casemate.store.interface import Store
from casemate.store.value import KeptValues

T = TypeVar("T", bound=msgspec.Struct)
PARTS = 64
_TRIES = 8
"""How often a part is written anew, if other nodes write it at the same time."""


class Parts(Generic[T]):
    """Remembers things by their keys. Belongs to one event loop; changes wait for each other."""

    def __init__(
        self,
        store: Store,
        name: str,
        kind: type[T],
        key: Callable[[T], str],
        *,
        parts: int = PARTS,
    ) -> None:
        """Keep them in `store` as `name`, in plural; nothing is known before `load`."""
        self._name = name
        self._values = KeptValues(store, [f"{name} {part}" for part in range(parts)])
        self._key = key
        self._decode = msgspec.json.Decoder(decodable(tuple[kind, ...])).decode  # type: ignore[valid-type]
        self._in_part: list[dict[str, T]] = [{} for _ in range(parts)]
        self._changing = asyncio.Lock()
        self.held: dict[str, T] = {}
        """All of them; another object after each change."""

    async def load(self) -> None:
        """Read them; at any time. Raises StoreError for what cannot be understood: then what was
        known is known still.
        """
        async with self._changing:
            found = [self._things(stored) for stored in await self._values.read()]
            self._in_part = found
            self.held = {key: each for part in found for key, each in part.items()}

    async def _read(self, part: int) -> dict[str, T]:
        return self._things(await self._values[part].read())

    def _things(self, stored: bytes | None) -> dict[str, T]:
        found = () if stored is None else self._decoded(stored)
        return {self._key(each): each for each in found}

    async def put(self, *things: T) -> None:
        """Keep things, in place of those with the same keys."""
        await self._change({self._key(each): each for each in things})

    async def drop(self, keys: Iterable[str]) -> None:
        """Forget the things with these keys."""
        await self._change(dict.fromkeys(keys))

    async def update(self, key: str, change: Callable[[T | None], T]) -> T:
        """Keep what `change` makes of what is kept under a key; what it raises is raised.

        Of nodes that do so at once each sees what the one before has kept.
        """
        async with self._changing:
            part = self._part(key)
            for _ in range(_TRIES):
                thing = change(self._in_part[part].get(key))
                own = {**self._in_part[part], key: thing}
                try:
                    await self._values[part].write(
                        msgspec.json.encode([own[each] for each in sorted(own)])
                    )
                except StoreMovedError:
                    self._take(part, await self._read(part))
                else:
                    self._in_part[part] = own
                    self.held = {**self.held, key: thing}
                    return thing
            raise self._moved()

    async def _change(self, wanted: Mapping[str, T | None]) -> None:
        """Write the parts in which something changes; None is forgotten."""
        async with self._changing:
            changed: dict[int, dict[str, T | None]] = {}
            for key, thing in wanted.items():
                if self.held.get(key) != thing:
                    changed.setdefault(self._part(key), {})[key] = thing
            for part in sorted(changed):
                # Part by part: what was written is known, also where the next one fails.
                self._in_part[part] = await self._written(part, changed[part])
                self.held = _with(self.held, changed[part])

    async def _written(self, part: int, changed: Mapping[str, T | None]) -> dict[str, T]:
        """Write a part; once more from what is there if another node has written it meanwhile."""
        for _ in range(_TRIES):
            own = _with(self._in_part[part], changed)
            try:
                await self._values[part].write(
                    msgspec.json.encode([own[key] for key in sorted(own)])
                )
            except StoreMovedError:
                self._take(part, await self._read(part))
            else:
                return own
        raise self._moved()

    def _moved(self) -> StoreMovedError:
        return StoreMovedError(
            f"Other nodes change the {self._name} all the time.", next_step="Try again."
        )

    def _take(self, part: int, found: dict[str, T]) -> None:
        """Know what another node has written."""
        gone = self._in_part[part].keys() - found.keys()
        self._in_part[part] = found
        self.held = {**{k: v for k, v in self.held.items() if k not in gone}, **found}

    def _decoded(self, stored: bytes) -> tuple[T, ...]:
        try:
            return self._decode(stored)
        except DECODING_ERRORS as error:
            raise StoreError(
                f"The {self._name} that the node keeps cannot be read.",
                next_step="Start the Casemate that wrote it, or restore the store from a backup.",
            ) from error

    def _part(self, key: str) -> int:
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:2]) % len(self._in_part)


def _with(held: Mapping[str, T], changed: Mapping[str, T | None]) -> dict[str, T]:
    """Return what is held once something of it has changed; None is gone."""
    after = {**held, **changed}
    return {key: thing for key, thing in after.items() if thing is not None}
