"""Vaults that share a database: each with its own folder, over the gateway's part and its socket.

The database is in memory, decides as the real one does, and fails or lies as it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from vault_samples import master_key

from casemate.gateway.shared_vault import VaultKeeper
from casemate.store.errors import StoreCommitUnsureError, StoreMediumError
from casemate.store.shared_vault import StateChange, StoredFile, StoredState
from casemate.vault.engine import VaultEngine
from casemate.vault.folder import VaultFolder
from casemate.vault.open_state import MasterKey
from casemate.vault.opening import open_vault
from casemate.vault.sealed import seal_value
from casemate.vault.shared import SharedVault
from casemate.vault.shared_protocol import KEEPING

MASTER = master_key()


class Rows:
    """A database. `faults` are what becomes of its next changes."""

    def __init__(self) -> None:
        self.there: bytes | None = None
        self.stored: dict[str, bytes] = {}
        self.history: list[bytes] = []
        self.faults: deque[str] = deque()
        self.away = False
        self.before: Callable[[], None] = lambda: None
        """Done before each change is looked at: another node may be first."""

    async def state(self, known: bytes) -> StoredState | None:
        self._reach()
        if self.there is None:
            return None
        digest = hashlib.sha256(self.there).digest()
        return StoredState(digest, b"" if digest == known else self.there)

    async def files(self, names: Sequence[str]) -> tuple[bytes | None, ...]:
        self._reach()
        return tuple(self.stored.get(name) for name in names)

    async def keep_files(self, files: Sequence[StoredFile]) -> None:
        self._reach()
        self.stored.update(dict(files))

    async def change(self, change: StateChange) -> bool:
        self._reach()
        self.before()
        fault = self.faults.popleft() if self.faults else ""
        if fault == "lost":
            raise StoreCommitUnsureError("It is not known.")
        expected = b"" if self.there is None else hashlib.sha256(self.there).digest()
        made = expected == change.expected
        if made:
            self.there = change.state.content
            self.history.append(self.there)
            self.stored.update(dict(change.added))
            for name in change.removed:
                self.stored.pop(name, None)
        if fault == "made":
            raise StoreCommitUnsureError("It is not known.")
        return made

    def _reach(self) -> None:
        if self.away:
            raise StoreMediumError("It cannot be reached.")


class Node:
    """A vault in a folder, and its gateway's part."""

    def __init__(self, path: Path, rows: Rows, master: MasterKey = MASTER) -> None:
        self.path = path
        self.rows = rows
        self.master = master
        self.folder: VaultFolder
        self.engine: VaultEngine
        self.shared: SharedVault
        self.keeper: VaultKeeper | None = None
        self.is_open = False

    def open(self, *, fetch: bool = True, connect: bool = True, accepted: str = "") -> Node:
        """Open it as a start does, with what the database has, or as a vault that has ended."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.folder = VaultFolder.open(self.path, create=True, uid=None)
        try:
            self.engine, shared = open_vault(
                self.folder,
                self.master,
                memory_locked=False,
                shared=True,
                brought=self.rows.there if fetch else None,
                accepted_losses=(accepted,),
            )
        except BaseException:
            self.folder.close()
            raise
        assert shared is not None
        self.is_open = True
        self.shared = shared
        if connect:
            self.connect()
        return self

    def connect(self) -> None:
        ours, theirs = KEEPING.pair()
        self.keeper = VaultKeeper(ours, asyncio.get_running_loop(), self.rows)
        self.shared.attach(theirs)

    def close(self) -> None:
        if self.keeper is not None:
            self.keeper.close()
        if self.is_open:
            self.folder.close()
        self.is_open = False

    async def follow(self) -> Node:
        while await self.shared.follow():
            pass
        return self

    async def put(self, name: str, value: bytes, project: str = "shop") -> object:
        sealed = seal_value(self.engine.public_key(), project, name, value)
        return await self.shared.change(
            lambda engine: engine.put_secret(project, name, sealed, "user:ada")
        )

    async def change(self, operation: str, *arguments: object) -> object:
        return await self.shared.change(lambda engine: getattr(engine, operation)(*arguments))

    def value(self, name: str, project: str = "shop") -> bytes:
        return self.engine.secret_value(project, name, None)[1]()

    def values(self) -> dict[str, bytes]:
        return {info.name: self.value(info.name) for info in self.engine.secrets("shop")}

    @property
    def generation(self) -> int:
        return self.engine.opened.header.generation

    def files(self) -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in self.path.iterdir()}


@contextlib.asynccontextmanager
async def two(base: Path) -> AsyncIterator[tuple[Node, Node, Rows]]:
    """Yield a node that has founded a cluster, one that has joined it, and their database."""
    rows = Rows()
    one = Node(base / "one", rows).open()
    await one.follow()
    other = Node(base / "other", rows).open()
    await other.follow()
    try:
        yield one, other, rows
    finally:
        one.close()
        other.close()
