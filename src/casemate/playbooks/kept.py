"""What is kept of what playbooks have done, or wait to do."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from casemate.model.playbook import PlaybookRun, Step
from casemate.playbooks.errors import TakenError
from casemate.store.interface import Store
from casemate.store.parts import Parts

MAX_RUNS = 1024
MAX_WAITING = 256
"""Runs that wait for a person, of the node."""
MAX_WAITING_OF_PROJECT = 32
MAX_WAITING_OF_OWNER = 64
"""About functions that one person or token has deployed, in whatever projects."""
KEPT_FOR_FEW = 128
"""So many of the node's are for projects of which there are less than `FEW`."""
FEW = 4


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

    def asking(self, run: PlaybookRun) -> tuple[PlaybookRun, ...]:
        """Return what waits already for leave to do all of a run, in whichever incident."""
        wanted = _what(run)
        return tuple(
            one
            for one in self
            if one.state is Step.WAITS and one.digest == run.digest and wanted <= _what(one)
        )

    def has_room_to_wait(self, project: str, owner: str) -> bool:
        """Tell whether one more may wait for a person.

        Whoever has many findings made of functions of his own takes no more than his share.
        """
        waiting = [one for one in self if one.state is Step.WAITS]
        of_project = sum(one.project == project for one in waiting)
        if of_project < FEW:
            return len(waiting) < MAX_WAITING
        of_owner = sum(one.owner == owner for one in waiting) if owner else 0
        return (
            of_project < MAX_WAITING_OF_PROJECT
            and of_owner < MAX_WAITING_OF_OWNER
            and len(waiting) < MAX_WAITING - KEPT_FOR_FEW
        )


def _taken(run: PlaybookRun) -> TakenError:
    return TakenError(
        f"{run.id} is being done or undone by somebody else, or was.", next_step="Try again soon."
    )


def _what(run: PlaybookRun) -> set[tuple[str, str]]:
    return {(act.do, act.target) for act in run.acts}


def _has_acted(run: PlaybookRun) -> bool:
    return any(act.at is not None for act in run.acts)
