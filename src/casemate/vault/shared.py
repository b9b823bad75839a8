"""A vault that the nodes of a cluster share: changed in their database first, then in the folder.

The folder is this node's copy, and what it holds is the newest that this node has seen: nothing
that is older, of another vault or of another history is taken, whoever gives it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from casemate.child.calls import Calls
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.vault import shared_protocol as asked
from casemate.vault.draft import MAX_CHANGES, Draft, DraftFolder
from casemate.vault.engine import VaultEngine
from casemate.vault.errors import (
    VaultConflictError,
    VaultDamagedError,
    VaultError,
    VaultUnavailableError,
    VaultUnsureError,
    WrongMasterKeyError,
)
from casemate.vault.folder import VaultFolder
from casemate.vault.open_state import OpenState
from casemate.vault.own_record import OwnRecord
from casemate.vault.secret_values import SecretValues
from casemate.vault.state import STATE_FILE, Header, State
from casemate.vault.successor import (
    decode_given,
    read_given,
    require_not_older,
    require_successor,
)

ATTEMPTS: Final = 8
"""How often a change is made again because another node was first."""
CHANGE_SECONDS: Final = 20.0
"""How long one may take: whoever asked gives the vault up after 30 s."""
MAX_WAITING: Final = 256
FETCH_SECONDS: Final = 10.0
"""After which fetching files is left, to be gone on with when it is asked for again."""

T = TypeVar("T")
Perform = Callable[[VaultEngine], object]


class SharedVault:
    """The vault process's part in it. In the event loop's thread only."""

    def __init__(self, engine: VaultEngine, folder: VaultFolder, own: OwnRecord) -> None:
        """Share `engine`, which changes nothing itself, kept in `folder`."""
        self.engine = engine
        self._folder = folder
        self._own = own
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._calls: Calls | None = None
        self._next_look: asyncio.Future[None] | None = None

    @property
    def _opened(self) -> OpenState:
        return self.engine.opened

    def attach(self, sock: socket.socket) -> None:
        """Ask the gateway at the other end of `sock` from now on."""
        if self._calls is not None:
            self._calls.close()
        self._calls = Calls(asked.GATEWAY, sock, asyncio.get_running_loop())

    async def change(self, perform: Perform) -> object:
        """Have `perform` change the vault, for all nodes or for none; return its result.

        Raises VaultUnavailableError where the database cannot be reached, VaultConflictError if
        others were first too often, and what `perform` raises.
        """
        return await self._alone(lambda: self._change(perform))

    async def follow(self) -> int:
        """Take what is newest in the database; return how many files of secrets are to be fetched.

        Where the database has no vault this one is put there. Raises VaultError.
        """
        return await self._alone(self._follow_or_found)

    async def look(self) -> None:
        """Take what is newest, by a question that begins after this call; many calls share one.

        For who misses what another node may have made a moment ago. Raises VaultError.
        """
        if self._next_look is None:
            self._next_look = asyncio.ensure_future(self._look())
        await asyncio.shield(self._next_look)

    async def _look(self) -> None:
        async def begin() -> int:
            self._next_look = None
            return await self._follow_or_found()

        try:
            await self._alone(begin)
        finally:
            if self._next_look is asyncio.current_task():
                self._next_look = None

    async def _alone(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._waiting >= MAX_WAITING:
            raise VaultUnavailableError(
                f"{self._waiting} changes of the vault wait already.",
                next_step="Try again in a moment.",
            )
        self._waiting += 1
        begun = False
        try:
            async with asyncio.timeout(CHANGE_SECONDS), self._lock:
                begun = True
                return await work()
        except TimeoutError:
            if not begun:
                raise VaultUnavailableError(
                    f"Other changes of the vault took longer than {CHANGE_SECONDS:g} s.",
                    next_step="See that the cluster's database answers.",
                ) from None
            raise VaultUnsureError(
                f"The vault was not changed within {CHANGE_SECONDS:g} s; whether it still will be "
                "is not known.",
                next_step="See that the database answers, and look before it is tried again.",
            ) from None
        finally:
            self._waiting -= 1

    async def _ask(self, kind: type[T], question: type[asked.Question], *fields: object) -> T:
        if self._calls is None or self._calls.lost.done():
            raise VaultUnavailableError(
                "The vault is shared by nodes, and has no way to their database now.",
                next_step="Try again in a moment.",
            )
        answer = await self._calls.ask(lambda number: question(number, *fields))
        try:
            return msgspec.msgpack.decode(answer, type=decodable(kind))
        except DECODING_ERRORS as error:
            self._calls.close()
            raise VaultUnavailableError(
                "The gateway sent the vault something that is not an answer.",
                next_step="Check the node: casemate doctor",
            ) from error

    # -- changing ------------------------------------------------------------------------------

    async def _change(self, perform: Perform) -> object:
        self._require_founded()
        unsure: dict[bytes, object] = {}
        for _ in range(ATTEMPTS):
            draft = Draft(self._opened, self._folder)
            result = perform(VaultEngine(draft.opened, memory_locked=self.engine.memory_locked))
            if not draft.folder.changed:
                return result
            made = await self._propose(draft)
            if made:
                self._write(draft)
                return result
            if made is None:
                unsure[draft.id] = result
            before = self._opened.header.generation
            await self._see_whether_made(unsure)
            for change in self._opened.state.changes:
                if change in unsure:
                    return unsure[change]
            if unsure and self._opened.header.generation - before >= MAX_CHANGES:
                raise _unknown()
        raise VaultConflictError(
            f"Other nodes have changed the vault {ATTEMPTS} times while this change was made.",
            next_step="Try again in a moment.",
        )

    def _require_founded(self) -> None:
        if not self._opened.state.founder:
            raise VaultUnavailableError(
                "The vault is not in the cluster's database yet.",
                next_step="See that the database can be reached.",
            )

    async def _propose(self, draft: Draft) -> bool | None:
        """Return whether the change was made; None: it is not known."""
        expected = self._digest()
        content = draft.sealed()
        try:
            return await self._ask(
                bool,
                asked.ChangeVault,
                expected,
                draft.opened.header.generation,
                content,
                tuple(draft.folder.written.items()),
                tuple(sorted(draft.folder.removed)),
            )
        except VaultUnsureError:
            return None

    async def _see_whether_made(self, unsure: Mapping[bytes, object]) -> None:
        try:
            await self._follow()
        except VaultUnavailableError as error:
            if unsure:
                raise _unknown() from error
            raise

    def _digest(self) -> bytes:
        data = self._folder.read(STATE_FILE)
        if data is None:
            raise VaultDamagedError(
                f"{STATE_FILE} is gone.", next_step="Start the node again: it is fetched again."
            )
        return hashlib.sha256(data).digest()

    def _write(self, draft: Draft) -> None:
        """Keep what the database has: files first, so that what a state names is there."""
        for name, data in draft.folder.written.items():
            self._folder.write(name, data)
        opened = draft.opened
        self._take(opened.header, opened.state, opened.master, draft.content)
        for name in draft.folder.removed:
            self._folder.remove(name)

    def _take(self, header: Header, state: State, master: bytes, content: bytes) -> None:
        try:
            self._folder.write(STATE_FILE, content)
        except VaultError:
            # Renamed, but the folder could not be fsynced: what is on the disk is what holds.
            if self._folder.read(STATE_FILE) == content:
                self.engine.adopt(header, state, master)
            raise
        self.engine.adopt(header, state, master)

    # -- following -----------------------------------------------------------------------------

    async def _follow_or_found(self) -> int:
        found = await self._newest()
        if found is None and (self._own.alone or not self._opened.state.founder):
            await self._found()
            return await self._follow()
        return await self._adopt(self._there(found))

    async def _follow(self) -> int:
        return await self._adopt(self._there(await self._newest()))

    async def _newest(self) -> asked.StateFound | None:
        kind: Any = asked.StateFound | None
        found: asked.StateFound | None = await self._ask(kind, asked.GetState, self._digest())
        return found

    def _there(self, found: asked.StateFound | None) -> asked.StateFound:
        if found is None:
            raise VaultDamagedError(
                "The cluster's database has no vault, and this node knows that it had one "
                f"(generation {self._opened.header.generation}): the database was emptied, or is "
                "another one. Nothing was changed.",
                next_step="Bring the database back from a backup, or name the right one.",
            )
        return found

    async def _adopt(self, found: asked.StateFound) -> int:
        self._own.set_alone(False)
        if hmac.compare_digest(found.digest, self._digest()):
            left = await self._fetch(self._opened)
            if not left:
                self.engine.secret_values.sweep(remove=self._folder.remove)
            return left
        require_not_older(self._opened.header, read_given(found.content))
        header, state = self._decoded(found.content)
        if not hmac.compare_digest(hashlib.sha256(found.content).digest(), found.digest):
            raise VaultDamagedError(
                "The gateway gives another state of the vault than it says.",
                next_step="Check the node: casemate doctor",
            )
        require_successor(self._opened, header, state)
        coming = OpenState(self._folder, header, state, self._opened.master)
        if left := await self._fetch(coming):
            return left
        gone = set(self.engine.secret_values.files()) - {each.file for each in state.secrets}
        self._take(header, state, self._opened.master, found.content)
        for name in gone:
            self._folder.remove(name)
        return 0

    def _decoded(self, content: bytes) -> tuple[Header, State]:
        try:
            return decode_given(content, self._opened.master)
        except WrongMasterKeyError as error:
            raise WrongMasterKeyError(
                "The master key was changed on another node. " + error.message,
                next_step="Start this node again with the new master key.",
            ) from error

    async def _fetch(self, state: OpenState) -> int:
        """Fetch files that a state names and the folder has not; return how many are left."""
        there = set(self._folder.names())
        missing = {each.file: each for each in state.state.secrets if each.file not in there}
        deadline = time.monotonic() + FETCH_SECONDS
        while missing and time.monotonic() < deadline:
            names = tuple(islice(missing, asked.MAX_FILES))
            contents = await self._ask(asked.FilesFound, asked.GetFiles, names)
            if len(contents) != len(names):
                raise VaultUnavailableError(
                    f"The gateway has given {len(contents)} files of secrets, expected "
                    f"{len(names)}.",
                    next_step="Check the node: casemate doctor",
                )
            given = {n: c for n, c in zip(names, contents, strict=True) if c is not None}
            folder = DraftFolder(self._folder, given)
            opened = OpenState(folder, state.header, state.state, state.master)
            values = SecretValues.of(opened)
            for name in names:
                values.value(missing.pop(name))  # each opens, or nothing is taken
            for name, content in given.items():
                self._folder.write(name, content)
        return len(missing)

    # -- founding ------------------------------------------------------------------------------

    async def _found(self) -> None:
        """Give this vault to the nodes of the cluster: its files first, then its state."""
        names = iter(self.engine.secret_values.files())
        while batch := tuple(islice(names, asked.MAX_FILES)):
            files = tuple((name, self._present(name)) for name in batch)
            await self._ask(type(None), asked.KeepFiles, files)
        draft = Draft(self._opened, self._folder)
        # Who has given it before goes on with the journal from before that.
        founder = draft.opened.state.founder or self._own.id
        draft.opened.commit(replace(draft.opened.state, founder=founder))
        try:
            made = await self._ask(
                bool,
                asked.ChangeVault,
                b"",
                draft.opened.header.generation,
                draft.sealed(),
                (),
                (),
            )
        except VaultUnsureError:
            made = False
        if made:
            self._write(draft)

    def _present(self, name: str) -> bytes:
        data = self._folder.read(name)
        if data is None:
            raise VaultDamagedError(
                f"The file {name} of a secret is missing.",
                next_step="Restore the folder data/vault from a backup.",
            )
        return data


def _unknown() -> VaultUnsureError:
    return VaultUnsureError(
        "It is not known whether the vault was changed.",
        next_step="Look whether it was before it is changed again.",
    )
