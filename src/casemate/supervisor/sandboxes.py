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

from casemate.model.errors import CasemateError, ProtectionMissingError
from casemate.model.runtime import Runtime
from casemate.runner import control
from casemate.sandbox import protocol
from casemate.sandbox.base_process import BaseProcess
from casemate.sandbox.cgroups import Driver
from casemate.sandbox.cpu_shares import CpuShares
from casemate.sandbox.identities import Identities
from casemate.sandbox.layouts import FIRST, MAX_WAITING, Layout, Layouts
from casemate.sandbox.staging import Staging
from casemate.sandbox.zygote_process import Fork, ZygoteProcess, ZygoteViolationError

_TMPFS_BATCH = 8
_FORK_SECONDS = 5.0
_TICK_SECONDS = 0.25
_MOST_TICK_SECONDS = 1.0
"""What counts of the time between two ticks: while this process stood still others may have."""
_DRAIN_SECONDS = 0.002
_END_SECONDS = 0.05
"""How long after its socket a base zygote's process may end."""
_IDLE_SECONDS = 0.02
_SHARED = (
    "the import left {}, which all calls would share: make it in the handler, or set "
    'trust = "low" to import the module in every instance'
)


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
        identities: Identities | None,
        shared_files: bool,
        report: Callable[[str], None],
    ) -> None:
        """Take over `identities`.

        `cgroups=None`, `landlock=False`, `identities=None` and `shared_files=True` are risks that
        the operator accepted by name.
        """
        self._runtimes = runtimes
        self._staging = staging
        self._cgroups = cgroups
        self._shares = CpuShares(cgroups)
        self._landlock = landlock
        self._identities = identities
        self._shared_files = shared_files
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._layouts = Layouts(self._start_layout)
        self._layout_of: dict[ZygoteProcess, Layout] = {}
        self._zygotes: dict[int, ZygoteProcess] = {}
        self._ids: dict[ZygoteProcess, int] = {}
        self._draining: list[tuple[ZygoteProcess, int]] = []
        self._ended: list[ZygoteProcess] = []
        self._asked: dict[tuple[int, int], float] = {}
        self._names = 0
        self._ticked_at = time.monotonic()
        self._short_of_blanks: deque[Layout] = deque()
        self._outbox: deque[bytes] = deque()
        self._gateway: socket.socket | None = None
        self._decoder = msgspec.json.Decoder(protocol.Request)

    # -- the loop ------------------------------------------------------------------------------

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
                    else:
                        self._read(key.data)
                self._drain()
                self._flush()
                if not ready and self._short_of_blanks:
                    self._refill_next()
                if time.monotonic() >= next_tick:
                    self._tick()
                    each_tick()
                    next_tick = time.monotonic() + _TICK_SECONDS
        finally:
            self._selector.unregister(gateway)
            for descriptor in calls:
                self._selector.unregister(descriptor)
            self._gateway = None
            self._outbox.clear()
            self._end_all("the gateway is gone")

    def _end_all(self, reason: str) -> None:
        for layout in self._layouts:
            self._refuse_waiting(layout, reason, tell=False)
        for zygote in list(self._zygotes.values()):
            self._end(zygote, reason, tell=False, expected=True)

    def _read(self, sender: Layout | ZygoteProcess) -> None:
        """Take what a base zygote that starts, or a zygote, has sent."""
        if isinstance(sender, Layout):
            self._on_layout(sender)
        elif sender in self._ids or not sender.assigned:
            self._read_zygote(sender)

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
        """Start an interpreter's first base zygote and a blank one. Raises what is missing."""
        for ended in self._layouts.overdue():
            self._drop(ended, "its base zygote ended")
        layout = self._layouts.get((minor, FIRST))
        if not layout.base.ready:
            self._selector.unregister(layout.base.sock)
            try:
                self._finish(layout)
            except BaseException:
                self._drop(layout, "it did not start")
                raise
        self._refill(layout)

    def close(self) -> None:
        """End everything and remove the control groups."""
        self._end_all("the node stops")
        for layout in list(self._layouts):
            self._drop(layout, "the node stops")
        deadline = time.monotonic() + 5.0
        while self._ended and time.monotonic() < deadline:
            self._remove_ended()
            time.sleep(0.005)
        if self._identities is not None:
            self._identities.close()
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
        self._serve(request, descriptors)

    def _serve(self, request: protocol.Request, descriptors: list[int]) -> None:
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
                else:
                    self._cancel(request.z)
            case protocol.Weigh():
                if (zygote := self._zygotes.get(request.z)) is not None:
                    self._shares.divide(zygote.name, request.parts)
            case protocol.Prepare():
                self._prepare(request)

    def _prepare(self, request: protocol.Prepare) -> None:
        try:
            layout = self._layouts.get((request.python, FIRST))
        except (OSError, CasemateError) as error:
            self._report(f"Python {request.python} cannot be prepared: {error}")
            self._tell_interpreter(request.python, f"it cannot be prepared: {error}")
            return
        if layout.base.ready:
            self._tell_interpreter(request.python, "")
            if layout not in self._short_of_blanks:
                self._short_of_blanks.append(layout)

    def _tell_interpreter(self, minor: str, problem: str) -> None:
        if self._gateway is not None:
            self._tell(protocol.Interpreter(0, minor, problem))

    def _open(self, request: protocol.Open, descriptors: list[int]) -> None:
        waits = any(one.z == request.z for each in self._layouts for one, _ in each.waiting)
        if request.z in self._zygotes or waits:
            raise GatewayViolationError(f"zygote {request.z} is open")
        reason = "too many wait for an interpreter to start"
        try:
            key = self._layouts.key_of(request)
            layout = self._layouts.get(key)
            if layout.base.ready:
                if self._place(layout, request, descriptors):
                    return
                # It died unnoticed, and its blank zygotes and mounts with it.
                layout = self._layouts.get(key)
            if len(layout.waiting) < MAX_WAITING:
                layout.waiting.append((request, descriptors))
                return
        except (OSError, CasemateError) as error:
            reason = f"cannot be started: {error}"
        for descriptor in descriptors:
            os.close(descriptor)
        self._tell(protocol.ZygoteEnded(request.z, reason))

    def _place(self, layout: Layout, request: protocol.Open, descriptors: list[int]) -> bool:
        """Make a zygote of a layout that is ready a function's own, or tell why it cannot be.

        False if its base zygote turns out to have ended: nothing is told or closed then.
        """
        try:
            zygote = self._assign(layout, request, descriptors)
        except (OSError, CasemateError, ZygoteViolationError) as error:
            if layout.base.lost(_END_SECONDS):
                self._drop(layout, "its base zygote ended")
                return False
            self._tell(protocol.ZygoteEnded(request.z, f"cannot be started: {error}"))
        else:
            self._zygotes[request.z] = zygote
            self._ids[zygote] = request.z
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _assign(
        self, layout: Layout, request: protocol.Open, descriptors: list[int]
    ) -> ZygoteProcess:
        """Give a request's bundle to a blank zygote. Raises OSError and CasemateError."""
        zygote = self._take_blank(layout)
        mounts: list[int] = []
        try:
            mounts.append(layout.base.bundle(request.digest))
            mounts.append(layout.take_tmpfs(request.tmp, _TMPFS_BATCH))
            zygote.tmpfs_device = os.fstat(mounts[1]).st_dev
            self._shares.add(zygote.name, (request.project, request.function))
            if self._identities is not None:
                zygote.identity = self._identities.take()
            landlock_abi = layout.base.landlock_abi if self._landlock else 0
            zygote.assign(request, landlock_abi, [*mounts, *descriptors])
        except BaseException:
            self._forget(zygote)
            raise
        finally:
            for descriptor in mounts:
                os.close(descriptor)
        return zygote

    def _cancel(self, number: int) -> None:
        """Let go of a zygote that still waits for its base zygote."""
        if any(layout.cancel(number) for layout in self._layouts):
            self._tell(protocol.ZygoteEnded(number, "closed"))

    def _refuse_waiting(self, layout: Layout, reason: str, *, tell: bool = True) -> None:
        for number in [request.z for request, _ in layout.waiting]:
            layout.cancel(number)
            if tell:
                self._tell(protocol.ZygoteEnded(number, reason))

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
            tmpfs = self._layout_of[zygote].take_tmpfs(zygote.assigned.tmp, _TMPFS_BATCH)
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
        if kind == control.FILTERED:
            return
        if kind == control.IMPORTED and zygote.filtered and not zygote.ready:
            self._imported(zygote)
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

    def _imported(self, zygote: ZygoteProcess) -> None:
        if shared := zygote.shared_at_import():
            self._end(zygote, _SHARED.format(shared), expected=True)
            return
        zygote.imported()
        self._tell(protocol.Opened(self._ids[zygote]))

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
            try:
                if zygote.slot_empty(slot):
                    zygote.release(slot)
                else:
                    zygote.kill_slot(slot)
                    left.append((zygote, slot))
            except OSError as error:
                self._end(zygote, f"a slot cannot be emptied: {error}")
        self._draining = left

    def _tick(self) -> None:
        now = time.monotonic()
        for zygote in list(self._zygotes.values()):
            if zygote.forking is not None and now - zygote.forking_since > _FORK_SECONDS:
                self._end(zygote, "the zygote does not fork")
        for (z, _), asked in list(self._asked.items()):
            if now - asked > 1.0 and z in self._zygotes:
                self._end(self._zygotes[z], "an instance would not end")
        elapsed = min(now - self._ticked_at, _MOST_TICK_SECONDS)
        self._ticked_at = now
        self._tick_layouts(now, elapsed)
        self._remove_ended()

    def _tick_layouts(self, now: float, elapsed: float) -> None:
        for layout in list(self._layouts):
            base = layout.base
            if base.ready and not base.lost() and base.hangs(elapsed):
                self._report(f"a base zygote of Python {layout.minor} does not answer; it is ended")
                base.process.kill()
        for layout in self._layouts.overdue():
            self._report(f"a base zygote of Python {layout.minor} ended; it is started again")
            self._drop(layout, "its base zygote ended")
            if layout.key[1] == FIRST and not layout.retired:
                self._tell_interpreter(layout.minor, "its base zygote ended")
                self._prepare(protocol.Prepare(layout.minor))
        try:
            self._layouts.renew(now)
        except (OSError, CasemateError) as error:
            self._report(f"a base zygote could not be replaced: {error}")
        for layout in self._layouts:
            if layout.retired:
                self._forget_blanks(layout)
        for layout in self._layouts.unused():
            self._drop(layout, "it is replaced")

    def _remove_ended(self) -> None:
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

    def _end(
        self, zygote: ZygoteProcess, reason: str, *, tell: bool = True, expected: bool = False
    ) -> None:
        if not expected and zygote.assigned is not None:
            owner = f"{zygote.assigned.project}/{zygote.assigned.function}"
            self._report(f"zygote {zygote.name} of {owner} is ended: {reason}")
        number = self._ids.pop(zygote, None)
        events: list[protocol.Event] = []
        if number is not None:
            del self._zygotes[number]
            if tell and not expected:
                events += self._what_ran_out_of_memory(zygote, number)
            if tell:
                events.append(protocol.ZygoteEnded(number, reason))
        layout = self._layout_of.get(zygote)
        if layout is not None and zygote in layout.blanks:
            layout.blanks.remove(zygote)
        self._forget(zygote)
        # Not before it is killed: the gateway closes what the filter's notifications come by.
        for event in events:
            self._tell(event)

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

    def _forget(self, zygote: ZygoteProcess) -> None:
        self._shares.remove(zygote.name)
        layout = self._layout_of.pop(zygote, None)
        if layout is not None:
            layout.zygotes.discard(zygote)
        if zygote.sock.fileno() >= 0:
            self._selector.unregister(zygote.sock)
            zygote.end()
            self._ended.append(zygote)

    # -- what zygotes are made of --------------------------------------------------------------

    def _start_layout(self, key: tuple[str, str]) -> Layout:
        runtime = self._runtimes.get(key[0])
        if runtime is None:
            raise CasemateError(f"this node has no Python {key[0]}")
        layout = Layout(key, BaseProcess(runtime, self._staging, self._identities))
        self._selector.register(layout.base.sock, selectors.EVENT_READ, layout)
        return layout

    def _finish(self, layout: Layout) -> None:
        """Have zygotes made of a layout from now on. Raises ProtectionMissingError."""
        layout.base.finish()
        if not layout.base.private_files and not self._shared_files:
            raise ProtectionMissingError(
                "This host mounts no overlay for an ordinary user: functions would share the "
                "inodes of libraries, and so locks on them.",
                next_step="use Linux 5.11 or newer with overlayfs, or accept it: "
                "--accept-risk shared-files",
            )
        self._layouts.promote(layout)

    def _on_layout(self, layout: Layout) -> None:
        """Take note that a base zygote is ready, or never will be."""
        self._selector.unregister(layout.base.sock)
        try:
            self._finish(layout)
        except (OSError, CasemateError) as error:
            self._report(f"a base zygote of Python {layout.minor} did not start: {error}")
            self._drop(layout, f"cannot be started: {error}")
            if layout.key[1] == FIRST:
                self._tell_interpreter(layout.minor, f"it cannot be prepared: {error}")
            return
        if layout.key[1] == FIRST:
            self._tell_interpreter(layout.minor, "")
        while layout.waiting:
            request, descriptors = layout.waiting.popleft()
            if not self._place(layout, request, descriptors):
                for descriptor in descriptors:
                    os.close(descriptor)
                self._tell(protocol.ZygoteEnded(request.z, "its base zygote ended"))
                return
        self._short_of_blanks.append(layout)

    def _drop(self, layout: Layout, reason: str) -> None:
        """End a base zygote; what was forked from it ends with it."""
        self._layouts.drop(layout)
        if layout.base.sock.fileno() in self._selector.get_map():
            self._selector.unregister(layout.base.sock)
        self._refuse_waiting(layout, reason, tell=self._gateway is not None)
        self._forget_blanks(layout)
        if layout in self._short_of_blanks:
            self._short_of_blanks.remove(layout)
        layout.close()

    def _forget_blanks(self, layout: Layout) -> None:
        while layout.blanks:
            self._forget(layout.blanks.popleft())

    def _make_blank(self, layout: Layout) -> ZygoteProcess:
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
            self._forget(zygote)
            raise
        return zygote

    def _refill(self, layout: Layout) -> None:
        """Have one blank zygote ready. Raises what keeps it from starting."""
        if not layout.blanks and not layout.retired:
            layout.blanks.append(self._make_blank(layout))

    def _refill_next(self) -> None:
        layout = self._short_of_blanks.popleft()
        try:
            self._refill(layout)
        except (OSError, CasemateError, ZygoteViolationError) as error:
            self._report(f"Python {layout.minor} cannot be prepared: {error}")

    def _take_blank(self, layout: Layout) -> ZygoteProcess:
        if layout.shared and layout not in self._short_of_blanks:
            # Made when the loop is idle: it takes milliseconds that nobody should wait for.
            self._short_of_blanks.append(layout)
        return layout.blanks.popleft() if layout.blanks else self._make_blank(layout)
