"""The operations on subscriptions, invocations and positions, each checked and handed on."""

from __future__ import annotations

from casemate.data import invocations, leasing, limits, positions, queues, subscribing
from casemate.data.creating import creates
from casemate.data.port import Port
from casemate.data.project import change_resources
from casemate.data.registry import INBOX, Registry
from casemate.data.sweep import drain
from casemate.data.terms import now
from casemate.data.work import Work
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.messages import InvocationStatus
from casemate.operations.inboxes import ResumeDelivery, Subscribe
from casemate.operations.invocations import (
    AbandonInvocation,
    BeginInvocation,
    FindInvocation,
    FinishInvocation,
)
from casemate.operations.performing import Performers
from casemate.operations.positions import AdvancePosition, ShowPosition
from casemate.sqlite.engine import Connection

performs = Performers()


class DeliveryPort(Port):
    """What carries events to functions."""

    @performs(Subscribe)
    async def _subscribe(self, operation: Subscribe) -> None:
        limits.require_project(operation.project)
        limits.require_whole(
            "number of subscriptions", len(operation.subscriptions), 0, limits.MAX_SUBSCRIPTIONS
        )
        wanted = subscribing.lean(operation.subscriptions)

        def replace(connection: Connection, registry: Registry) -> None:
            subscribing.replace(connection, registry, wanted)

        try:
            async with self._projects.use(operation.project, create=creates(operation)) as opened:
                if not subscribing.are_kept(opened.fanout.routes, opened.registry, wanted):
                    await opened.writer.submit_job(change_resources(opened, replace))
                while await opened.change(lambda work: drain(work, opened.fanout)):
                    pass
        except NotFoundError:
            if wanted:
                raise

    @performs(ResumeDelivery)
    async def _resume(self, operation: ResumeDelivery) -> tuple[tuple[str, str, float], ...]:
        try:
            async with self._projects.use(operation.project) as opened:
                return await opened.change(lambda work: leasing.resume(work, opened.registry))
        except NotFoundError:
            return ()

    @performs(BeginInvocation)
    async def _begin_invocation(self, operation: BeginInvocation) -> InvocationStatus | None:
        self._disk.require()
        function, event = operation.function, operation.event
        limits.require_resource("function", function)
        for what, value in (
            ("idempotency key", operation.idempotency),
            ("fingerprint", operation.fingerprint),
            ("invocation", operation.invocation),
        ):
            limits.require_text(what, value, least=1, most=limits.MAX_DEDUPLICATION_BYTES)
        limits.require_project(operation.project)
        new = () if event is None else (queues.require_new(event),)
        async with self._projects.use(operation.project, create=creates(operation)) as opened:

            def begin(work: Work) -> InvocationStatus | None:
                first = invocations.claim(
                    work.connection,
                    function,
                    operation.idempotency,
                    operation.fingerprint,
                    operation.invocation,
                    claimant=self._claimant,
                    keep=opened.fanout.routes.keep_results_of(function),
                    now=now(work.connection),
                )
                if first is None and new:
                    opened.fanout.send(work, INBOX, function, new)
                return first

            return await opened.change(begin)

    @performs(AbandonInvocation)
    async def _abandon_invocation(self, operation: AbandonInvocation) -> None:
        invocation = operation.invocation
        async with self._projects.use(operation.project) as opened:
            await opened.change(lambda work: invocations.abandon(work.connection, invocation))

    @performs(FinishInvocation)
    async def _finish_invocation(self, operation: FinishInvocation) -> None:
        status = operation.status
        async with self._projects.use(operation.project) as opened:
            await opened.change(
                lambda work: invocations.end(
                    work.connection,
                    (status,),
                    now(work.connection) + opened.fanout.routes.keep_results_of(status.function),
                )
            )

    @performs(FindInvocation)
    async def _find_invocation(self, operation: FindInvocation) -> InvocationStatus:
        invocation = operation.invocation
        limits.require_text("invocation", invocation, least=1, most=limits.MAX_DEDUPLICATION_BYTES)
        async with self._projects.use(operation.project) as opened:
            return await opened.read(
                lambda connection: invocations.find(connection, invocation, now(connection))
            )

    @performs(AdvancePosition)
    async def _advance(self, operation: AdvancePosition) -> bool:
        limits.require_project(operation.project)
        _require_position(operation.position)
        value, sends = operation.value, operation.sends
        if type(value) is not bytes or len(value) > limits.MAX_POSITION_BYTES:
            raise InvalidInputError(
                f"The position is not bytes, at most {limits.MAX_POSITION_BYTES} of them."
            )
        limits.require_whole("number of messages", len(sends), 0, limits.MAX_BATCH)
        for _, _, new in sends:
            queues.require_new(new)
        async with self._projects.use(operation.project, create=creates(operation)) as opened:
            return await opened.change(
                lambda work: positions.advance(
                    work, opened.fanout, operation.position, value, operation.expected, sends
                )
            )

    @performs(ShowPosition)
    async def _position(self, operation: ShowPosition) -> bytes | None:
        position = operation.position
        _require_position(position)
        try:
            async with self._projects.use(operation.project) as opened:
                return await opened.read(lambda connection: positions.get(connection, position))
        except NotFoundError:
            return None


def _require_position(position: str) -> None:
    limits.require_text("name of the position", position, least=1, most=limits.MAX_REASON_BYTES)
