"""The port's calls about subscriptions, invocations and positions, each checked and handed on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from casemate.data import invocations, leasing, limits, positions, queues, subscribing
from casemate.data.port import Port
from casemate.data.project import change_resources
from casemate.data.registry import INBOX, Registry
from casemate.data.sweep import drain
from casemate.data.work import Work
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.messages import InvocationStatus, NewMessage, Subscription
from casemate.sqlite.engine import Connection


class DeliveryPort(Port):
    """What carries events to functions. `ProjectData` documents the calls."""

    async def subscribe(self, project: str, subscriptions: Sequence[Subscription]) -> None:
        """Replace who is subscribed to what."""
        limits.require_project(project)
        limits.require_whole(
            "number of subscriptions", len(subscriptions), 0, limits.MAX_SUBSCRIPTIONS
        )
        wanted = subscribing.lean(subscriptions)

        def replace(connection: Connection, registry: Registry) -> None:
            subscribing.replace(connection, registry, wanted)

        try:
            async with self._projects.use(project, create=bool(wanted)) as opened:
                if not subscribing.are_kept(opened.fanout.routes, opened.registry, wanted):
                    await opened.writer.submit_job(change_resources(opened, replace))
                while await opened.change(lambda work: drain(work, opened.fanout)):
                    pass
        except NotFoundError:
            if wanted:
                raise

    async def resume(self, project: str) -> tuple[tuple[str, str, float], ...]:
        """End all leases; return where something waits, and until when."""
        try:
            async with self._projects.use(project) as opened:
                return await opened.change(lambda work: leasing.resume(work, opened.registry))
        except NotFoundError:
            return ()

    def watch(self, ready: Callable[[str, str, str], None]) -> None:
        """Have `ready` called on the running loop when a message can be leased."""
        self._projects.watch(ready)

    async def begin_invocation(
        self,
        project: str,
        function: str,
        idempotency: str,
        fingerprint: str,
        invocation: str,
        *,
        event: NewMessage | None = None,
    ) -> InvocationStatus | None:
        """Claim an idempotency key, and keep the event that it is for."""
        self._disk.require()
        limits.require_resource("function", function)
        limits.require_text(
            "idempotency key", idempotency, least=1, most=limits.MAX_DEDUPLICATION_BYTES
        )
        for what, value in (("fingerprint", fingerprint), ("invocation", invocation)):
            limits.require_text(what, value, least=1, most=limits.MAX_DEDUPLICATION_BYTES)
        limits.require_project(project)
        new = () if event is None else (queues.require_new(event),)
        async with self._projects.use(project, create=True) as opened:

            def begin(work: Work) -> InvocationStatus | None:
                first = invocations.claim(
                    work.connection,
                    function,
                    idempotency,
                    fingerprint,
                    invocation,
                    claimant=self._claimant,
                    keep=opened.fanout.routes.keep_results_of(function),
                    now=time.time(),
                )
                if first is None and new:
                    opened.fanout.send(work, INBOX, function, new)
                return first

            return await opened.change(begin)

    async def abandon_invocation(self, project: str, invocation: str) -> None:
        """Forget an invocation that did not run."""
        async with self._projects.use(project) as opened:
            await opened.change(lambda work: invocations.abandon(work.connection, invocation))

    async def finish_invocation(self, project: str, status: InvocationStatus) -> None:
        """Keep the end of an invocation that was not sent."""
        async with self._projects.use(project) as opened:
            await opened.change(
                lambda work: invocations.end(
                    work.connection,
                    status,
                    time.time() + opened.fanout.routes.keep_results_of(status.function),
                )
            )

    async def invocation_status(self, project: str, invocation: str) -> InvocationStatus:
        """Return what is known."""
        limits.require_text("invocation", invocation, least=1, most=limits.MAX_DEDUPLICATION_BYTES)
        async with self._projects.use(project) as opened:
            return await opened.read(
                lambda connection: invocations.find(connection, invocation, time.time())
            )

    async def advance(
        self,
        project: str,
        position: str,
        value: bytes,
        *,
        expected: bytes | None,
        sends: Sequence[tuple[str, str, NewMessage]] = (),
    ) -> bool:
        """Set a position and send messages, if it is the expected one."""
        limits.require_project(project)
        _require_position(position)
        if type(value) is not bytes or len(value) > limits.MAX_POSITION_BYTES:
            raise InvalidInputError(
                f"The position is not bytes, at most {limits.MAX_POSITION_BYTES} of them."
            )
        limits.require_whole("number of messages", len(sends), 0, limits.MAX_BATCH)
        for _, _, new in sends:
            queues.require_new(new)
        async with self._projects.use(project, create=True) as opened:
            return await opened.change(
                lambda work: positions.advance(
                    work, opened.fanout, position, value, expected, sends
                )
            )

    async def position(self, project: str, position: str) -> bytes | None:
        """Return a position."""
        _require_position(position)
        try:
            async with self._projects.use(project) as opened:
                return await opened.read(lambda connection: positions.get(connection, position))
        except NotFoundError:
            return None


def _require_position(position: str) -> None:
    limits.require_text("name of the position", position, least=1, most=limits.MAX_REASON_BYTES)
