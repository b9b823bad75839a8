"""The supervisor's side of one function zygote: its slots, its forks, its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from casemate.kernel.cgroups import Driver, SlotLimits, cpu_microseconds
from casemate.model.errors import CasemateError
from casemate.model.function import Limits
from casemate.runner import control
from casemate.sandbox.protocol import Open, PrepareDependencies
from casemate.sandbox.shared_memory import shared_mappings
from casemate.sandbox.waking import Waking

_CREDENTIALS = struct.Struct("3i")
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4)
_EVENT_BYTES = control.EVENT.size
_USUAL = SlotLimits(Limits().memory, Limits().cpu, Limits().processes + 1)
"""Of a slot of a function that says nothing of its limits. A blank zygote has them, so that none
are written while a call waits."""
_CPU_BYTES = 4096
_CPUCLOCK_SCHED = 2


def process_clock(pid: int) -> int:
    """Return the microseconds of the CPU that a process, without its children, has used; 0: gone.

    By the clock that clock_getcpuclockid(3) names: what it tells is what its group is charged.
    """
    try:
        return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED) // 1000
    except OSError:
        return 0


class ZygoteViolationError(CasemateError):
    """A zygote sent something else than one of its fixed records."""


class Fork:
    """A fork that was asked for: instance number and the descriptors that go with it."""

    __slots__ = ("descriptors", "number", "restorable")

    def __init__(self, number: int, descriptors: list[int], *, restorable: bool = False) -> None:
        """Take over the descriptors."""
        self.number = number
        self.restorable = restorable
        self.descriptors = descriptors

    def close(self) -> None:
        """Close the descriptors. Closing twice is fine."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []


