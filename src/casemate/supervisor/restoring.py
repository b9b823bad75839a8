"""Instances that are restored, for the supervisor: has them traced, and told of when they end.

An instance that is forked to be restored says by a socket of its own what its memory is watched
by; the kernel says who it is. If it is the one process in its slot it is passed to the restorer,
and told to go on as one that is restored. In any other case it goes on as one that is not. The
gateway asks the restorer itself for each to be made ready, by a socket that it is given here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable

import msgspec

from casemate.child.heartbeat import Pulse
from casemate.child.proof import UnconfinedError
from casemate.child.start import Child, NotReadyError
from casemate.kernel.process_files import open_process
from casemate.kernel.system_calls import name_of
from casemate.restorer.protocol import (
    DISCARDED,
    GATEWAY,
    HELD,
    HOLD,
    REPORT,
    REQUEST,
    ReportError,
    read_report,
)
from casemate.restorer.reasons import Reason, text_of
from casemate.restorer.start import start_restorer
from casemate.runner import restorable
from casemate.runner.control import descriptors_of
from casemate.sandbox import protocol
from casemate.sandbox.zygote_process import ZygoteProcess
from casemate.supervisor.outbox import Outbox

_CREDENTIALS = struct.Struct("3i")
_SPACE = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4)
_AGAIN_SECONDS = 5.0
"""After its end a restorer is started again, at most so often."""
_OFFER_SECONDS = 5.0
_REPORTS_PER_TURN = 64
_ROOM_BYTES = 4 << 20
_OWN_FILTERS = 2
"""Of an instance that is restored, beside those of its zygote."""
_FILTERS = b"Seccomp_filters:\t"
Name = tuple[int, int]
"""The gateway's numbers of a zygote and of an instance."""


class Offer(msgspec.Struct, eq=False):
    """An instance that was forked to be restored, and has not said what it is yet."""

    zygote: ZygoteProcess
    name: Name
    sock: socket.socket
    tmpfs: int
    at: float = msgspec.field(default_factory=time.monotonic)


