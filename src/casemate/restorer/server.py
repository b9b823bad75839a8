"""The restorer's loop: takes requests, follows what instances do, says when they are ready.

It parses nothing that a function has written: requests and reports are of a fixed form, memory is
copied as it is. An instance is set back as soon as it has come home, while the gateway still
answers its caller, and stands there until the gateway asks for it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
from weakref import WeakValueDictionary

from casemate.child.collecting import give_back
from casemate.child.heartbeat import BEAT_SECONDS, Heart
from casemate.kernel import linux, tracing
from casemate.kernel.cgroups import cpu_microseconds
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.asking import Gateway, Name
from casemate.restorer.kept_pages import KeptPages
from casemate.restorer.protocol import (
    DISCARDED,
    GATEWAY,
    HELD,
    HOLD,
    HOLD_DESCRIPTORS,
    REQUEST,
    UNKNOWN_CPU,
    Report,
)
from casemate.restorer.reasons import DiscardError, Reason
from casemate.restorer.restoring import Held
from casemate.restorer.snapshot import STOP_SECONDS
from casemate.runner.control import receive_packet

MOST_HELD = 4096
"""Instances at a time; more are not restored."""
_REQUESTS_PER_TURN = 64
_EVENTS_PER_TURN = 64
_ANYTHING = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT | tracing.WALL
"""Ask who it is to whom something has happened, and leave it to be taken."""
_TAKEN = os.WEXITED | os.WSTOPPED | os.WNOHANG | tracing.WALL
_LATE_MS = 5
"""How often those go on that make flagged calls without end, one call each."""
_WANTED_MS = 20
"""How often it is looked whether one that was asked for has taken too long to come home."""
_UNASKED_SECONDS = 1.0
"""Nobody asks for one at home for so long: it may have been broken off where it waits for its next
call, by a host that slept, and goes on."""
_MOST = HOLD_DESCRIPTORS + 1
_SIGNALS_BYTES = 4096
_CPU_BYTES = 4096


class _Instance:
    """One that is held, with the descriptors that came with it."""

    def __init__(
        self,
        pid: int,
        filters: int,
        name: Name,
        descriptors: list[int],
        cpu_before: int,
        shared: KeptPages,
    ) -> None:
        """Trace it. Raises DiscardError; the descriptors are closed then."""
        *files, self._uffd, self._tmp, self._cpu = descriptors
        self._cpu_before = cpu_before
        self._files = ProcessFiles(files)
        self.name = name
        self.problem: DiscardError | None = None
        """Why it could not be set back, until somebody asks for it."""
        self.home_since = 0.0
        try:
            self.held = Held(
                pid,
                files=self._files,
                uffd=self._uffd,
                tmp=self._tmp,
                filters=filters,
                shared=shared,
            )
        except BaseException:
            self.close()
            raise

    def cpu_used(self) -> int:
        """Return the microseconds of the CPU that it, and all that it started, used so far."""
        try:
            used = cpu_microseconds(os.pread(self._cpu, _CPU_BYTES, 0))
        except OSError:
            used = None
        return UNKNOWN_CPU if used is None else max(0, used - self._cpu_before)

    def close(self) -> None:
        self._files.close()
        os.close(self._uffd)
        os.close(self._tmp)
        os.close(self._cpu)


class Server:
    """Serves one supervisor, and one gateway at a time."""

    def __init__(self, sock: socket.socket, heart: Heart) -> None:
        """Take over the socket."""
        self._sock = sock
        self._heart = heart
        self._gateway: Gateway | None = None
        self._held: dict[int, _Instance] = {}
        self._by_pid: dict[int, int] = {}
        self._by_name: dict[Name, int] = {}
        self._shared: WeakValueDictionary[int, KeptPages] = WeakValueDictionary()
        """By the gateway's numbers of zygotes: what their instances have in common."""
        self._wanted: dict[int, float] = {}
        """Numbers of those that were asked for and are not home yet, and until when they may."""
        self._urged: set[int] = set()
        """Those of them that were urged home: once is enough, and more would keep them from it."""
        self._late: set[int] = set()
        """Numbers of those that make so many flagged calls that they have to wait between them."""
        self._more = False
        """Whether something has happened that was not taken yet."""
        self._freed = False
        """Whether what was kept of an instance was let go, and is not given back yet."""
        self._signals = linux.signal_descriptor(signal.SIGCHLD)
        self._poll = select.poll()
        self._poll.register(self._sock, select.POLLIN)
        self._poll.register(self._signals, select.POLLIN)

    def run(self) -> None:
        """Serve until the supervisor is gone."""
        beat_at = late_at = 0.0
        while True:
            now = time.monotonic()
            if now >= beat_at:
                self._heart.beat()
                beat_at = now + BEAT_SECONDS
                self._let_unasked_go(now)
            for descriptor, _ in self._poll.poll(self._patience()):
                if descriptor == self._signals:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._signals, _SIGNALS_BYTES)
                elif descriptor == self._sock.fileno():
                    if not self._read():
                        return
                elif self._gateway is not None:
                    self._hear(self._gateway)
            self._sweep()
            self._tell()
            if self._freed and not self._held:
                self._freed = False
                gc.collect()
                give_back()
            if self._wanted:
                self._refuse_who_does_not_come()
            if self._late and (now := time.monotonic()) >= late_at:
                late_at = now + _LATE_MS / 1000
                for number in self._late:
                    self._held[number].held.tracee.resume_late()
                self._late.clear()

    def _patience(self) -> float:
        """Return how long nothing has to be done unless something happens, in milliseconds."""
        if self._more:
            return 0
        if self._late:
            return _LATE_MS
        return _WANTED_MS if self._wanted else BEAT_SECONDS * 1000

    # -- what has happened ---------------------------------------------------------------------

    def _sweep(self) -> None:
        """Let those go on with whom something has happened, in the order in which it did."""
        self._more = False
        for _ in range(_EVENTS_PER_TURN):
            if self._gateway is not None:
                self._gateway.send_overdue()
            found = _next_event()
            if found is None:
                return
            number = self._by_pid.get(found.si_pid)
            if number is None:
                number = self._of_thread(found.si_pid)
            if number is None:
                self._sweep_all(found.si_pid)
                # All of them had their turn: callers are heard before whatever has come since.
                self._more = _next_event() is not None
                return
            self._held[number].held.tracee.take(found.si_pid)
            self._look_at(number)
        self._more = True

    def _of_thread(self, pid: int) -> int | None:
        """Return the number of the one of which it is a thread; None if it is of none."""
        for number, instance in self._held.items():
            if pid in instance.held.tracee.threads:
                return number
        return None

    def _sweep_all(self, pid: int) -> None:
        """See to one that is not held: a twin, or what an instance has started. It knows its own.

        Of some nobody knows: of one whose starter was killed before its fork was told, and of one
        that was traced and then not held. They end for good by being waited for here, without
        which the first process of their namespace could not end; until then they stand.
        """
        for each in list(self._held):
            self._held[each].held.tracee.sweep()
            self._look_at(each)
        if any(instance.held.tracee.follows(pid) for instance in self._held.values()):
            return  # more has happened than is taken in one turn
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, _TAKEN)

    def _look_at(self, number: int) -> None:
        """See to one with whom something has happened."""
        instance = self._held[number]
        tracee = instance.held.tracee
        if tracee.late:
            self._late.add(number)
        if tracee.at_home:
            self._at_home(number, instance)
        elif number in self._wanted and instance.held.flagged is not None:
            self._make_ready(number)
        if not tracee.alive and not tracee.following:
            del self._held[number], self._by_pid[tracee.pid]
            self._forget_wanted(number)
            self._late.discard(number)
            if self._by_name.get(instance.name) == number:
                del self._by_name[instance.name]
            instance.close()
            self._freed = True
            self._report(Report(DISCARDED, number, Reason.GONE, 0, 0))

    def _at_home(self, number: int, instance: _Instance) -> None:
        """Set one back that has come home; let it go if it was asked for."""
        if number in self._wanted:
            self._forget_wanted(number)
            self._make_ready(number)
        elif instance.held.snapshot is not None and instance.problem is None:
            instance.home_since = time.monotonic()
            try:
                instance.held.prepare()
            except DiscardError as error:
                instance.problem = error

    # -- what is asked -------------------------------------------------------------------------

    def _hear(self, gateway: Gateway) -> None:
        """Take what a gateway asks for."""
        for name in gateway.asked():
            number = self._by_name.get(name)
            if number is None:
                gateway.tell(name, ready=False)
            else:
                self._make_ready(number)

    def _make_ready(self, number: int) -> None:
        """Let one go that is home; have all others waited for, but not for long."""
        instance = self._held[number]
        held = instance.held
        try:
            if instance.problem is not None:
                raise instance.problem
            if held.flagged is not None:
                raise held.flagged
            if not held.at_home:
                held.tracee.resume_late()
                self._wanted[number] = time.monotonic() + STOP_SECONDS
                return
            held.prepare()
            cpu = instance.cpu_used()  # of this call and those before: the next one has not begun
            held.let_go()
        except DiscardError as error:
            self._discard(number, instance, error)
        else:
            # Another gateway has others by the same names.
            if self._gateway is not None and self._by_name.get(instance.name) == number:
                self._gateway.tell(instance.name, ready=True, pages=held.pages, cpu_us=cpu)

    def _discard(self, number: int, instance: _Instance, error: DiscardError) -> None:
        instance.problem = error
        self._forget_wanted(number)
        self._report(Report(DISCARDED, number, error.reason, error.detail, instance.held.pages))

    def _refuse_who_does_not_come(self) -> None:
        now = time.monotonic()
        for number, until in list(self._wanted.items()):
            if now >= until:
                self._discard(number, self._held[number], DiscardError(Reason.NOT_WAITING))
            elif now >= until - STOP_SECONDS + _WANTED_MS / 1000 and number not in self._urged:
                self._urged.add(number)
                self._held[number].held.tracee.urge_home()

    def _forget_wanted(self, number: int) -> None:
        self._wanted.pop(number, None)
        self._urged.discard(number)

    def _let_unasked_go(self, now: float) -> None:
        for instance in self._held.values():
            held = instance.held
            if held.prepared and held.at_home and now - instance.home_since > _UNASKED_SECONDS:
                with contextlib.suppress(DiscardError):
                    held.give_up()

    # -- the supervisor ------------------------------------------------------------------------

    def _read(self) -> bool:
        """Take what the supervisor has sent; False once it is gone."""
        for _ in range(_REQUESTS_PER_TURN):
            try:
                data, descriptors, flags = self._receive()
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            cut = flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
            self._take(b"" if cut else data, descriptors)
        return True

    def _receive(self) -> tuple[bytes, list[int], int]:
        return receive_packet(self._sock, REQUEST.size + 1, most=_MOST, asked=socket.MSG_DONTWAIT)

    def _take(self, data: bytes, descriptors: list[int]) -> None:
        if len(data) == REQUEST.size:
            kind, number, pid, filters, *name, cpu_before = REQUEST.unpack(data)
            if kind == HOLD and len(descriptors) == HOLD_DESCRIPTORS and number not in self._held:
                self._hold(number, pid, filters, (name[0], name[1]), descriptors, cpu_before)
                return
            if kind == GATEWAY and len(descriptors) == 1:
                self._serve(descriptors[0])
                return
        for descriptor in descriptors:
            os.close(descriptor)
        raise ValueError("the supervisor asks for something unknown")

    def _serve(self, descriptor: int) -> None:
        """Serve another gateway, which knows nothing of the instances of the one before it."""
        if self._gateway is not None:
            self._leave(self._gateway)
        self._by_name.clear()
        self._shared.clear()
        self._wanted.clear()
        self._urged.clear()
        self._gateway = Gateway(descriptor)
        self._poll.register(descriptor, select.POLLIN)

    def _tell(self) -> None:
        """Send what the gateway is to be told; leave one that is gone."""
        gateway = self._gateway
        if gateway is not None:
            gateway.send()
            if gateway.gone:
                self._leave(gateway)

    def _leave(self, gateway: Gateway) -> None:
        self._poll.unregister(gateway.descriptor)
        gateway.close()
        self._gateway = None

    def _hold(
        self,
        number: int,
        pid: int,
        filters: int,
        name: Name,
        descriptors: list[int],
        cpu_before: int,
    ) -> None:
        if len(self._held) >= MOST_HELD:
            for descriptor in descriptors:
                os.close(descriptor)
            self._report(Report(DISCARDED, number, Reason.KERNEL, 0, 0))
            return
        shared = self._shared.setdefault(name[0], KeptPages())
        try:
            self._held[number] = _Instance(pid, filters, name, descriptors, cpu_before, shared)
        except DiscardError as error:
            self._report(Report(DISCARDED, number, error.reason, error.detail, 0))
            return
        self._by_pid[pid] = self._by_name[name] = number
        self._report(Report(HELD, number, None, 0, 0))

    def _report(self, report: Report) -> None:
        # The supervisor reads all the time. If it does not, it is ended, and this with it.
        try:
            self._sock.send(report.packed())
        except OSError as error:
            raise EOFError from error


def _next_event() -> os.waitid_result | None:
    """Return with whom something has happened first, and leave it to be taken; None if nothing."""
    try:
        return os.waitid(os.P_ALL, 0, _ANYTHING)
    except ChildProcessError:
        return None
