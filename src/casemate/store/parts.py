"""Many small things that the node keeps for itself, spread over values of the store.

A value is bounded and written as a whole: each part holds those whose key falls to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.store.errors import StoreError
from casemate.store.interface import Store

T = TypeVar("T", bound=msgspec.Struct)
PARTS = 64


class Parts(Generic[T]):
    """Remembers things by their keys. Whoever calls has changes come one after the other."""

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
        self._store = store
        self._name = name
        self._key = key
        self._parts = parts
        self._decode = msgspec.json.Decoder(tuple[kind, ...]).decode  # type: ignore[valid-type]
        self.held: dict[str, T] = {}

    async def load(self) -> None:
        """Read them. Raises StoreError for what cannot be understood."""
        held: dict[str, T] = {}
        for part in range(self._parts):
            stored = await self._store.read(ReadNodeValue(name=self._value(part)))
            if stored is not None:
                held.update({self._key(each): each for each in self._decoded(stored)})
        self.held = held

    async def put(self, *things: T) -> None:
        """Keep things, in place of those with the same keys."""
        await self._write({**self.held, **{self._key(each): each for each in things}})

    async def drop(self, keys: Iterable[str]) -> None:
        """Forget the things with these keys."""
        gone = set(keys)
        await self._write({key: each for key, each in self.held.items() if key not in gone})

    async def _write(self, held: dict[str, T]) -> None:
        changed = {
            self._part(key)
            for key in held.keys() | self.held.keys()
            if held.get(key) != self.held.get(key)
        }
        for part in sorted(changed):
            own = [held[key] for key in sorted(held) if self._part(key) == part]
            value = msgspec.json.encode(own)
            await self._store.change(KeepNodeValue(name=self._value(part), value=value))
            # Part by part: what was written is known, also where the next one fails.
            rest = {key: each for key, each in self.held.items() if self._part(key) != part}
            self.held = rest | {self._key(each): each for each in own}

    def _decoded(self, stored: bytes) -> tuple[T, ...]:
        try:
            return self._decode(stored)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StoreError(
                f"The {self._name} that the node keeps cannot be read.",
                next_step="Start the Casemate that wrote it, or restore the store from a backup.",
            ) from error

    def _part(self, key: str) -> int:
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:2]) % self._parts

    def _value(self, part: int) -> str:
        return f"{self._name} {part}"
