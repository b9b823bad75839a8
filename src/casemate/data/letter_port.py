"""The operations on dead letters, each checked and handed to a writer or reader."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from casemate.data import invocations, leasing, letters, limits, queues
from casemate.data.port import LEASED, Place, Port
from casemate.data.project import OpenProject
from casemate.data.registry import INBOX, QUEUE, Resource
from casemate.data.terms import now
from casemate.data.work import Work
from casemate.model.errors import NotFoundError
from casemate.model.messages import DeadLetter, LetterCount
from casemate.operations.delivery import (
    Counted,
    Letters,
    ListFunctionDeadLetters,
    ListQueueDeadLetters,
    PurgeFunctionDeadLetters,
    PurgeQueueDeadLetters,
    ReadDeadLetter,
    ReadLetterSubjects,
    ShowLetterCounts,
)
from casemate.operations.inboxes import GiveUpInbox, RedriveLetters
from casemate.operations.performing import Performers

performs = Performers()
_FORGOTTEN_AT_ONCE = 1000
"""Ends and claims of a removed function, so that others can write between them."""


class LetterPort(Port):
    """Dead letters of queues and inboxes."""

    @performs(ListFunctionDeadLetters)
    @performs(ListQueueDeadLetters)
    async def _list_letters(
        self, operation: ListFunctionDeadLetters | ListQueueDeadLetters
    ) -> Letters:
        after, limit = operation.after, operation.limit
        limits.require_limit(limit)
        if after is not None:
            queues.require_ids([after])
        found = await self._read_queue(
            _place(operation),
            LEASED,
            lambda connection, queue: letters.page(connection, queue, after, limit),
        )
        return Letters(letters=found, after=found[-1].id if len(found) == limit else None)

    @performs(ReadDeadLetter)
    async def _read_letter(self, operation: ReadDeadLetter) -> tuple[DeadLetter, bytes]:
        letter = operation.id
        queues.require_ids([letter])
        async with self._projects.use(operation.project) as opened:
            return await opened.read(lambda connection: letters.find(connection, letter))

    @performs(ReadLetterSubjects)
    async def _read_subjects(self, operation: ReadLetterSubjects) -> dict[str, str]:
        queues.require_ids(operation.ids)
        numbers = [int(text, 16) for text in operation.ids]
        async with self._projects.use(operation.project) as opened:
            return await opened.read(lambda connection: letters.subjects(connection, numbers))

    @performs(ShowLetterCounts)
    async def _show_counts(self, operation: ShowLetterCounts) -> tuple[LetterCount, ...]:
        async with self._projects.use(operation.project) as opened:
            return await opened.read(letters.counts)

    @performs(RedriveLetters)
    async def _redrive(self, operation: RedriveLetters) -> Counted:
        place = Place(operation.project, operation.kind, operation.name)
        return await self._each_letter(place, operation.ids, operation)

    @performs(PurgeFunctionDeadLetters)
    @performs(PurgeQueueDeadLetters)
    async def _purge_letters(
        self, operation: PurgeFunctionDeadLetters | PurgeQueueDeadLetters
    ) -> Counted:
        return await self._each_letter(_place(operation), operation.ids, None)

    @performs(GiveUpInbox)
    async def _give_up(self, operation: GiveUpInbox) -> int:
        given_up = 0
        try:
            async with self._projects.use(operation.project) as opened:
                while batch := await opened.change(partial(_given_up, opened, operation.function)):
                    given_up += batch
                while await opened.change(partial(_forgotten, opened, operation.function)):
                    pass
        except NotFoundError:
            return 0  # the project keeps nothing
        return given_up

    async def _each_letter(
        self, place: Place, ids: Sequence[str] | None, redrive: RedriveLetters | None
    ) -> Counted:
        """Send letters again, or delete them, in batches, so that others can write between them.

        All that are there now, if `ids` is None: what dies in the meantime is left.
        """
        if ids is not None:
            queues.require_ids(ids)
        numbers = None if ids is None else [int(text, 16) for text in ids]
        last = await self._read_queue(place, LEASED, letters.last)
        done = 0
        at: int | None = 0
        while at is not None:
            handled, at = await self._change_queue(
                place,
                LEASED,
                partial(self._handle, numbers, at, last, redrive),
            )
            done += handled
        return Counted(letters=done)

    @staticmethod
    def _handle(
        numbers: Sequence[int] | None,
        at: int,
        last: int,
        redrive: RedriveLetters | None,
        work: Work,
        opened: OpenProject,
        queue: Resource,
    ) -> tuple[int, int | None]:
        moment = now(work.connection)
        if redrive is None:
            return letters.purge(work, queue, numbers, at, last)
        named = None if redrive.to == redrive.name else redrive.to
        to = None if named is None else opened.resource(INBOX, named)
        return letters.redrive(work, queue, numbers, at, last, moment, by=redrive.by, to=to)


def _given_up(opened: OpenProject, function: str, work: Work) -> int:
    inbox = opened.registry.get((INBOX, function))
    if inbox is None:
        return 0
    with opened.emptying(work.connection):
        return leasing.give_up(work, inbox, opened.fanout, now(work.connection))


def _forgotten(opened: OpenProject, function: str, work: Work) -> int:
    with opened.emptying(work.connection):
        return invocations.forget_function(work.connection, function, _FORGOTTEN_AT_ONCE)


_OfFunction = ListFunctionDeadLetters | PurgeFunctionDeadLetters
_OfQueue = ListQueueDeadLetters | PurgeQueueDeadLetters


def _place(operation: _OfFunction | _OfQueue) -> Place:
    if isinstance(operation, _OfFunction):
        return Place(operation.project, INBOX, operation.function)
    return Place(operation.project, QUEUE, operation.queue)
