"""What is kept of playbooks: files of one's own, and what was done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from casemate.model.playbook import Playbook, PlaybookRun, Step
from casemate.playbooks.errors import PlaybookError, TakenError
from casemate.playbooks.reading import digest_of, read_playbook
from casemate.playbooks.shipped import SHIPPED
from casemate.store.interface import Store
from casemate.store.parts import Parts

MAX_PLAYBOOKS = 128
MAX_RUNS = 1024
MAX_WAITING = 256
"""Runs that wait for a person, of the node."""
MAX_WAITING_OF_PROJECT = 32


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file of one's own."""

    name: str
    text: str
    changed_at: float
    changed_by: str


class Book(NamedTuple):
    """A playbook in force."""

    name: str
    text: str
    playbook: Playbook | None
    """None: the file cannot be read."""
    problem: str
    changed_at: float
    """0: it came with Casemate."""
    changed_by: str

    @property
    def digest(self) -> str:
        """By which the text is told from others."""
        return digest_of(self.text)


def _book(name: str, text: str, changed_at: float, changed_by: str) -> Book:
    try:
        playbook = read_playbook(text.encode(), f"{name}.toml")
    except PlaybookError as error:
        return Book(name, text, None, error.message, changed_at, changed_by)
    return Book(name, text, playbook, "", changed_at, changed_by)


class Books:
    """All playbooks: those that come with Casemate, and one's own in their place or beside them."""

    def __init__(self, store: Store) -> None:
        """Keep one's own in `store`."""
        self._own = Parts(store, "playbooks", Kept, lambda one: one.name)
        self._books: dict[str, Book] = {}

    async def load(self) -> None:
        """Read them. Raises StoreError."""
        await self._own.load()
        self._renew()

    def _renew(self) -> None:
        found = {name: _book(name, text, 0.0, "") for name, text in SHIPPED.items()}
        for one in self._own.held.values():
            found[one.name] = _book(one.name, one.text, one.changed_at, one.changed_by)
        self._books = dict(sorted(found.items()))

    def __iter__(self) -> Iterator[Book]:
        """Yield all, by name."""
        return iter(self._books.values())

    def get(self, name: str) -> Book | None:
        """Return one."""
        return self._books.get(name)

    def is_own(self, name: str) -> bool:
        """Tell whether it is one's own."""
        return name in self._own.held

    def require_room(self, name: str) -> None:
        """Raise PlaybookError if there may be no more."""
        if name not in self._books and len(self._books) >= MAX_PLAYBOOKS:
            raise PlaybookError(
                f"There are {MAX_PLAYBOOKS} playbooks already, which is the most.",
                next_step="remove one: casemate playbook rm NAME",
            )

    async def put(self, kept: Kept) -> None:
        """Have a file in force. Whoever calls has read it."""
        await self._own.put(kept)
        self._renew()

    async def drop(self, name: str) -> None:
        """Have a file of one's own in force no more."""
        await self._own.drop((name,))
        self._renew()


class Runs:
    """What playbooks have done, or wait to do."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._parts = Parts(store, "playbook runs", PlaybookRun, lambda one: one.id)

    async def load(self) -> None:
        """Read them. Raises StoreError."""
        await self._parts.load()

    def get(self, id: str) -> PlaybookRun | None:
        """Return one."""
        return self._parts.held.get(id)

    def __iter__(self) -> Iterator[PlaybookRun]:
        """Yield all, in no order."""
        return iter(self._parts.held.values())

    async def take(self, run: PlaybookRun, node: str) -> PlaybookRun:
        """Have a run for this node alone, as it is given: who had it before goes on no more.

        Raises TakenError if somebody has taken it since it was read, StoreError.
        """
        await self._make_room(run)
        taken = replace(run, node=node, turn=run.turn + 1)

        def change(known: PlaybookRun | None) -> PlaybookRun:
            if (0 if known is None else known.turn) != run.turn:
                raise _taken(run)
            return taken

        return await self._parts.update(run.id, change)

    async def put(self, run: PlaybookRun) -> None:
        """Keep how far one is that was taken. Raises TakenError if somebody has taken it since,
        StoreError.
        """

        def change(known: PlaybookRun | None) -> PlaybookRun:
            if known is not None and known.turn != run.turn:
                raise _taken(run)
            return run

        await self._parts.update(run.id, change)

    async def _make_room(self, run: PlaybookRun) -> None:
        """Forget one beyond the number.

        The oldest of those that are over and have done nothing, so that a flood of findings pushes
        out no other way to take back what was done, and none that a bound counts.
        """
        held = self._parts.held
        if run.id not in held and len(held) >= MAX_RUNS:
            closed = [one for one in held.values() if not one.state.open]
            oldest = min(closed or held.values(), key=lambda one: (_has_acted(one), one.at))
            await self._parts.drop((oldest.id,))

    def has_room_to_wait(self, project: str) -> bool:
        """Tell whether one more may wait for a person."""
        waiting = [one for one in self if one.state is Step.WAITS]
        of_project = sum(one.project == project for one in waiting)
        return len(waiting) < MAX_WAITING and of_project < MAX_WAITING_OF_PROJECT


def _taken(run: PlaybookRun) -> TakenError:
    return TakenError(
        f"{run.id} is being done or undone by somebody else, or was.", next_step="try again soon"
    )


def _has_acted(run: PlaybookRun) -> bool:
    return any(act.at is not None for act in run.acts)
