"""The proxy of every zygote, without the process around it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

from casemate.egress.access import Access
from casemate.egress.config import EgressLimits
from casemate.egress.cut import Cut
from casemate.egress.errors import ListenerError
from casemate.egress.events import Reporter, event_now
from casemate.egress.interface import EgressEvent
from casemate.egress.listeners import take_listeners
from casemate.egress.rules import Rules
from casemate.egress.service import Service
from casemate.egress.traffic import Tell, Traffic
from casemate.model.grant import Grant

_SWEEP_SECONDS = 1.0


class EgressProxy:
    """Opens and closes services; what goes wrong with one zygote concerns no other."""

    def __init__(
        self,
        access: Access,
        limits: EgressLimits,
        send: Callable[[EgressEvent], bool],
        passed: Tell,
    ) -> None:
        """`send` takes an event without blocking and tells whether it took it; `passed` what
        connections have carried.
        """
        self._passed = passed
        self._ended: list[Traffic] = []
        """Of zygotes that are closed, not told yet."""
        self._access = access
        self._limits = limits
        self._reporter = Reporter(send)
        self._services: dict[int, Service] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def open(
        self,
        zygote: int,
        ports: Sequence[int],
        grants: Sequence[Grant],
        descriptors: Sequence[int],
        cut: Sequence[str] = (),
        function: str = "",
        *,
        in_tables: bool = False,
    ) -> None:
        """Serve a zygote. What cannot be served is recorded, and the zygote reaches nothing.

        The descriptors become the proxy's. `function` is the name of the one that has the grants,
        `in_tables` how its manifest has them.
        """

        def granted() -> Rules:
            return Rules(grants, function, in_tables=in_tables)

        try:
            self._open(zygote, ports, granted, descriptors, Cut(cut))
        except ListenerError as error:
            self._reporter.report(event_now(zygote, "", 0, allowed=False, reason=error.message))

    def _open(
        self,
        zygote: int,
        ports: Sequence[int],
        granted: Callable[[], Rules],
        descriptors: Sequence[int],
        cut: Cut,
    ) -> None:
        if zygote in self._services:
            for descriptor in descriptors:
                os.close(descriptor)
            raise ListenerError("The zygote is served already.")
        listeners = take_listeners(ports, descriptors)
        try:
            rules = granted()
            service = Service(
                zygote,
                listeners,
                rules,
                self._access,
                self._limits,
                self._reporter.report,
                Traffic(zygote, self._passed),
                cut,
            )
        except ListenerError:
            for listener in listeners.values():
                listener.close()
            raise
        self._services[zygote] = service
        service.start()

    def cut(self, zygote: int, hosts: Sequence[str]) -> None:
        """Let nothing of a zygote go to these hosts any more, in place of those before."""
        service = self._services.get(zygote)
        if service is not None:
            service.cut(Cut(hosts))

    def close(self, zygote: int) -> None:
        """End a zygote's connections and close its listeners."""
        service = self._services.pop(zygote, None)
        if service is None:
            return
        task = asyncio.ensure_future(self._close(service))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._access.resolver.forget(zygote)

    async def _close(self, service: Service) -> None:
        await service.close()
        self._ended.append(service.traffic)
        self._flush()

    def _flush(self) -> None:
        """Tell what was counted; what is not taken is kept for the next time."""
        self._reporter.flush()
        for service in self._services.values():
            service.traffic.flush()
        self._ended = [each for each in self._ended if not each.flush()]

    async def run(self) -> None:
        """Sweep idle connections and flush events, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for service in self._services.values():
                service.sweep()
            self._flush()

    async def shut_down(self) -> None:
        """End everything."""
        for zygote in list(self._services):
            self.close(zygote)
        if self._closing:
            await asyncio.wait(self._closing)
        self._flush()
        self._access.resolver.close()
