"""The gateway's handle of one function zygote: has it fork, hears of its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from casemate.model.deployment import Version
from casemate.model.errors import UnavailableError
from casemate.model.function import Fresh, Isolation
from casemate.sandbox import protocol
from casemate.sandbox.dependency_zygotes import DependencyZygote
from casemate.sandbox.instance import Instance
from casemate.sandbox.meter import Meter, Meters
from casemate.sandbox.system_calls import SystemCallWatch

_PASS_RIGHTS = 83
"""SO_PASSRIGHTS: whether a socket takes descriptors."""


class SupervisorLostError(UnavailableError):
    """The supervisor is gone; nothing can run until the node is started again."""


OnMadeReady = Callable[[Instance, str], None]
"""Takes an instance that was made ready, or a problem in words."""


class Link(Protocol):
    """What a handle needs of the way to the supervisor."""

    loop: asyncio.AbstractEventLoop
    meters: Meters
    on_filter_kill: Callable[[Zygote, str], None]

    @property
    def restores(self) -> bool:
        """Whether there is a restorer at the moment."""
        ...

    def send(self, request: protocol.Request, descriptors: list[int] | tuple[int, ...]) -> None:
        """Send a request. Raises SupervisorLostError."""
        ...

    def make_ready(self, zygote: int, instance: int) -> bool:
        """Have an instance be as it was at its first call; False if nobody can be asked."""
        ...

    def let_out(self, zygote: Zygote) -> None:
        """Tell the proxy what a zygote's version may reach."""
        ...

    def files_of(self, zygote: Zygote) -> int:
        """Return the bytes of a zygote's files, its part of those that others have too."""
        ...

    def loaded(self, zygote: Zygote, files: list[str], *, late: bool) -> None:
        """Take it which files of dependencies were loaded."""
        ...

    def forget(self, zygote: Zygote) -> None:
        """Release what an ended zygote needed."""
        ...


def is_restorable(version: Version, *, restores: bool) -> bool:
    """Tell whether a version's instances may be restored, where any are."""
    return (
        restores
        and version.spec.isolation is Isolation.REQUEST
        and version.spec.fresh is Fresh.RESTORED
    )


