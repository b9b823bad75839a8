"""A value that the node keeps as a whole: what is made of it is kept only if it is still there."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from casemate.operations.node import KeepNodeValue, ReadNodeValue, ReadNodeValues
from casemate.store.interface import Store

_AT_ONCE = 64
"""Values that are read together: each may have a megabyte, and others wait for the thread."""


class KeptValue:
    """Reads and writes one value. Whoever changes it sees to it that changes wait for each other.

    Where several nodes have one store, none writes over what another has written meanwhile.
    """

    def __init__(self, store: Store, name: str) -> None:
        """Of this name; nothing is known before `read`."""
        self._store = store
        self._name = name
        self._was: bytes | None = None

    async def read(self) -> bytes | None:
        """Return what is kept, None if nothing is. Raises StoreError."""
        return self.found(await self._store.read(ReadNodeValue(name=self._name)))

    def found(self, value: bytes | None) -> bytes | None:
        """Take what was read of it together with others, and return it."""
        self._was = b"" if value is None else sha256(value).digest()
        return value

    async def write(self, value: bytes) -> None:
        """Keep a value in the place of the one that was read or written last.

        Raises StoreMovedError if another node has written one since, StoreError.
        """
        await self._store.change(KeepNodeValue(name=self._name, value=value, was=self._was))
        self._was = sha256(value).digest()


class KeptValues:
    """Values of one store that are parts of one thing."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        """Of these names."""
        self._store = store
        self._names = tuple(names)
        self._values = tuple(KeptValue(store, name) for name in names)

    def __getitem__(self, part: int) -> KeptValue:
        """Return one of them."""
        return self._values[part]

    async def read(self) -> list[bytes | None]:
        """Return what is kept of each of them. Raises StoreError."""
        found: list[bytes | None] = []
        for start in range(0, len(self._names), _AT_ONCE):
            names = self._names[start : start + _AT_ONCE]
            found += await self._store.read(ReadNodeValues(names=names))
        return [one.found(value) for one, value in zip(self._values, found, strict=True)]
