"""The only place that makes sandboxes: the loop between a gateway and its zygotes.

One thread, one selector loop. It takes typed requests from the gateway and fixed records from
zygotes; it never parses the network, a bundle, an event, or anything a function wrote.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Mapping

from casemate.kernel.cgroups import Driver
from casemate.model.errors import CasemateError
from casemate.model.runtime import Runtime
from casemate.sandbox import protocol
from casemate.sandbox.identities import Identities
from casemate.sandbox.layouts import Layout
from casemate.sandbox.staging import Staging
from casemate.sandbox.zygote_process import ZygoteProcess
from casemate.supervisor.bases import Bases
from casemate.supervisor.inbox import Inbox
from casemate.supervisor.outbox import Outbox
from casemate.supervisor.restoring import Restoring
from casemate.supervisor.zygotes import Zygotes

_TICK_SECONDS = 0.25
_MOST_TICK_SECONDS = 1.0
"""What counts of the time between two ticks: while this process stood still others may have."""
_DRAIN_SECONDS = 0.002
_IDLE_SECONDS = 0.02
_CLOSE_SECONDS = 5.0


class Sandboxes:
    """Owns every sandbox of a node, for one gateway at a time."""

    def __init__(
        self,
        *,
        runtimes: dict[str, Runtime],
        staging: Staging,
        cgroups: Driver | None,
        landlock: bool,
        identities: Identities | None,
        shared_files: bool,
        report: Callable[[str], None],
        restore: bool = False,
    ) -> None:
        """Take over `identities`. `restore`: have instances restored after a call.

        `cgroups=None`, `landlock=False`, `identities=None` and `shared_files=True` are risks that
        the operator accepted by name.
        """
        self._cgroups = cgroups
        self._identities = identities
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._outbox = Outbox()
        self._inbox = Inbox(self._serve, report)
        self._zygotes = Zygotes(
            selector=self._selector,
            outbox=self._outbox,
            staging=staging,
            cgroups=cgroups,
            identities=identities,
            report=report,
        )
        self._bases = Bases(
            selector=self._selector,
            outbox=self._outbox,
            zygotes=self._zygotes,
            runtimes=runtimes,
            staging=staging,
            identities=identities,
            landlock=landlock,
            shared_files=shared_files,
            report=report,
        )
        self._restoring: Restoring | None = None
        if restore and cgroups is not None:
            self._restoring = Restoring(
                selector=self._selector,
                outbox=self._outbox,
                kill=lambda name: self._zygotes.kill(protocol.Kill(*name)),
                report=report,
            )
        self._zygotes.restoring = self._restoring
        self._ticked_at = time.monotonic()
        self._later: dict[int, Callable[[], bool]] = {}
        """Calls that failed, by their descriptors, until the next tick."""

    def run(
        self,
        gateway: socket.socket,
        also: Mapping[int, Callable[[], bool]] | None = None,
        each_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Serve one gateway until it goes away; then end every zygote.

        `also` has what to call when a descriptor is readable, for as long as that returns True,
        `each_tick` is called four times a second.
        """
        calls = dict(also or {})
        for descriptor, call in calls.items():
            self._selector.register(descriptor, selectors.EVENT_READ, call)
        gateway.setblocking(False)
        self._outbox.open(gateway)
        self._selector.register(gateway, selectors.EVENT_READ, None)
        if self._restoring is not None:
            self._restoring.tick(time.monotonic())
            self._restoring.tell()
        next_tick = time.monotonic() + _TICK_SECONDS
        try:
            while True:
                ready = self._selector.select(self._timeout(next_tick))
                for key, _ in ready:
                    if key.data is None:
                        if not self._inbox.read(gateway):
                            return
                    elif key.fd in calls:
                        self._call(key.fd, calls)
                    else:
                        self._read(key.data)
                self._zygotes.drain()
                self._outbox.flush()
                if not ready:
                    self._use_idle_turn()
                if time.monotonic() >= next_tick:
                    self._call_again(calls)
                    self._tick()
                    each_tick()
                    next_tick = time.monotonic() + _TICK_SECONDS
        finally:
            self._selector.unregister(gateway)
            for descriptor in calls:
                self._selector.unregister(descriptor)
            self._later.clear()
            self._outbox.close()
            self._end_all("the gateway is gone")

    def _use_idle_turn(self) -> None:
        """Do what takes milliseconds, in a turn in which nobody wanted anything."""
        if self._bases.is_short:
            self._bases.refill_next()
        else:
            self._zygotes.measuring.measure_next(time.monotonic())

    def _end_all(self, reason: str) -> None:
        if self._restoring is not None:
            self._restoring.forget()
        self._bases.refuse_all(reason)
        self._zygotes.end_all(reason)

    def _read(self, sender: Layout | ZygoteProcess | Restoring | tuple[Restoring, int]) -> None:
        """Take what a base zygote that starts, a zygote, the restorer or an instance has sent."""
        if isinstance(sender, Layout):
            self._bases.read(sender)
        elif isinstance(sender, Restoring):
            sender.read()
        elif isinstance(sender, tuple):
            restoring, number = sender
            restoring.take(number)
        elif self._zygotes.is_heard(sender):
            self._zygotes.read(sender)

    def _call(self, descriptor: int, calls: dict[int, Callable[[], bool]]) -> None:
        call = calls.pop(descriptor)
        # Before the call, which may close it.
        self._selector.unregister(descriptor)
        try:
            if call():
                calls[descriptor] = call
                self._selector.register(descriptor, selectors.EVENT_READ, call)
        except (OSError, CasemateError) as error:
            # What the host had too little of may be there in a moment: who asks again is heard.
            self._later[descriptor] = call
            self._report(f"a process could not be started: {error}")

    def _call_again(self, calls: dict[int, Callable[[], bool]]) -> None:
        """Listen again to what could not be done a moment ago."""
        later, self._later = self._later, {}
        for descriptor, call in later.items():
            with contextlib.suppress(OSError, ValueError):  # it is closed
                self._selector.register(descriptor, selectors.EVENT_READ, call)
                calls[descriptor] = call

    def _timeout(self, next_tick: float) -> float:
        if self._zygotes.draining or len(self._outbox):
            return _DRAIN_SECONDS
        if self._bases.is_short:
            return _IDLE_SECONDS
        return max(0.0, next_tick - time.monotonic())

    def _tick(self) -> None:
        now = time.monotonic()
        elapsed = min(now - self._ticked_at, _MOST_TICK_SECONDS)
        self._ticked_at = now
        self._zygotes.tick(now)
        self._zygotes.measuring.measure_next(now, busy=True)
        if self._restoring is not None:
            self._restoring.tick(now)
        self._bases.tick(now, elapsed)
        self._zygotes.remove_ended()

    def _serve(self, request: protocol.Request, descriptors: list[int]) -> None:
        match request:
            case protocol.Become():  # which is an Open as well
                self._bases.become(request)
            case protocol.PrepareDependencies():
                self._bases.prepare_dependencies(request, descriptors)
            case protocol.Open():
                self._bases.open(request, descriptors)
            case protocol.Spawn():
                self._zygotes.spawn(request, descriptors)
            case protocol.Kill():
                self._zygotes.kill(request)
            case protocol.Measure():
                self._zygotes.measure(request)
            case protocol.Close():
                if (zygote := self._zygotes.get(request.z)) is not None:
                    self._zygotes.end(zygote, "closed", expected=True)
                else:
                    self._bases.cancel(request.z)
            case protocol.Weigh():
                self._zygotes.weigh(request)
            case protocol.Prepare():
                self._bases.ask(request.python)

    @property
    def restoring(self) -> Restoring | None:
        """By whom instances are restored."""
        return self._restoring

    def begin(self, minor: str) -> None:
        """Have an interpreter's first base zygote start. Raises what keeps it from that."""
        self._bases.begin(minor)

    def prepare(self, minor: str) -> None:
        """Start an interpreter's first base zygote and a blank one. Raises what is missing."""
        self._bases.prepare(minor)

    def close(self) -> None:
        """End everything and remove the control groups."""
        self._end_all("the node stops")
        if self._restoring is not None:
            self._restoring.close()
        self._bases.drop_all("the node stops")
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._zygotes.ending and time.monotonic() < deadline:
            self._zygotes.remove_ended()
            time.sleep(0.005)
        if self._identities is not None:
            self._identities.close()
        if self._cgroups is not None:
            try:
                self._cgroups.remove("")
            except OSError as error:
                self._report(f"control groups are left behind: {error}")
        self._selector.close()
