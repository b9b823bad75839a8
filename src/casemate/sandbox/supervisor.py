"""The supervisor: the only process that makes sandboxes.

One thread, one selector loop. It takes typed requests from the gateway and fixed records from
zygotes; it never parses the network, a bundle, an event, or anything a function wrote.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from casemate.model.errors import CasemateError
from casemate.model.runtime import Runtime
from casemate.runner import control
from casemate.sandbox import protocol
from casemate.sandbox.base_process import BaseProcess
from casemate.sandbox.cgroups import Driver
from casemate.sandbox.cpu_shares import CpuShares
from casemate.sandbox.staging import Staging
from casemate.sandbox.zygote_process import Fork, ZygoteProcess, ZygoteViolationError

_TMPFS_BATCH = 8
_FORK_SECONDS = 5.0
_TICK_SECONDS = 0.25
_DRAIN_SECONDS = 0.002
_IDLE_SECONDS = 0.02


class GatewayViolationError(CasemateError):
    """The gateway sent something that is not a request."""


class Supervisor:
    """Owns every sandbox of a node, for one gateway at a time."""

    def __init__(
        self,
        *,
        runtimes: dict[str, Runtime],
        staging: Staging,
        cgroups: Driver | None,
        landlock: bool,
        report: Callable[[str], None],
    ) -> None:
        """`cgroups=None` and `landlock=False` are risks that the operator accepted by name."""
        self._runtimes = runtimes
        self._staging = staging
        self._cgroups = cgroups
        self._shares = CpuShares(cgroups)
        self._landlock = landlock
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._bases: dict[str, BaseProcess] = {}
        self._blanks: dict[str, deque[ZygoteProcess]] = {}
        self._zygotes: dict[int, ZygoteProcess] = {}
        self._ids: dict[ZygoteProcess, int] = {}
        self._tmpfs: dict[tuple[str, int], list[int]] = {}
        self._draining: list[tuple[ZygoteProcess, int]] = []
        self._ended: list[ZygoteProcess] = []
        self._asked: dict[tuple[int, int], float] = {}
        self._names = 0
        self._short_of_blanks: deque[str] = deque()
        self._outbox: deque[bytes] = deque()
        self._gateway: socket.socket | None = None
        self._decoder = msgspec.json.Decoder(protocol.Request)

    # -- the loop ------------------------------------------------------------------------------

    def run(
        self, gateway: socket.socket, also: Mapping[int, Callable[[], bool]] | None = None
    ) -> None:
        """Serve one gateway until it goes away; then end every zygote.

        `also` has what to call when a descriptor is readable, for as long as that returns True.
        """
        self._gateway = gateway
        calls = dict(also or {})
        for descriptor, call in calls.items():
            self._selector.register(descriptor, selectors.EVENT_READ, call)
        gateway.setblocking(False)
        self._selector.register(gateway, selectors.EVENT_READ, None)
        next_tick = time.monotonic() + _TICK_SECONDS
        try:
            while True:
                ready = self._selector.select(self._timeout(next_tick))
                for key, _ in ready:
                    if key.data is None:
                        if not self._read_gateway(gateway):
                            return
                    elif key.fd in calls:
                        self._call(key.fd, calls)
                    elif key.data in self._ids or not key.data.assigned:
                        self._read_zygote(key.data)
                self._drain()
                self._flush()
                if not ready and self._short_of_blanks:
                    self._prepare(protocol.Prepare(self._short_of_blanks.popleft()))
                if time.monotonic() >= next_tick:
                    self._tick()
                    next_tick = time.monotonic() + _TICK_SECONDS
        finally:
            self._selector.unregister(gateway)
            for descriptor in calls:
                self._selector.unregister(descriptor)
            self._gateway = None
            self._outbox.clear()
            for zygote in list(self._zygotes.values()):
                self._end(zygote, "the gateway is gone", tell=False, expected=True)

    def _call(self, descriptor: int, calls: dict[int, Callable[[], bool]]) -> None:
        call = calls.pop(descriptor)
        # Before the call, which may close it.
        self._selector.unregister(descriptor)
        try:
            if call():
                calls[descriptor] = call
                self._selector.register(descriptor, selectors.EVENT_READ, call)
        except (OSError, CasemateError) as error:
            self._report(f"a process could not be started: {error}")

    def _timeout(self, next_tick: float) -> float:
        if self._draining or self._outbox:
            return _DRAIN_SECONDS
        if self._short_of_blanks:
            return _IDLE_SECONDS
        return max(0.0, next_tick - time.monotonic())

    def prepare(self, minor: str) -> None:
        """Start an interpreter's base zygote and a blank one. Raises what is missing."""
        self._refill_blanks(minor)

    def close(self) -> None:
        """End everything and remove the control groups."""
        for zygotes in self._blanks.values():
            for zygote in zygotes:
                self._forget(zygote)
        self._blanks.clear()
        for zygote in list(self._zygotes.values()):
            self._end(zygote, "the node stops", tell=False, expected=True)
        for base in self._bases.values():
            base.close()
        self._bases.clear()
        for descriptors in self._tmpfs.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self._tmpfs.clear()
        deadline = time.monotonic() + 5.0
        while self._ended and time.monotonic() < deadline:
            self._remove_ended()
            time.sleep(0.005)
        if self._cgroups is not None:
            try:
                self._cgroups.remove("")
            except OSError as error:
                self._report(f"control groups are left behind: {error}")
        self._selector.close()

    def _tell(self, event: protocol.Event) -> None:
        self._outbox.append(msgspec.json.encode(event))
        self._flush()

    def _flush(self) -> None:
        """Send events until the gateway takes no more; what is left goes with a later turn."""
        while self._outbox and self._gateway is not None:
            try:
                self._gateway.send(self._outbox[0])
            except BlockingIOError:
                return
            except OSError:
                self._outbox.clear()
                return
            self._outbox.popleft()

    # -- requests ------------------------------------------------------------------------------

    def _read_gateway(self, gateway: socket.socket) -> bool:
        for _ in range(32):
            try:
                data, descriptors, flags = control.receive_packet(gateway, protocol.MAX_PACKET)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            try:
                self._handle(data, descriptors, flags)
            except (GatewayViolationError, msgspec.MsgspecError) as error:
                self._report(f"the gateway broke the protocol: {error}")
                return False
        return True

    def _handle(self, data: bytes, descriptors: list[int], flags: int) -> None:
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise GatewayViolationError("a packet was cut")
            request = self._decoder.decode(data)
            if len(descriptors) != protocol.descriptors_of(request):
                raise GatewayViolationError(f"wrong number of descriptors: {len(descriptors)}")
        except BaseException:
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        match request:
            case protocol.Open():
                self._open(request, descriptors)
            case protocol.Spawn():
                self._spawn(request, descriptors)
            case protocol.Kill():
                self._kill(request)
            case protocol.Close():
                if (zygote := self._zygotes.get(request.z)) is not None:
                    self._end(zygote, "closed", expected=True)
            case protocol.Weigh():
                if (zygote := self._zygotes.get(request.z)) is not None:
                    self._shares.divide(zygote.name, request.parts)
            case protocol.Prepare():
                self._prepare(request)

    def _prepare(self, request: protocol.Prepare) -> None:
        try:
            self._refill_blanks(request.python)
        except (OSError, CasemateError) as error:
            self._report(f"Python {request.python} cannot be prepared: {error}")

    def _open(self, request: protocol.Open, descriptors: list[int]) -> None:
        if request.z in self._zygotes:
            raise GatewayViolationError(f"zygote {request.z} is open")
        zygote = None
        try:
            base = self._base(request.python)
            zygote = self._take_blank(request.python)
            landlock_abi = base.landlock_abi if self._landlock else 0
            descriptors += [self._take_tmpfs(request.python, request.tmp)]
            descriptors += [base.bundle(request.digest)]
            report, output, tmpfs, bundle = descriptors
            self._shares.add(zygote.name, (request.project, request.function))
            zygote.assign(request, landlock_abi, [bundle, tmpfs, report, output])
        except (OSError, CasemateError, ZygoteViolationError) as error:
            if zygote is not None:
                self._forget(zygote)
            self._tell(protocol.ZygoteEnded(request.z, f"cannot be started: {error}"))
        else:
            self._zygotes[request.z] = zygote
            self._ids[zygote] = request.z
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _spawn(self, request: protocol.Spawn, descriptors: list[int]) -> None:
        zygote = self._zygotes.get(request.z)
        fork = Fork(request.i, descriptors)
        if zygote is None or not zygote.ready or request.i in zygote.instances:
            fork.close()
            self._tell(protocol.SpawnFailed(request.z, request.i, "no such zygote is ready"))
            return
        zygote.waiting.append(fork)
        self._fork_next(zygote)

    def _fork_next(self, zygote: ZygoteProcess) -> None:
        """Start the next waiting fork. One at a time: it must be born in the zygote's slot."""
        if zygote.forking is not None or not zygote.waiting or zygote.assigned is None:
            return
        fork = zygote.waiting.popleft()
        try:
            zygote.take_home()
            tmpfs = self._take_tmpfs(zygote.assigned.python, zygote.assigned.tmp)
            zygote.fork(fork, tmpfs, time.monotonic())
        except (OSError, CasemateError) as error:
            fork.close()
            self._end(zygote, f"cannot fork: {error}")

    def _kill(self, request: protocol.Kill) -> None:
        zygote = self._zygotes.get(request.z)
        slot = zygote.instances.get(request.i) if zygote else None
        if zygote is None or slot is None:
            return
        zygote.killed.add(request.i)
        if zygote.forking is None or zygote.forking.number != request.i:
            self._kill_instance(zygote, request.i, slot)
        # Otherwise the zygote still sits in the slot: it is killed once the zygote has left.

    def _kill_instance(self, zygote: ZygoteProcess, number: int, slot: int) -> None:
        try:
            if self._cgroups is not None:
                zygote.kill_slot(slot)
            else:
                zygote.ask_to_kill(number)
                self._asked[self._ids[zygote], number] = time.monotonic()
        except OSError as error:
            self._end(zygote, f"an instance cannot be killed: {error}")

    # -- records of zygotes --------------------------------------------------------------------

    def _read_zygote(self, zygote: ZygoteProcess) -> None:
        try:
            record = zygote.read_event()
            if record is None:
                self._end(zygote, "the zygote is gone")
                return
            self._on_record(zygote, *record)
        except BlockingIOError:
            return
        except (OSError, ZygoteViolationError) as error:
            self._end(zygote, str(error))

    def _on_record(self, zygote: ZygoteProcess, kind: bytes, number: int, value: int) -> None:
        if kind == control.HELLO:
            raise ZygoteViolationError("a second hello")
        if zygote not in self._ids:
            raise ZygoteViolationError("a record before its assignment")
        if kind == control.IMPORTED and not zygote.ready:
            zygote.imported()
            self._tell(protocol.Opened(self._ids[zygote]))
        elif kind == control.IMPORT_FAILED and not zygote.ready:
            self._end(zygote, "the handler cannot be imported", expected=True)
        elif kind in (control.FORKED, control.FORK_FAILED):
            if zygote.forking is None or zygote.forking.number != number:
                raise ZygoteViolationError("an answer to a fork that was not asked for")
            zygote.forking = None
            if kind == control.FORK_FAILED:
                self._gone(zygote, number)
                reason = f"clone failed: {os.strerror(value)}"
                self._tell(protocol.SpawnFailed(self._ids[zygote], number, reason))
            else:
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

    def _exited(self, zygote: ZygoteProcess, number: int, status: int) -> None:
        slot = zygote.instances[number]
        died_by_kill = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        out_of_memory = (
            died_by_kill and number not in zygote.killed and zygote.ran_out_of_memory(slot)
        )
        self._gone(zygote, number)
        event = protocol.Exited(self._ids[zygote], number, status, out_of_memory)
        self._tell(event)

    def _gone(self, zygote: ZygoteProcess, number: int) -> None:
        """Give an instance's slot back, at once if nothing lives in it."""
        slot = zygote.instances.pop(number)
        zygote.killed.discard(number)
        self._asked.pop((self._ids[zygote], number), None)
        if zygote.slot_empty(slot):
            zygote.release(slot)
        else:
            zygote.kill_slot(slot)
            self._draining.append((zygote, slot))

    # -- upkeep --------------------------------------------------------------------------------

    def _drain(self) -> None:
        if not self._draining:
            return
        left = []
        for zygote, slot in self._draining:
            if zygote not in self._ids:
                continue
            if zygote.slot_empty(slot):
                zygote.release(slot)
            else:
                zygote.kill_slot(slot)
                left.append((zygote, slot))
        self._draining = left

    def _tick(self) -> None:
        now = time.monotonic()
        for zygote in list(self._zygotes.values()):
            if zygote.forking is not None and now - zygote.forking_since > _FORK_SECONDS:
                self._end(zygote, "the zygote does not fork")
        for (z, _), asked in list(self._asked.items()):
            if now - asked > 1.0 and z in self._zygotes:
                self._end(self._zygotes[z], "an instance would not end")
        for minor, base in list(self._bases.items()):
            if base.process.poll() is not None:
                self._report(f"the base zygote of Python {minor} ended; it is started again")
                del self._bases[minor]
                for blank in self._blanks.pop(minor, ()):
                    self._forget(blank)
                for key in [k for k in self._tmpfs if k[0] == minor]:
                    for descriptor in self._tmpfs.pop(key):
                        os.close(descriptor)
        self._remove_ended()

    def _remove_ended(self) -> None:
        self._ended = [z for z in self._ended if not z.remove()]

    def _end(
        self, zygote: ZygoteProcess, reason: str, *, tell: bool = True, expected: bool = False
    ) -> None:
        if not expected and zygote.assigned is not None:
            owner = f"{zygote.assigned.project}/{zygote.assigned.function}"
            self._report(f"zygote {zygote.name} of {owner} is ended: {reason}")
        number = self._ids.pop(zygote, None)
        if number is not None:
            del self._zygotes[number]
            if tell and not expected:
                self._tell_what_ran_out_of_memory(zygote, number)
            if tell:
                self._tell(protocol.ZygoteEnded(number, reason))
        for blanks in self._blanks.values():
            if zygote in blanks:
                blanks.remove(zygote)
        self._forget(zygote)

    def _tell_what_ran_out_of_memory(self, zygote: ZygoteProcess, number: int) -> None:
        """Tell of instances whose slot overflowed, for which the kernel may have taken the zygote.

        It does where an instance fills its memory before `prefer_as_victim` is done for it. Where
        the counter cannot be read any more, the instance has crashed, as ZygoteEnded says.
        """
        for instance, slot in zygote.instances.items():
            with contextlib.suppress(OSError):
                if instance not in zygote.killed and zygote.ran_out_of_memory(slot):
                    killed = int(signal.SIGKILL)
                    self._tell(protocol.Exited(number, instance, killed, out_of_memory=True))

    def _forget(self, zygote: ZygoteProcess) -> None:
        self._shares.remove(zygote.name)
        if zygote.sock.fileno() >= 0:
            self._selector.unregister(zygote.sock)
            zygote.end()
            self._ended.append(zygote)

    # -- what zygotes are made of --------------------------------------------------------------

    def _base(self, minor: str) -> BaseProcess:
        base = self._bases.get(minor)
        if base is None:
            runtime = self._runtimes.get(minor)
            if runtime is None:
                raise CasemateError(f"this node has no Python {minor}")
            base = self._bases[minor] = BaseProcess(runtime, self._staging)
        return base

    def _make_blank(self, minor: str) -> ZygoteProcess:
        base = self._base(minor)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._names += 1
        zygote = ZygoteProcess(f"z{self._names}", ours, self._cgroups)
        self._selector.register(ours, selectors.EVENT_READ, zygote)
        try:
            with theirs:
                base.blank(theirs)
            ours.settimeout(_FORK_SECONDS)
            if zygote.read_event() != (control.HELLO, 0, 0):
                raise ZygoteViolationError("a blank zygote did not start")
            ours.setblocking(False)
            zygote.settle()
        except BaseException:
            self._forget(zygote)
            raise
        return zygote

    def _refill_blanks(self, minor: str) -> None:
        blanks = self._blanks.setdefault(minor, deque())
        if not blanks:
            blanks.append(self._make_blank(minor))

    def _take_blank(self, minor: str) -> ZygoteProcess:
        blanks = self._blanks.setdefault(minor, deque())
        if minor not in self._short_of_blanks:
            # Made when the loop is idle: it takes milliseconds that nobody should wait for.
            self._short_of_blanks.append(minor)
        return blanks.popleft() if blanks else self._make_blank(minor)

    def _take_tmpfs(self, minor: str, size: int) -> int:
        pool = self._tmpfs.setdefault((minor, size), [])
        if not pool:
            pool += self._base(minor).tmpfs(size, _TMPFS_BATCH)
        return pool.pop()