class ZygoteProcess:
    """One zygote, blank at first. All methods are called from the supervisor's loop.

    `slots` maps the index of each slot in use to the instance in it. The zygote sits in
    `home`, the slot that the next instance will be born in, or in none (None) when the slot it
    sits in is taken by an instance it has just forked.
    """

    def __init__(self, name: str, sock: socket.socket, cgroups: Driver | None) -> None:
        """Control a blank zygote over `sock`."""
        self.name = name
        self.sock = sock
        self._waking = Waking(lambda: None)
        self.cgroups = cgroups
        self.pid = 0
        self.assigned: Open | None = None
        self.prepared: PrepareDependencies | None = None
        """What is imported in it before it is a function's."""
        self.waits = False
        """Whether that is done, and it is no function's yet."""
        self._process = -1
        self.identity = 0
        """Its id in the base zygote's user namespace; 0 before it has one, or where all share."""
        self.ready = False
        self.slots: dict[int, int] = {}
        self.instances: dict[int, int] = {}
        self.killed: set[int] = set()
        self.waiting: deque[Fork] = deque()
        self.forking: Fork | None = None
        self.forking_since = 0.0
        self.home: int | None = None
        self._free: list[int] = []
        self._made = 0
        self._kills: dict[int, int] = {}
        self._cpu: dict[int, int] = {}
        """What slots had used of the CPU when the instance in them was forked."""
        self._before_fork = (0, 0)
        """What the slot that it sits in, and the zygote itself, had used as it came there, or had
        imported: until the next fork nothing but the zygote uses any more."""
        self._imported_bytes = 0
        """What the import took, which is charged to the first slot."""
        self._is_ahead = False
        """Whether it was asked to fork its next instance's process since it forked one last."""
        self._limits = _USUAL
        self._is_filtered = False
        self.tmpfs_device = 0
        """Of the /tmp that it imports with."""
        self._notify = -1
        if cgroups is not None:
            cgroups.create(name)
        self._add_slot()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sock.setblocking(False)

    @property
    def project(self) -> str:
        """Whose functions it is for; empty for a blank one."""
        given = self.assigned or self.prepared
        return "" if given is None else given.project

    @property
    def owner(self) -> str:
        """Whose it is, for the operator; empty for a blank one."""
        if self.assigned is not None:
            return f"{self.assigned.project}/{self.assigned.function}"
        return f"dependencies of {self.project}" if self.prepared is not None else ""

    # -- slots ---------------------------------------------------------------------------------

    def _add_slot(self) -> None:
        slot = self._made
        if self.cgroups is not None:
            self.cgroups.create(f"{self.name}/s{slot}")
            self.cgroups.limit(f"{self.name}/s{slot}", self._limits)
        self._made += 1
        self._free.append(slot)

    def slot_name(self, slot: int) -> str:
        """Return the control group of a slot."""
        return f"{self.name}/s{slot}"

    def take_home(self) -> None:
        """Move the zygote into a free slot, so that it can fork. Raises OSError."""
        if self.home is not None:
            return
        if not self._free:
            self._add_slot()
        slot = self._free.pop()
        if self.cgroups is not None:
            self.cgroups.enter(self.slot_name(slot), self.pid)
        self.home = slot
        self._note_before(slot)

    def release(self, slot: int) -> None:
        """Give a slot back once nothing lives in it."""
        del self.slots[slot]
        self._cpu.pop(slot, None)
        self._free.append(slot)

    def slot_empty(self, slot: int) -> bool:
        """Tell whether nothing lives in a slot."""
        return self.cgroups is None or self.cgroups.empty(self.slot_name(slot))

    def kill_slot(self, slot: int) -> None:
        """Kill all that lives in a slot."""
        if self.cgroups is not None:
            self.cgroups.kill(self.slot_name(slot))

    def prefer_as_victim(self, slot: int) -> None:
        """Have the kernel kill the instance, not this zygote, when a slot's memory runs out.

        For as long as both are in the slot; memory in /tmp counts for neither of them. Raises
        OSError if the instance has ended, or, for an ordinary user, is not ours to adjust.
        """
        if self.cgroups is None:
            return
        for pid in self.cgroups.members(self.slot_name(slot)):
            if pid != self.pid:
                Path(f"/proc/{pid}/oom_score_adj").write_text("1000")

    def ran_out_of_memory(self, slot: int) -> bool:
        """Tell whether the kernel killed in a slot for want of memory since it was last asked."""
        if self.cgroups is None:
            return False
        kills = self.cgroups.out_of_memory_kills(self.slot_name(slot))
        before, self._kills[slot] = self._kills.get(slot, 0), kills
        return kills > before

    # -- what instances use --------------------------------------------------------------------

    def cpu_since_fork(self, slot: int) -> int | None:
        """Return the microseconds of the CPU used in a slot by its instance; None: unknown.

        What the zygote used there until it had forked is not the instance's.
        """
        if self.cgroups is None:
            return None
        descriptor = self.open_cpu(slot)
        try:
            used = cpu_microseconds(os.read(descriptor, _CPU_BYTES))
        finally:
            os.close(descriptor)
        return None if used is None else max(0, used - self._cpu.get(slot, 0))

    def open_cpu(self, slot: int) -> int:
        """Return a descriptor of the file that counts what a slot uses of the CPU. OSError."""
        if self.cgroups is None:
            raise OSError("there are no control groups")
        return os.open(self.cgroups.cpu_file(self.slot_name(slot)), os.O_RDONLY | os.O_CLOEXEC)

    def note_fork(self, slot: int) -> int:
        """Count what the instance in a slot uses apart from what its zygote has used there.

        That is what was used before the fork was asked for, and what the zygote itself used since,
        all of it in that slot. Returns both.
        """
        if slot not in self._cpu:
            before, clock = self._before_fork
            self._cpu[slot] = before + max(0, process_clock(self.pid) - clock)
        return self._cpu[slot]

    def _note_before(self, slot: int | None) -> None:
        """Note what is used before a fork."""
        used = None
        if slot is not None:
            with contextlib.suppress(OSError):
                used = self.cpu_since_fork(slot)
        self._before_fork = (used or 0, process_clock(self.pid))

    def memory_peak(self, slot: int) -> int:
        """Return the most bytes that instances in a slot held; 0 where that is not known."""
        if self.cgroups is None:
            return 0
        with contextlib.suppress(OSError, ValueError):
            peak = self.cgroups.memory_peak(self.slot_name(slot))
            return max(0, peak - (0 if slot else self._imported_bytes))
        return 0

    # -- life ----------------------------------------------------------------------------------

    def _send(self, message: dict[str, object], descriptors: list[int] | None = None) -> None:
        begun = self._waking.begin()
        control.send(self.sock, message, descriptors)
        # What is too much is found with its next record: a zygote answers what it is asked.
        self._waking.end(begun)

    def assign(self, request: Open, landlock_abi: int, descriptors: list[int]) -> None:
        """Hand over bundle, /tmp, report socket and output, limits set before. Raises OSError."""
        self.assigned = request
        self._limit(request)
        self._send(self._message(request, landlock_abi), descriptors)

    def prepare(
        self, request: PrepareDependencies, landlock_abi: int, descriptors: list[int]
    ) -> None:
        """Have it import dependencies before it is a function's. Raises OSError."""
        self.prepared = request
        # While it is blank and says that it lives, which only it can: the id is its own.
        self._process = os.pidfd_open(self.pid)
        if not self._is_connected():
            raise OSError("the zygote is gone")
        self._limit(request)
        message: dict[str, object] = {
            "modules": list(request.modules),
            "open_files": request.open_files,
            "landlock_abi": landlock_abi,
            "identity": self.identity,
            "ports": list(request.ports),
            "restorable": request.restorable,
            "calls": {"asked": [], "refused": True},
        }
        self._send(message, descriptors)

    def _is_connected(self) -> bool:
        poll = select.poll()
        poll.register(self.sock, 0)
        return not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))

    def become(self, request: Open, landlock_abi: int, attach: Callable[[int], None]) -> None:
        """Make it a function's own, once and for good. Raises OSError.

        `attach` mounts the function's bundle in the root of the process of a pidfd.
        """
        self.waits = False
        attach(self._process)
        self._release_process()
        self.assigned = request
        self._limit(request)
        self._send(self._message(request, landlock_abi))

    def _release_process(self) -> None:
        if self._process >= 0:
            os.close(self._process)
            self._process = -1

    def _limit(self, request: Open | PrepareDependencies) -> None:
        # The zygote may sit in the slot while it forks: one process more than the instance's own.
        limits = SlotLimits(request.memory, request.cpu, request.processes + 1)
        if limits != self._limits:  # most have the usual ones, which a blank one has
            self._limits = limits
            if self.cgroups is not None:
                self.cgroups.limit(self.slot_name(0), limits)

    def _message(self, request: Open, landlock_abi: int) -> dict[str, object]:
        """Return what a zygote is told of the function that it is."""
        return {
            "project": request.project,
            "function": request.function,
            "digest": request.digest,
            "handler": request.handler,
            "isolation": request.isolation.value,
            "trust": request.trust.value,
            "memory": request.memory,
            "processes": request.processes,
            "open_files": request.open_files,
            "response": request.response,
            "landlock_abi": landlock_abi,
            "identity": self.identity,
            "ports": list(request.ports),
            "environment": request.environment,
            "restorable": request.restorable,
            "shapes": {"known": list(request.shapes), "strict": request.strict},
            "calls": {"asked": self._asked(request), "refused": request.refused},
            "packages": {rule.name: list(rule.deny) for rule in request.packages},
            "guard": [[rule.sink, rule.location, rule.mode.value] for rule in request.guard],
        }

    def _asked(self, request: Open) -> list[str]:
        """Return the calls about which its filter asks: none by which it ends its instances."""
        return [name for name in request.calls if name != "kill" or self.cgroups is not None]

    def shared_at_import(self) -> str:
        """Say what its import has left that all instances would share; empty if there is nothing.

        Descriptors it looks for itself; its memory and its processes show from outside only.
        Raises OSError if they cannot be examined.
        """
        if self.cgroups is not None and self.home is not None:
            others = set(self.cgroups.members(self.slot_name(self.home))) - {self.pid}
            if others:
                return f"{len(others)} processes that go on"
        return shared_mappings(self.pid, self.tmpfs_device)

    @property
    def filtered(self) -> bool:
        """Tell whether it has said that its filter is loaded."""
        return self._is_filtered

    def imported(self) -> None:
        """Note that the handler is imported, and let its slot hold what the import took.

        The memory of the import is charged to the first slot, where the zygote sat, and shared
        by all instances; the limit is for what an instance takes beyond it.
        """
        self.ready = True
        self._note_before(self.home)  # what processes of the import have used is no instance's
        if self.cgroups is not None:
            used = self._imported_bytes = self.cgroups.memory_used(self.slot_name(0))
            limits = SlotLimits(
                self._limits.memory + used, self._limits.cpu, self._limits.processes
            )
            self.cgroups.limit(self.slot_name(0), limits)

    def fork(self, fork: Fork, tmpfs: int, now: float, hold: int | None = None) -> None:
        """Have the zygote fork an instance into its home. Raises OSError.

        `hold` is where one that is restored sends what its memory is watched by.
        """
        # First: whatever fails here, they are closed with it.
        fork.descriptors.append(tmpfs)
        if hold is not None:
            fork.descriptors.append(hold)
        self._send({"i": fork.number}, fork.descriptors)
        self._is_ahead = False
        if self.home is None:
            raise OSError("the zygote sits in no free slot")
        self.slots[self.home] = fork.number
        self.instances[fork.number] = self.home
        self.home = None
        self.forking, self.forking_since = fork, now
        fork.close()

    def ask_ahead(self) -> None:
        """Have one at rest fork its next instance's process, in the slot where that is to be.

        Once for each instance. It sits there until the next one is forked, and that takes it: so
        nothing of one instance is ever in another's slot. Raises OSError.
        """
        busy = self.instances or self.waiting or self.forking is not None
        if self.ready and not busy and self.home is not None and not self._is_ahead:
            self._is_ahead = True
            self._send({"ahead": True})

    def read_event(self) -> tuple[bytes, int, int] | None:
        """Return the next record, None at the end. Raises ZygoteViolationError, BlockingIOError."""
        begun = self._waking.begin()
        data, ancillary, flags, _ = self.sock.recvmsg(64, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        self._waking.end(begun)
        received = control.descriptors_of(ancillary)
        pid = 0
        for level, type_, payload in ancillary:
            if level == socket.SOL_SOCKET and type_ == socket.SCM_CREDENTIALS:
                pid = _CREDENTIALS.unpack(payload)[0]
        try:
            if not data:
                return None
            if self._waking.is_excessive:
                raise ZygoteViolationError("so much waits at its socket that waking it takes long")
            if len(data) != _EVENT_BYTES or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise ZygoteViolationError("a record of the wrong size, or with descriptors")
            kind, number, value = control.EVENT.unpack(data)
            if kind not in control.EVENT_KINDS:
                raise ZygoteViolationError("an unknown record")
            if kind == control.FILTERED:
                self._filtered(received)
            elif received:
                raise ZygoteViolationError("a record with a descriptor")
        finally:
            for descriptor in received:
                os.close(descriptor)
        if kind == control.HELLO and not self.pid:
            self.pid = pid
        return kind, number, value

    def _filtered(self, received: list[int]) -> None:
        """Keep the notifications' descriptor until nothing lives under the filter any more.

        Sent before the function's code runs. While it is open no process of the function can have
        a listener of its own, and the gateway's end does not matter.
        """
        given = self.assigned is not None or self.prepared is not None
        if not given or self.waits or self.ready or self._is_filtered:
            raise ZygoteViolationError("a filter at the wrong time")
        self._is_filtered = True
        if received:
            self._notify = received.pop(0)

    def _release_notifications(self) -> None:
        if self._notify >= 0:
            os.close(self._notify)
            self._notify = -1

    def greet(self, seconds: float) -> None:
        """Wait for a blank zygote's hello and settle it. Raises ZygoteViolationError, OSError."""
        self.sock.settimeout(seconds)
        if self.read_event() != (control.HELLO, 0, 0):
            raise ZygoteViolationError("a blank zygote did not start")
        self.sock.setblocking(False)
        self.settle()

    def settle(self) -> None:
        """Put a blank zygote that has said hello into its first slot. Raises OSError."""
        if self.pid <= 0:
            raise ZygoteViolationError("the kernel did not tell the zygote's process id")
        self.take_home()

    def ask_to_kill(self, number: int) -> None:
        """Without control groups: have the zygote kill its child. Raises OSError."""
        self._send({"kill": number})

    def end(self) -> None:
        """Kill the zygote, its namespace and all its instances. Never raises."""
        for fork in self.waiting:
            fork.close()
        self.waiting.clear()
        if self.pid > 0:
            # Its init ends with it, and with the init the kernel ends the namespace.
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
        for slot in range(self._made):
            with contextlib.suppress(OSError):
                self.kill_slot(slot)
        self._release_process()
        self.sock.close()

    def remove(self) -> bool:
        """Remove the control groups; False while something still lives in them."""
        if self.cgroups is None:
            self._release_notifications()
            return True
        try:
            for slot in range(self._made):
                if not self.slot_empty(slot):
                    self.kill_slot(slot)
                    return False
            self.cgroups.remove(self.name)
        except FileNotFoundError:
            self._release_notifications()
            return True
        except OSError:
            return False
        self._release_notifications()
        return True
