"""The zygotes of a node: made blank, given to functions, asked to fork, ended with all they forked.

A zygote is known by its process; the gateway knows it by a number once it is a function's. What it
says are records of nine bytes, and one that is not due ends it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable

from casemate.kernel.cgroups import Driver
from casemate.model.errors import CasemateError
from casemate.runner import control
from casemate.sandbox import protocol
from casemate.sandbox.cpu_shares import CpuShares
from casemate.sandbox.identities import Identities
from casemate.sandbox.layouts import Layout
from casemate.sandbox.staging import Staging
from casemate.sandbox.zygote_process import Fork, ZygoteProcess, ZygoteViolationError
from casemate.supervisor.measuring import Measuring
from casemate.supervisor.outbox import Outbox
from casemate.supervisor.restoring import Restoring

TMPFS_BATCH = 8
_FORK_SECONDS = 5.0
_AHEAD_SHARE = 0.01
"""Of the weight of a function, what a zygote has that imports dependencies ahead of one."""
_KILL_SECONDS = 1.0
"""How long a zygote that kills its own instances may take for it."""
_SHARED = (
    "the import left {}, which all calls would share: make it in the handler, or set "
    'trust = "low" to import the module in every instance'
)


class Zygotes:
    """All zygotes that live or are about to end."""

    def __init__(
        self,
        *,
        selector: selectors.BaseSelector,
        outbox: Outbox,
        staging: Staging,
        cgroups: Driver | None,
        identities: Identities | None,
        report: Callable[[str], None],
    ) -> None:
        """Hear of them by `selector`, with the zygote as its data; tell the gateway by `outbox`."""
        self._selector = selector
        self._outbox = outbox
        self._staging = staging
        self._cgroups = cgroups
        self._identities = identities
        self._report = report
        self._shares = CpuShares(cgroups)
        self.measuring = Measuring(outbox)
        self._layout_of: dict[ZygoteProcess, Layout] = {}
        self._open: dict[int, ZygoteProcess] = {}
        self._numbers: dict[ZygoteProcess, int] = {}
        self._draining: list[tuple[ZygoteProcess, int, int]] = []
        """Slots in which something lives of an instance that has ended, and its number."""
        self._ended: list[ZygoteProcess] = []
        self._asked: dict[tuple[int, int], float] = {}
        self._names = 0
        self.restoring: Restoring | None = None
        """By whom instances are restored; None where each call has a fork of its own."""

    def get(self, number: int) -> ZygoteProcess | None:
        """Return a function's zygote by the gateway's number of it."""
        return self._open.get(number)

    def layout_of(self, number: int) -> Layout | None:
        """Return what a function's zygote was made of, None if it has ended."""
        zygote = self._open.get(number)
        return None if zygote is None else self._layout_of.get(zygote)

    def number_of(self, zygote: ZygoteProcess) -> int | None:
        """Return the gateway's number of a zygote, None if that knows nothing of it."""
        return self._numbers.get(zygote)

    def is_heard(self, zygote: ZygoteProcess) -> bool:
        """Tell whether what it sends is to be read.

        Not if it was ended in this very turn, by what came before it among those ready.
        """
        return zygote in self._numbers or not zygote.assigned

    @property
    def draining(self) -> bool:
        """Whether slots wait until nothing lives in them any more."""
        return bool(self._draining)

    @property
    def ending(self) -> bool:
        """Whether something of a zygote that was ended is left."""
        return bool(self._ended)

    # -- made and given away -------------------------------------------------------------------

    def make(self, layout: Layout) -> ZygoteProcess:
        """Fork a blank zygote. Raises OSError, CasemateError and ZygoteViolationError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._names += 1
        zygote = ZygoteProcess(f"z{self._names}", ours, self._cgroups)
        self._selector.register(ours, selectors.EVENT_READ, zygote)
        self._layout_of[zygote] = layout
        layout.zygotes.add(zygote)
        try:
            with theirs:
                layout.base.blank(theirs, self._staging.make_devices(zygote.name))
            zygote.greet(_FORK_SECONDS)
        except BaseException:
            self.forget(zygote)
            raise
        return zygote

    def assign(
        self,
        zygote: ZygoteProcess,
        request: protocol.Open,
        mounts: tuple[int, int],
        *,
        landlock_abi: int,
        descriptors: list[int],
    ) -> None:
        """Make a blank zygote a function's own; `mounts` are its bundle and its `/tmp`.

        Raises OSError and CasemateError; it is ended then.
        """
        try:
            zygote.tmpfs_device = os.fstat(mounts[1]).st_dev
            self._shares.add(zygote.name, (request.project, request.function))
            self._identify(zygote)
            zygote.assign(request, landlock_abi, [*mounts, *descriptors])
        except BaseException:
            self.forget(zygote)
            raise
        self.know(request.z, zygote)

    def _identify(self, zygote: ZygoteProcess) -> None:
        if self._identities is not None:
            zygote.identity = self._identities.take()

    def prepare(
        self,
        zygote: ZygoteProcess,
        request: protocol.PrepareDependencies,
        mounts: tuple[int, int],
        *,
        landlock_abi: int,
        descriptors: list[int],
    ) -> None:
        """Have a blank zygote import dependencies; `mounts` are those and its `/tmp`.

        Raises OSError and CasemateError; it is ended then.
        """
        try:
            zygote.tmpfs_device = os.fstat(mounts[1]).st_dev
            if self._cgroups is not None:
                # Whatever a call waits for comes first.
                self._cgroups.weigh(zygote.name, _AHEAD_SHARE)
            self._identify(zygote)
            zygote.prepare(request, landlock_abi, [*mounts, *descriptors])
        except BaseException:
            self.forget(zygote)
            raise
        self.know(request.z, zygote)

    def become(
        self,
        zygote: ZygoteProcess,
        request: protocol.Become,
        *,
        landlock_abi: int,
        attach: Callable[[int], None],
    ) -> None:
        """Make a dependency zygote a function's own. Raises OSError and CasemateError."""
        self._shares.add(zygote.name, (request.project, request.function))
        zygote.become(request, landlock_abi, attach)

    def end_waiting(self, layout: Layout, reason: str) -> None:
        """End the zygotes of a layout that have imported dependencies and are no function's."""
        for zygote in list(layout.zygotes):
            if zygote.prepared is not None and zygote.assigned is None:
                self.end(zygote, reason, expected=True)

    def know(self, number: int, zygote: ZygoteProcess) -> None:
        """Know a function's zygote by the gateway's number of it."""
        self._open[number] = zygote
        self._numbers[zygote] = number

    def weigh(self, request: protocol.Weigh) -> None:
        """Have a function's weight be one of so many parts of its project's."""
        if (zygote := self._open.get(request.z)) is not None:
            self._shares.divide(zygote.name, request.parts)

    # -- asked to fork and to kill -------------------------------------------------------------

    def spawn(self, request: protocol.Spawn, descriptors: list[int]) -> None:
        """Have a zygote fork an instance, which gets the descriptors, once it has imported."""
        zygote = self._open.get(request.z)
        fork = Fork(request.i, descriptors, restorable=request.restorable)
        if zygote is None or zygote.assigned is None or request.i in zygote.instances:
            fork.close()
            self._outbox.tell(protocol.SpawnFailed(request.z, request.i, "there is no such zygote"))
            return
        zygote.waiting.append(fork)
        self._fork_next(zygote)

    def _fork_next(self, zygote: ZygoteProcess) -> None:
        """Start the next waiting fork. One at a time: it must be born in the zygote's slot."""
        if zygote.forking is not None or not zygote.waiting or zygote.assigned is None:
            return
        if not zygote.ready:
            return  # what it is asked for before it has imported waits until then
        fork = zygote.waiting.popleft()
        try:
            zygote.take_home()
            tmpfs = self._layout_of[zygote].take_tmpfs(zygote.assigned.tmp, TMPFS_BATCH)
            try:
                hold = self._hold(zygote, fork, tmpfs)
            except OSError:
                os.close(tmpfs)
                raise
            zygote.fork(fork, tmpfs, time.monotonic(), hold)
        except (OSError, CasemateError) as error:
            fork.close()
            self.end(zygote, f"cannot fork: {error}")

    def _hold(self, zygote: ZygoteProcess, fork: Fork, tmpfs: int) -> int | None:
        """Return where an instance that is to be restored offers itself, None for others."""
        if self.restoring is None or not fork.restorable or self._cgroups is None:
            return None
        return self.restoring.offer(zygote, (self._numbers[zygote], fork.number), tmpfs)

    def kill(self, request: protocol.Kill) -> None:
        """End an instance with all that it started."""
        zygote = self._open.get(request.z)
        slot = zygote.instances.get(request.i) if zygote else None
        if zygote is None or slot is None:
            return
        zygote.killed.add(request.i)
        if zygote.forking is None or zygote.forking.number != request.i:
            self._kill_instance(zygote, request.i, slot)
        # Otherwise the zygote still sits in the slot: it is killed once the zygote has left.

    def measure(self, request: protocol.Measure) -> None:
        """Tell what instances have used so far; nothing of those that are gone, which was told."""
        zygote = self._open.get(request.z)
        if zygote is not None:
            living = [(i, zygote.instances[i]) for i in request.instances if i in zygote.instances]
            used = tuple((i, self._cpu_used(zygote, slot)) for i, slot in living)
            self._outbox.tell(protocol.Using(request.z, used))

    def _kill_instance(self, zygote: ZygoteProcess, number: int, slot: int) -> None:
        try:
            if self._cgroups is not None:
                zygote.kill_slot(slot)
            else:
                # Code of an import may have taken the zygote over: `tick` ends one that does not
                # obey.
                zygote.ask_to_kill(number)
                self._asked[self._numbers[zygote], number] = time.monotonic()
        except OSError as error:
            self.end(zygote, f"an instance cannot be killed: {error}")

    # -- what they say -------------------------------------------------------------------------

    def read(self, zygote: ZygoteProcess) -> None:
        """Take a record that a zygote has sent."""
        try:
            record = zygote.read_event()
            if record is None:
                self._closed(zygote)
                return
            self._on_record(zygote, *record)
        except BlockingIOError:
            return
        except (OSError, ZygoteViolationError) as error:
            self.end(zygote, str(error))

    def _on_record(self, zygote: ZygoteProcess, kind: bytes, number: int, value: int) -> None:
        if kind == control.HELLO:
            raise ZygoteViolationError("a second hello")
        if zygote not in self._numbers:
            raise ZygoteViolationError("a record before its assignment")
        if kind == control.FILTERED:
            return
        if kind == control.IMPORTED and zygote.filtered and not zygote.ready:
            self._imported(zygote)
        elif kind == control.IMPORT_FAILED and not zygote.ready:
            self._import_failed(zygote, "the handler cannot be imported")
        elif kind in (control.FORKED, control.FORK_FAILED):
            if zygote.forking is None or zygote.forking.number != number:
                raise ZygoteViolationError("an answer to a fork that was not asked for")
            zygote.forking = None
            if kind == control.FORK_FAILED:
                self._gone(zygote, number, forked=False)
                reason = f"clone failed: {os.strerror(value)}"
                self._outbox.tell(protocol.SpawnFailed(self._numbers[zygote], number, reason))
            else:
                zygote.note_fork(zygote.instances[number])
                with contextlib.suppress(OSError):
                    zygote.prefer_as_victim(zygote.instances[number])
            # Off the path: the next instance finds the zygote in its slot.
            zygote.take_home()
            if number in zygote.killed:
                self._kill_instance(zygote, number, zygote.instances[number])
            self._fork_next(zygote)
        elif kind == control.EXITED and number in zygote.instances:
            self._exited(zygote, number, value)
        else:
            raise ZygoteViolationError(f"an unexpected record {kind!r}")

    def _closed(self, zygote: ZygoteProcess) -> None:
        layout = self._layout_of.get(zygote)
        # The socket of a base zygote is closed before the kernel ends what was forked from it.
        if layout is not None and layout.base.hung_up():
            self.end(zygote, "its base zygote ended")
        else:
            self.end(zygote, "the zygote is gone", fault=protocol.Fault.FUNCTION)

    def _imported(self, zygote: ZygoteProcess) -> None:
        if zygote.waits:
            raise ZygoteViolationError("a second import before it is a function's")
        if shared := zygote.shared_at_import():
            self._import_failed(zygote, _SHARED.format(shared))
            return
        # First: what the gateway asks for then comes in a later turn, after its slot has room.
        self._outbox.tell(protocol.Opened(self._numbers[zygote]))
        if zygote.assigned is None:
            zygote.waits = True
        else:
            zygote.imported()
            self._fork_next(zygote)
            if zygote not in self._numbers:
                return
        self.measuring.begin(zygote, self._numbers[zygote], time.monotonic())

    def _import_failed(self, zygote: ZygoteProcess, reason: str) -> None:
        self.end(zygote, reason, expected=True, fault=protocol.Fault.FUNCTION)

    def _exited(self, zygote: ZygoteProcess, number: int, status: int) -> None:
        slot = zygote.instances[number]
        # Asked before the slot is given back: the counter is of the group, not of who was in it.
        died_by_kill = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        out_of_memory = (
            died_by_kill and number not in zygote.killed and zygote.ran_out_of_memory(slot)
        )
        event = protocol.Exited(self._numbers[zygote], number, status, out_of_memory)
        self._outbox.tell(event)
        self._gone(zygote, number)

    def _gone(self, zygote: ZygoteProcess, number: int, *, forked: bool = True) -> None:
        """Give an instance's slot back, at once if nothing lives in it."""
        slot = zygote.instances.pop(number)
        zygote.killed.discard(number)
        self._asked.pop((self._numbers[zygote], number), None)
        if zygote.slot_empty(slot):
            if forked:
                self._outbox.tell(self._used(zygote, number, slot))
            zygote.release(slot)
        else:
            # Children that it left. The next instance would be born among them.
            zygote.kill_slot(slot)
            self._draining.append((zygote, slot, number))

    def _used(self, zygote: ZygoteProcess, number: int, slot: int) -> protocol.Used:
        """Return what an instance has used, with all that it started."""
        cpu, peak = self._cpu_used(zygote, slot), zygote.memory_peak(slot)
        return protocol.Used(self._numbers[zygote], number, cpu, peak)

    @staticmethod
    def _cpu_used(zygote: ZygoteProcess, slot: int) -> int | None:
        with contextlib.suppress(OSError):
            return zygote.cpu_since_fork(slot)
        return None

    # -- upkeep --------------------------------------------------------------------------------

    def drain(self) -> None:
        """Give back the slots of instances that have ended, as soon as nothing lives there."""
        if not self._draining:
            return
        left = []
        for zygote, slot, number in self._draining:
            if zygote not in self._numbers:
                continue
            try:
                if zygote.slot_empty(slot):
                    self._outbox.tell(self._used(zygote, number, slot))
                    zygote.release(slot)
                else:
                    # Again: without cgroup.kill a fork may have come after the list was read.
                    zygote.kill_slot(slot)
                    left.append((zygote, slot, number))
            except OSError as error:
                self.end(zygote, f"a slot cannot be emptied: {error}")
        self._draining = left

    def tick(self, now: float) -> None:
        """End zygotes that do not do what they were asked to; have others fork ahead at rest."""
        for zygote in list(self._open.values()):
            if zygote.forking is not None and now - zygote.forking_since > _FORK_SECONDS:
                self.end(zygote, "the zygote does not fork")
                continue
            with contextlib.suppress(OSError):  # its end is about to be read
                zygote.ask_ahead()
        for (z, _), asked in list(self._asked.items()):
            if now - asked > _KILL_SECONDS and z in self._open:
                self.end(self._open[z], "an instance would not end")

    def end_all(self, reason: str) -> None:
        """End every function's zygote; nobody is there to be told."""
        for zygote in list(self._open.values()):
            self.end(zygote, reason, tell=False, expected=True)

    def remove_ended(self) -> None:
        """Remove what is left of zygotes that were ended, once nothing of them lives."""
        left = []
        for zygote in self._ended:
            if not zygote.remove():
                left.append(zygote)
                continue
            # Nothing lives any more that has its id or its devices.
            self._staging.remove_devices(zygote.name)
            if self._identities is not None and zygote.identity:
                self._identities.release(zygote.identity)
        self._ended = left

    def end(
        self,
        zygote: ZygoteProcess,
        reason: str,
        *,
        tell: bool = True,
        expected: bool = False,
        fault: protocol.Fault = protocol.Fault.NODE,
    ) -> None:
        """End a zygote and its instances, by whose `fault` it is.

        `expected`: that is no news for the operator.
        """
        if not expected and zygote.owner:
            self._report(f"zygote {zygote.name} of {zygote.owner} is ended: {reason}")
        # From here on it is not listened to, whatever it still sends.
        number = self._numbers.get(zygote)
        events: list[protocol.Event] = []
        left: list[tuple[int, int]] = []
        if number is not None:
            del self._open[number]
            if tell and not expected:
                events += self._what_ran_out_of_memory(zygote, number)
            if tell:
                left += [(i, slot) for z, slot, i in self._draining if z is zygote]
                left += zygote.instances.items()
        layout = self._layout_of.get(zygote)
        if layout is not None and zygote in layout.blanks:
            layout.blanks.remove(zygote)
        self.forget(zygote)
        # Not before it is killed: the gateway closes what the filter's notifications come by, and
        # nothing that is used from then on would be counted.
        events += [self._used(zygote, instance, slot) for instance, slot in left]
        if number is not None:
            del self._numbers[zygote]
            if tell:
                events.append(protocol.ZygoteEnded(number, reason, fault))
        for event in events:
            self._outbox.tell(event)

    @staticmethod
    def _what_ran_out_of_memory(zygote: ZygoteProcess, number: int) -> list[protocol.Event]:
        """Return the ends of instances whose slot overflowed, which may have cost the zygote.

        It does where an instance fills its memory before `prefer_as_victim` is done for it. Where
        the counter cannot be read any more, the instance has crashed, as ZygoteEnded says.
        """
        events: list[protocol.Event] = []
        for instance, slot in zygote.instances.items():
            with contextlib.suppress(OSError):
                if instance not in zygote.killed and zygote.ran_out_of_memory(slot):
                    killed = int(signal.SIGKILL)
                    events.append(protocol.Exited(number, instance, killed, out_of_memory=True))
        return events

    def forget(self, zygote: ZygoteProcess) -> None:
        """End a zygote that the gateway knows nothing of, or has been told of."""
        self._shares.remove(zygote.name)
        self.measuring.forget(zygote)
        layout = self._layout_of.pop(zygote, None)
        if layout is not None:
            layout.zygotes.discard(zygote)
        if zygote.sock.fileno() >= 0:
            self._selector.unregister(zygote.sock)
            zygote.end()
            self._ended.append(zygote)