class Restoring:
    """The restorer of a node, and which instances it holds."""

    def __init__(
        self,
        *,
        selector: selectors.BaseSelector,
        outbox: Outbox,
        kill: Callable[[Name], None],
        report: Callable[[str], None],
    ) -> None:
        """Start none yet. `kill` ends an instance."""
        self._selector = selector
        self._outbox = outbox
        self._kill = kill
        self._report = report
        self._child: Child | None = None
        self._ready = False
        self._started_at = -_AGAIN_SECONDS
        self._numbers = itertools.count(1)
        self._names: dict[int, Name] = {}
        self._held: dict[Name, int] = {}
        self._offers: dict[int, Offer] = {}
        """By their number; once an instance is held there is nothing to wait for any more."""

    @property
    def pulse(self) -> Pulse | None:
        """That of the restorer."""
        return None if self._child is None else self._child.pulse

    def kill(self) -> None:
        """End a restorer that hangs."""
        if self._child is not None:
            self._child.kill()

    # -- the process ---------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Start the restorer if there is none, and let go of who offers nothing."""
        if self._child is None and now - self._started_at >= _AGAIN_SECONDS:
            self._started_at = now
            try:
                self._child = start_restorer()
            except OSError as error:
                self._report(f"the restorer could not be started: {error}")
                return
            self._child.control.setblocking(False)
            self._selector.register(self._child.control, selectors.EVENT_READ, self)
        for number, offer in list(self._offers.items()):
            if now - offer.at > _OFFER_SECONDS:
                self._refuse(number)

    def tell(self) -> None:
        """Tell a gateway whether instances are restored, and give it a way to the restorer."""
        child = self._child
        if child is None or not self._ready:
            self._outbox.tell(protocol.Restorer(0, "the restorer starts"))
            return
        theirs, gateways = socket.socketpair()
        with theirs, gateways:
            theirs.setblocking(False)  # the restorer may not do so itself
            # Room for all instances at once while the gateway is busy.
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM_BYTES)
            try:
                request = REQUEST.pack(GATEWAY, 0, 0, 0, 0, 0, 0)
                socket.send_fds(child.control, [request], [theirs.fileno()])
            except OSError:
                return  # its end is about to be read
            self._outbox.tell(protocol.Restorer(0, ""), gateways.detach())

    def read(self) -> None:
        """Take what the restorer says."""
        child = self._child
        if child is None:
            return
        try:
            if not self._ready:
                child.receive_ready()
                self._ready = True
                if self._outbox.connected:
                    self.tell()
                return
            for _ in range(_REPORTS_PER_TURN):
                data = child.control.recv(REPORT.size + 1)
                if not data:
                    raise EOFError
                self._on_report(data)
        except BlockingIOError:
            return
        except (OSError, EOFError, NotReadyError, ReportError, UnconfinedError) as error:
            self._lost(str(error))

    def _lost(self, why: str) -> None:
        """No instance of this restorer is used again; those that it had stopped have ended."""
        child, self._child, self._ready = self._child, None, False
        if child is not None:
            self._selector.unregister(child.control)
            child.kill()
            child.close()
        self._report(f"the restorer ended{': ' if why else ''}{why}; it is started again")
        for number in list(self._offers):
            self._refuse(number)
        names, self._names, self._held = self._names, {}, {}
        if self._outbox.connected:
            self.tell()
            for name in names.values():
                self._outbox.tell(protocol.NotReady(*name, "the restorer ended"))

    def forget(self) -> None:
        """Forget all instances: their gateway is gone, and the next one numbers others so."""
        for number in list(self._offers):
            self._refuse(number)
        self._names, self._held = {}, {}

    def close(self) -> None:
        """End it with the node."""
        for number in list(self._offers):
            self._refuse(number)
        if self._child is not None:
            self._selector.unregister(self._child.control)
            self._child.close()
            self._child = None

    # -- instances -----------------------------------------------------------------------------

    def offer(self, zygote: ZygoteProcess, name: Name, tmpfs: int) -> int | None:
        """Return where an instance offers itself; None if it cannot be restored now."""
        if not self._ready:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.setblocking(False)
        number = next(self._numbers)
        offer = Offer(zygote, name, ours, os.dup(tmpfs))
        self._offers[number] = offer
        self._selector.register(ours, selectors.EVENT_READ, (self, number))
        return theirs.detach()

    def take(self, number: int) -> None:
        """Take what an instance offers, and pass it to the restorer if it is who it should be."""
        offer = self._offers.get(number)
        if offer is None:
            return
        pid, received = 0, list[int]()
        try:
            _, ancillary, _, _ = offer.sock.recvmsg(8, _SPACE, socket.MSG_CMSG_CLOEXEC)
            received = descriptors_of(ancillary)
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid = _CREDENTIALS.unpack(payload)[0]
            if len(received) != 1 or pid <= 0:
                raise OSError("it offered nothing")
            self._pass_on(number, offer, pid, received[0])
        except (BlockingIOError, OSError):
            self._refuse(number)
        finally:
            for descriptor in received:
                os.close(descriptor)

    def _pass_on(self, number: int, offer: Offer, pid: int, uffd: int) -> None:
        child, zygote = self._child, offer.zygote
        slot = zygote.instances.get(offer.name[1])
        if child is None or not self._ready or slot is None or zygote.cgroups is None:
            raise OSError("there is nobody to restore it")
        files = open_process(pid)
        try:
            # Opened first: it is this process that is in the slot, not one that has its id later.
            others = set(zygote.cgroups.members(zygote.slot_name(slot))) - {zygote.pid}
            if others != {pid}:
                raise OSError("it is not the one process in its slot")
            filters = _filters_of(zygote.pid) + _OWN_FILTERS
            cpu_before = zygote.note_fork(slot)
            request = REQUEST.pack(HOLD, number, pid, filters, *offer.name, cpu_before)
            descriptors = [*files, uffd, offer.tmpfs]
            files.append(zygote.open_cpu(slot))
            socket.send_fds(child.control, [request], [*descriptors, files[-1]])
        finally:
            for descriptor in files:
                os.close(descriptor)

    def _refuse(self, number: int) -> None:
        """Have an instance go on as one that is not restored."""
        self._settle(number, b"n")

    def _settle(self, number: int, answer: bytes) -> None:
        offer = self._offers.pop(number, None)
        if offer is None:
            return
        self._selector.unregister(offer.sock)
        with contextlib.suppress(OSError):
            offer.sock.send(answer)
        offer.sock.close()
        os.close(offer.tmpfs)

    def _on_report(self, data: bytes) -> None:
        report = read_report(data)
        offer = self._offers.get(report.number)
        if offer is not None:
            if report.kind == HELD:
                self._names[report.number] = offer.name
                self._held[offer.name] = report.number
                self._settle(report.number, restorable.HELD)
            elif report.kind == DISCARDED:
                self._refuse(report.number)
            return
        name = self._names.get(report.number)
        if name is None:
            return
        if report.kind == DISCARDED and report.reason is not None:
            del self._names[report.number], self._held[name]
            detail = str(report.detail) if report.detail else ""
            if report.reason is Reason.CALL:
                detail = name_of(report.detail)
            self._outbox.tell(protocol.NotReady(*name, text_of(report.reason, detail)))
            if report.reason is not Reason.GONE:  # of which its zygote tells how
                # It may be stopped, with a copy beside it.
                self._kill(name)


def _filters_of(pid: int) -> int:
    """Return how many filters a zygote has. Raises OSError."""
    with open(f"/proc/{pid}/status", "rb", buffering=0) as file:  # noqa: PTH123
        for line in file.read(16384).splitlines():
            if line.startswith(_FILTERS):
                return int(line.removeprefix(_FILTERS))
    raise OSError("the kernel does not say how many filters a process has")