class Zygote:
    """The gateway's handle of one function zygote."""

    def __init__(
        self, client: Link, number: int, version: Version, *, restores: bool = False
    ) -> None:
        """Made by SandboxClient.open only."""
        self._client = client
        self._max_response = version.spec.limits.response
        self._reuse = version.spec.isolation is Isolation.INSTANCE
        self.number = number
        self.version = version
        self.alive = True
        self._is_let_out = False
        self._is_whole = False
        """Whether all files of its bundle were looked at since it was asked for."""
        self.instances: dict[int, Instance] = {}
        self._parts = 1
        self.forks = 0
        """How many instances were asked for so far."""
        self.restorable = is_restorable(version, restores=restores)
        """Whether its instances may be restored after a call, while there is a restorer."""
        self.asked: tuple[str, ...] = ()
        """Allowed system calls about which its filter asks."""
        self.refused = True
        """Whether those are refused."""
        self.outdated = False
        """Whether another is to take its place: what it runs with was replaced on disk, or other
        system calls are usual."""
        self.memory = 0
        """Bytes that it holds, its part of what it shares; 0 before that is known."""
        self.seconds = 0.0
        """How long it took to be made."""
        self._readying: dict[int, OnMadeReady] = {}
        self._unread: dict[int, Meter] = {}
        """Of instances that have ended and of which it was not told yet what they used."""
        self.on_ended: Callable[[str], None] = lambda reason: None
        self.watch: SystemCallWatch | None = None
        self.ahead: DependencyZygote | None = None
        """What had imported its dependencies before it was this version's, if anything had."""

    @property
    def restores(self) -> bool:
        """Whether an instance that is asked for now can be restored.

        While a restorer that has ended is replaced it cannot, and would be of no use.
        """
        return self.restorable and self._client.restores

    def spawn(
        self,
        on_ready: Callable[[Instance], None],
        on_end: Callable[[Instance], None],
        *,
        restorable: bool = False,
    ) -> Instance:
        """Ask for an instance. `on_ready` or `on_end` is called later. Raises OSError.

        It is ready, and takes an event, only once `found_whole` was called.
        """
        number = self.forks
        self.forks += 1
        ours, theirs = socket.socketpair()
        with theirs:
            reading, writing = os.pipe2(os.O_CLOEXEC)
            try:
                ours.setblocking(False)
                # What is sent it and not taken is closed by the gateway, however long that takes.
                with contextlib.suppress(OSError):  # Linux 6.16 has it
                    ours.setsockopt(socket.SOL_SOCKET, _PASS_RIGHTS, 0)
                os.set_blocking(reading, False)
                request = protocol.Spawn(self.number, number, restorable)
                self._client.send(request, [theirs.fileno(), writing])
            except BaseException:
                ours.close()
                os.close(reading)
                raise
            finally:
                os.close(writing)
        instance = Instance(
            number,
            sock=ours,
            output=reading,
            max_response=self._max_response,
            reuse=self._reuse,
            loop=self._client.loop,
            on_ready=on_ready,
            on_end=on_end,
            kill=self._kill,
            restorable=restorable,
            held=not self._is_whole,
        )
        instance.on_loaded = self._loaded_late
        self.instances[number] = instance
        instance.meter = meter = Meter(self._client.loop, self._client.meters)
        if self._reuse:
            meter.ask = (self._measure, number)
        return instance

    def _loaded_late(self, files: list[str]) -> None:
        self._client.loaded(self, files, late=True)

    def make_ready(self, instance: Instance, done: OnMadeReady) -> bool:
        """Have an instance be as it was at its first call; False if nobody can be asked.

        `done` is called with it and a problem, empty if there is none; not if it ends meanwhile.
        """
        # What it has not read of its call would be the first that it reads afterwards.
        if not instance.has_read_all() or not self._client.make_ready(self.number, instance.number):
            return False
        self._readying[instance.number] = done
        return True

    def made_ready(self, number: int, problem: str, pages: int = 0) -> None:
        """Take it that an instance was made ready, or what keeps it from that.

        `pages` of it were written back.
        """
        instance = self.instances.get(number)
        done = self._readying.get(number)
        if instance is not None and done is not None:
            if self.watch is not None:
                # Its next call is of another invocation, by the same process.
                self.watch.separate()
            instance.pages = pages
            done(instance, problem)

    def measured(self, number: int, cpu_us: int | None) -> None:
        """Take what an instance has used since it was forked."""
        self._read(self.instances.get(number), cpu_us)

    def _read(
        self, instance: Instance | None, cpu_us: int | None, memory: int = 0, *, last: bool = False
    ) -> None:
        if instance is not None and instance.meter is not None:
            self._client.meters.read(instance.meter, cpu_us, memory, last=last)

    def _measure(self, numbers: Sequence[int]) -> None:
        """Ask what instances have used."""
        for start in range(0, len(numbers) if self.alive else 0, protocol.MAX_MEASURED):
            some = tuple(numbers[start : start + protocol.MAX_MEASURED])
            # Without a supervisor they end, and are taken for what they could have used.
            with contextlib.suppress(SupervisorLostError):
                self._client.send(protocol.Measure(self.number, some), ())

    def weigh(self, parts: int) -> None:
        """Have the function's weight be one of `parts` of its project's, when the CPU is short."""
        if self.alive and parts != self._parts:
            self._parts = parts
            with contextlib.suppress(SupervisorLostError):
                self._client.send(protocol.Weigh(self.number, parts), ())

    def _kill(self, number: int) -> None:
        if self.alive and number in self.instances:
            # Without a supervisor there is no instance either.
            with contextlib.suppress(SupervisorLostError):
                self._client.send(protocol.Kill(self.number, number), ())

    @property
    def files(self) -> int:
        """Return the bytes of its bundle's files, which are in memory as long as it lives."""
        return self._client.files_of(self)

    def found_whole(self) -> None:
        """Take it that all files of its bundle are what they were: events may reach instances."""
        self._is_whole = True
        for instance in list(self.instances.values()):
            # Once whoever has opened the zygote knows of it.
            self._client.loop.call_soon(instance.admit)

    def let_out(self) -> None:
        """Give it its version's way to the network, if it lives and has not got it yet."""
        if self.alive and not self._is_let_out:
            self._is_let_out = True
            self._client.let_out(self)

    def close(self) -> None:
        """End the zygote and its instances."""
        if self.alive:
            with contextlib.suppress(SupervisorLostError):
                self._client.send(protocol.Close(self.number), ())

    def handle(self, event: protocol.Event) -> None:
        """Take an event of this zygote."""
        match event:
            case protocol.NotReady():
                self.made_ready(event.i, event.reason)
            case protocol.Exited():
                self._readying.pop(event.i, None)
                instance = self.instances.pop(event.i, None)
                if instance is not None:
                    if instance.meter is not None:
                        self._unread[event.i] = instance.meter
                    if os.WIFSIGNALED(event.status) and os.WTERMSIG(event.status) == signal.SIGSYS:
                        self._client.on_filter_kill(self, instance.serving)
                    instance.exited(event.status, out_of_memory=event.out_of_memory)
            case protocol.Used() | protocol.Using():
                self._used(event)
            case protocol.SpawnFailed():
                instance = self.instances.pop(event.i, None)
                if instance is not None:
                    instance.exited(0, out_of_memory=False)
            case protocol.ZygoteEnded():
                self._ended(event.reason, event.fault)
            case protocol.Outdated():
                self.outdated = True
            case protocol.Held():
                self.memory = event.memory
            case protocol.Opened():
                pass

    def _ended(self, reason: str, fault: protocol.Fault) -> None:
        self.alive = False
        instances, self.instances = self.instances, {}
        for meter in self._unread.values():
            self._client.meters.read(meter, None, last=True)
        self._unread.clear()
        for instance in instances.values():
            self._read(instance, None, last=True)
        by = reason if fault is protocol.Fault.NODE else ""
        for instance in instances.values():
            instance.exited(9, out_of_memory=False, ended_by_node=by)
        self._client.forget(self)
        self.on_ended(reason)

    def _used(self, event: protocol.Used | protocol.Using) -> None:
        """Take what instances have used that live, or all that one has that has ended."""
        if isinstance(event, protocol.Using):
            for number, cpu_us in event.used:
                self.measured(number, cpu_us)
            return
        meter = self._unread.pop(event.i, None)
        if meter is None:
            self._read(self.instances.get(event.i), event.cpu_us, event.memory, last=True)
        else:
            self._client.meters.read(meter, event.cpu_us, event.memory, last=True)
