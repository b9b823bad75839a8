"""A value that the node keeps as a whole: what is made of it is kept only if it is still there."""

from __future__ import annotations

from hashlib import sha256

from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.store.interface import Store


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
        value = await self._store.read(ReadNodeValue(name=self._name))
        self._was = b"" if value is None else sha256(value).digest()
        return value

    async def write(self, value: bytes) -> None:
        """Keep a value in the place of the one that was read or written last.

        Raises StoreMovedError if another node has written one since, StoreError.
        """
        await self._store.change(KeepNodeValue(name=self._name, value=value, was=self._was))
        self._was = sha256(value).digest()
