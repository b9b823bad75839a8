"""A traced process: stopping it, and following what it does meanwhile.

The process is traced as long as it lives. It stops by itself at every call that its filter flags
(`kernel/flagging.py`); such a call is let through, and unless `judging.py` finds that it leaves
nothing behind the process is not used again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Callable

from casemate.kernel import flagging, machines, remote_memory, tracing
from casemate.kernel.system_calls import numbered
from casemate.restorer.home import before, is_home, skipping
from casemate.restorer.judging import Judge
from casemate.restorer.reasons import DiscardError, Reason
from casemate.restorer.threads import Threads, sets_own, starts_one

OPTIONS = tracing.FOLLOW | tracing.TELL_SECCOMP
"""While it serves: its call is not lost with the tracer, and what it does then is never reused."""
HELD_OPTIONS = OPTIONS | tracing.EXIT_KILL
"""While it is stopped: whoever is half restored ends with the tracer."""
STEP_SECONDS = 0.25
"""For a system call that it is made to make."""
_URGE_SECONDS = 0.005
"""Who does not come home within this may wait for its next call already."""
_MOST_OTHERS = 4096
"""Processes that are followed, and threads before the snapshot; who starts more is killed."""
_FORKED = (tracing.EVENT_FORK, tracing.EVENT_VFORK, tracing.EVENT_CLONE)
_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS)
_OF_DESCRIPTORS = frozenset(numbered(flagging.OF_DESCRIPTORS, machines.X86_64).values())
_FREE_CALLS = 20_000
"""Flagged calls of one call of the function. Beyond them they cost the restorer, which others need
as well, no more than it gives them: one every few milliseconds."""
_FREE_BEFORE = 50_000
"""The same before the snapshot, where an import may be: pandas makes some thousands. Who makes more
is not used again."""
_MOST_EVENTS = 256
"""Of one process in one turn: others want their turn too."""
_ANY_LEFT = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT | tracing.WALL
"""Ask whether a process is still to be waited for, and leave what has happened to it."""
_ENDED = os.WEXITED | os.WNOHANG | tracing.WALL
"""Take the end of a process, and leave anything else that has happened to it."""
_TURNS = 40
_FIRST_PAUSE, _MOST_PAUSE = 0.00001, 0.001


class _Patience:
    """Waits for a process that stops within microseconds, unless it needs this very processor.

    To give the processor up by sched_yield(2) alone does not let it run where processes are
    scheduled in groups, as sessions are: it waited for as long as its tracer had a turn.
    """

    __slots__ = ("_deadline", "_pause", "_turns")

    def __init__(self, seconds: float) -> None:
        """Wait for so long in all."""
        self._deadline = time.monotonic() + seconds
        self._turns = 0
        self._pause = _FIRST_PAUSE

    def wait(self) -> bool:
        """Wait a moment; False once it was long enough."""
        if self._turns < _TURNS:
            self._turns += 1
            os.sched_yield()
            return True
        if time.monotonic() > self._deadline:
            return False
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, _MOST_PAUSE)
        return True


class Tracee:
    """One process and whatever it starts. All methods from one thread."""

    def __init__(self, pid: int) -> None:
        """Trace `pid`, which goes on. Raises OSError."""
        self.pid = pid
        self.flagged: DiscardError | None = None
        """Why it is not to be used again, once there is a reason."""
        self.flags = 0
        """How many calls were flagged."""
        self.late: list[int] = []
        """Who is stopped at a flagged call because it makes too many of them."""
        self._free = _FREE_BEFORE
        """Up to how many flagged calls nobody has to wait."""
        self.tampered: DiscardError | None = None
        """A call about a kept descriptor before the snapshot: what it has set is not seen."""
        self.noting = False
        """False until the snapshot: what prepares a process may make any call."""
        self.judge: Judge | None = None
        """Who finds calls that were flagged harmless, once there is a snapshot."""
        self.alive = True
        self.home: bytes | None = None
        """Its registers, while it stands before the call that waits for its next one."""
        self.home_is: bytes | None = None
        """Where it has to stand, once there is a snapshot."""
        self.stopped = False
        self._asked = False
        """Whether a stop was asked for that has not come yet."""
        self._urged = False
        """Whether it is still to be broken off: until then it is not let stand at home."""
        self._others: set[int] = set()
        self.threads = Threads()
        """Those that it has started since its snapshot: they end once it is home."""
        self._expects = False
        self._expected = 0
        self._fault = (0, 0)
        self.twin = 0
        """A fork of it that is left stopped, and ends with it."""
        tracing.seize(pid, OPTIONS)

    # -- stopping ------------------------------------------------------------------------------

    def stop(self, seconds: float) -> None:
        """Have it stop. Raises DiscardError if it does not in time, or has ended."""
        self.ask_to_stop()
        self.await_stop(seconds)

    def ask_to_stop(self) -> None:
        """Have it stop soon: several can do so at the same time. Raises DiscardError."""
        self.resume_late()
        if self.stopped or self._asked:
            return
        try:
            tracing.interrupt(self.pid)
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        self._asked = True

    def await_stop(self, seconds: float) -> None:
        """Wait for a stop that was asked for. Raises DiscardError."""
        if not self._comes_to(lambda: self.stopped, seconds):
            raise DiscardError(Reason.NOT_STOPPING)

    def await_home(self, seconds: float) -> None:
        """Wait until it stands before the call that waits for its next one. Raises DiscardError."""
        self.resume_late()
        if self._comes_to(self._came_home, _URGE_SECONDS):
            return
        self.urge_home()
        if not self._comes_to(self._came_home, seconds):
            raise DiscardError(Reason.NOT_WAITING)

    def urge_home(self) -> None:
        """Have the call be broken off in which it may wait already: it is made again, from home."""
        if self.alive and self.home is None:
            with contextlib.suppress(OSError):  # it has ended, which is waited for as well
                tracing.interrupt(self.pid)
                self._urged = True

    @property
    def at_home(self) -> bool:
        """Whether it stands before the call that waits for its next one, without other threads."""
        return self.home is not None and not self.threads

    def _came_home(self) -> bool:
        if self.noting and self.flagged is not None:
            raise self.flagged
        return self.at_home

    def _comes_to(self, done: Callable[[], bool], seconds: float) -> bool:
        """Take what happens to it until something is so, but not for longer. DiscardError."""
        patience = _Patience(seconds)
        while not done():
            if any(self._take(pid) for pid in (self.pid, *self.threads.ids())):
                continue
            if not self.alive:
                raise DiscardError(Reason.GONE)
            if not patience.wait():
                return False
        return True

    def leave_home(self) -> None:
        """Have one that stands at home make no call there, and stop behind it. DiscardError."""
        home = self.home
        if home is None:
            raise DiscardError(Reason.NOT_WAITING)
        self.home = None
        try:
            tracing.set_general(self.pid, skipping(home))
            tracing.step(self.pid)
            self._await_step(STEP_SECONDS)
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        self.stopped = True

    def return_home(self, home: tracing.General) -> None:
        """Have one that was made to leave it stand at home again. Raises DiscardError."""
        try:
            tracing.set_general(self.pid, before(home))
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        self.go_on()
        self.await_home(STEP_SECONDS)

    def fork_by(self, seconds: float) -> int:
        """Let a stopped process make the call to fork that its registers ask for; return whom.

        Both are stopped afterwards, the fork before its first instruction. Raises DiscardError.
        """
        self._expected = 0
        self._expects = True
        try:
            self.go_on()
            self.await_stop(seconds)
        finally:
            self._expects = False
        if not self._expected:
            raise DiscardError(Reason.KERNEL)
        self.twin = self._expected
        self._first_stop(self.twin, seconds)
        return self.twin

    def _first_stop(self, pid: int, seconds: float) -> None:
        """Wait until a process that it forked has stopped, and leave it so. Raises DiscardError."""
        patience = _Patience(seconds)
        while True:
            waited, status = self._wait(pid)
            if waited and os.WIFSTOPPED(status) and status >> 16 == tracing.EVENT_STOP:
                return
            if waited or not patience.wait():
                raise DiscardError(Reason.NOT_STOPPING)

    def make(self, home: tracing.General, number: int, *arguments: int) -> int:
        """Have a stopped process make a system call at the instruction before `home`.

        It is stopped afterwards as before, but with other registers. Returns the result, negative
        for an errno. Raises DiscardError.
        """
        given = dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), arguments, strict=False))
        if self.home is not None:
            # The call at which it stands becomes this one; the filter has asked about it already.
            asked = home._replace(orig_rax=number, **given)
        else:
            place = home.rip - len(tracing.SYSCALL_INSTRUCTION)
            asked = home._replace(rip=place, rax=number, orig_rax=tracing.NO_CALL, **given)
        self.home, self.stopped = None, True
        try:
            tracing.set_general(self.pid, asked)
            tracing.step(self.pid)
            self._await_step(STEP_SECONDS)
            done = tracing.general(self.pid)
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        if done.rip != home.rip:
            raise DiscardError(Reason.KERNEL)
        return done.rax - (1 << 64) if done.rax >> 63 else done.rax

    def _await_step(self, seconds: float) -> None:
        """Wait until one instruction was made, the stop of a flagged call on the way included."""
        patience = _Patience(seconds)
        while True:
            waited, status = self._wait(self.pid)
            if not waited:
                if not self.alive or not patience.wait():
                    raise DiscardError(Reason.NOT_STOPPING if self.alive else Reason.GONE)
            elif not os.WIFSTOPPED(status):
                self._ended(self.pid)
                raise DiscardError(Reason.GONE)
            elif status >> 16 == tracing.EVENT_SECCOMP:
                tracing.step(self.pid)
            elif status >> 16 or os.WSTOPSIG(status) != signal.SIGTRAP:
                raise DiscardError(Reason.SIGNAL, os.WSTOPSIG(status))
            else:
                return

    def go_on(self) -> None:
        """Let it go on. Raises DiscardError."""
        try:
            tracing.resume(self.pid)
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        self.stopped, self.home = False, None

    def resume_late(self) -> None:
        """Let those go on that have waited at a flagged call."""
        late, self.late = self.late, []
        for pid in late:
            with contextlib.suppress(OSError):  # it was killed meanwhile
                tracing.resume(pid)

    def begin(self) -> None:
        """Have it serve its next call, in which it may make some flagged calls without waiting."""
        self._free = self.flags + _FREE_CALLS
        self.threads.begin()
        self.go_on()

    # -- following -----------------------------------------------------------------------------

    def take(self, pid: int) -> None:
        """Take note of one thing that has happened to one of its threads, by the id of that.

        It goes on, unless it is the first thread and home: then the others end.
        """
        self._take(pid)

    def sweep(self) -> None:
        """Take note of what has happened to it and to what it started; let them go on."""
        self._see_whether_twin_lives()
        left = _MOST_EVENTS
        some = True
        # Again while there is something: what was started meanwhile has stopped already.
        while some and left > 0:
            some = False
            for pid in (self.pid, *self.threads.ids(), *self._others.copy()):
                while left > 0 and self._take(pid):
                    left -= 1
                    some = True

    def _see_whether_twin_lives(self) -> None:
        """Wait for a twin that was killed: its process cannot end before that.

        It is in the namespace of which that is the first, and which the kernel empties first.
        """
        if not self.twin:
            return
        try:
            waited, status = os.waitpid(self.twin, os.WNOHANG | tracing.WALL)
        except ChildProcessError:
            waited, status = self.twin, 0
        if waited and not os.WIFSTOPPED(status):
            self.twin = 0
            self.flag(Reason.PROCESSES)

    def _wait(self, pid: int) -> tuple[int, int]:
        try:
            return os.waitpid(pid, os.WNOHANG | tracing.WALL)
        except ChildProcessError:
            self._ended(pid)
            return 0, 0

    def _ended(self, pid: int) -> None:
        self._others.discard(pid)
        self.threads.discard(pid)
        if pid == self.pid:
            self.alive = self.stopped = False
            self.home = None
            self.forget_twin()

    def _take(self, pid: int) -> bool:
        """Take one event of a process; False if there is none."""
        waited, status = self._wait(pid)
        if not waited:
            return False
        if not os.WIFSTOPPED(status):
            self._ended(pid)
            return True
        try:
            self._on_stop(pid, status >> 16, os.WSTOPSIG(status))
        except ProcessLookupError:
            # Killed meanwhile, which is waited for as well.
            return True
        except OSError as error:
            # In code of 32 bits a process has other registers, and those of 64 cannot be set: it
            # is ended, or whoever restores all others would be.
            self.flag(Reason.REGISTERS, error.errno or 0)
            self.kill()
        return True

    def _on_stop(self, pid: int, event: int, number: int) -> None:
        has_started = self.threads.has_started(pid)
        if self.threads.ending and pid in self.threads:
            self._on_stop_of_ending(pid, event, number, has_started=has_started)
            return
        if event == tracing.EVENT_STOP and number == signal.SIGTRAP:
            if pid == self.pid and self._asked:
                self.stopped, self._asked = True, False
                return
            if pid == self.pid:
                self._urged = False
            tracing.resume(pid)
            return
        if event == tracing.EVENT_SECCOMP:
            self._on_flagged(pid)
        elif event in _FORKED:
            if self._expects and pid == self.pid and not self._expected:
                self._expected = tracing.event_message(pid)
                # It stops again as it would for us, where its registers can be set.
                tracing.interrupt(pid)
                self._asked = True
            else:
                self._follow(tracing.event_message(pid), thread=has_started)
            tracing.resume(pid)
        else:
            # A signal on its way, or the stop of a whole group by one.
            self.flag(Reason.SIGNAL, number)
            if pid == self.pid and not event and self._faults_again(number):
                tracing.detach(pid)
                self.forget_twin()
            else:
                tracing.resume(pid, 0 if event else number)

    def _on_stop_of_ending(self, pid: int, event: int, number: int, *, has_started: bool) -> None:
        """Have a thread end that has stopped, wherever that is."""
        if event in _FORKED:
            self._follow(tracing.event_message(pid), thread=has_started)
        elif event != tracing.EVENT_SECCOMP and (event, number) != (
            tracing.EVENT_STOP,
            signal.SIGTRAP,
        ):
            self.flag(Reason.SIGNAL, number)
        self.threads.end(pid)

    def _on_flagged(self, pid: int) -> None:
        """Let a flagged call be made, now or later; at home it is not made before `begin`."""
        if self.flagged is None or not self.noting:
            state = tracing.general_state(pid)
            if pid == self.pid and is_home(state, self.home_is):
                if self._urged:
                    # Asked for again: any other stop takes the place of one that was asked for, and
                    # it would wait for its next call with nothing to break that off.
                    tracing.interrupt(pid)
                    tracing.resume(pid)
                else:
                    self.home = state
                    self._end_threads(tracing.General.of(state))
                return
            if self.noting:
                self._judge(pid, tracing.General.of(state))
            else:
                self._look_at_descriptors(tracing.General.of(state))
        self.flags += 1
        if self.flags > self._free:
            self.late.append(pid)
        else:
            tracing.resume(pid)

    def _end_threads(self, home: tracing.General) -> None:
        """Have all but the first thread end, which is home; that they have is waited for."""
        if self.threads:
            self.resume_late()
            self.threads.begin_end(home)

    def _judge(self, pid: int, registers: tracing.General) -> None:
        """Flag a call that may leave something behind, and any that another process makes."""
        if not self._passes(pid, registers):
            self.flag(Reason.CALL, registers.orig_rax & 0xFFFF)

    def _passes(self, pid: int, registers: tracing.General) -> bool:
        judge, is_thread = self.judge, pid in self.threads
        if judge is None or not (is_thread or pid == self.pid):
            return False
        if starts_one(registers):
            return self.threads.may_start(pid)
        if is_thread and sets_own(registers):
            return True
        return judge.passes(registers, self._read)

    def _look_at_descriptors(self, registers: tracing.General) -> None:
        """Note a call about a descriptor that is kept, by whom it may be."""
        number, first = registers.orig_rax, registers.rdi & tracing.INT
        if first < flagging.FIRST and number in _OF_DESCRIPTORS and self.tampered is None:
            self.tampered = DiscardError(Reason.CALL, number & 0xFFFF)

    def _read(self, place: int, size: int) -> bytes:
        """Read what nobody can write to until it goes on. Raises OSError."""
        for pid in self.threads.ids():
            with contextlib.suppress(ChildProcessError):
                if os.waitid(os.P_PID, pid, _ENDED) is not None:
                    self._ended(pid)
        if self.threads:
            raise OSError(errno.EBUSY, "another thread may write there")
        return bytes(remote_memory.read(self.pid, [(place, place + size)]))

    def _faults_again(self, number: int) -> bool:
        """Tell whether a fault comes for the second time, which nothing handles then.

        The first process of a namespace does not die of its faults as long as it is traced.
        """
        if number not in _FAULTS:
            return False
        place = (number, tracing.general(self.pid).rip)
        again, self._fault = place == self._fault, place
        return again

    def _follow(self, pid: int, *, thread: bool) -> None:
        if not thread:
            self.flag(Reason.PROCESSES)
        try:
            stop = os.waitid(os.P_PID, pid, _ANY_LEFT)
        except ChildProcessError:
            return  # it has ended already: its number may soon be another's
        (self.threads if thread else self._others).add(pid)
        if stop is None:
            # Its first stop may have been taken before this was told. One that is still there is
            # left to be taken: to resume who is just about to stop has the kernel wait for it.
            with contextlib.suppress(OSError):
                if thread and self.threads.ending:
                    self.threads.end(pid)
                else:
                    tracing.resume(pid)
        if len(self._others) > _MOST_OTHERS:
            self.kill()

    def flag(self, reason: Reason, detail: int = 0) -> None:
        """Note why it is not to be used again; the first reason stays.

        Its twin is of no use any more, and would keep open what it closes.
        """
        if self.flagged is None:
            self.flagged = DiscardError(reason, detail)
        if self.noting:
            self.forget_twin()

    def follows(self, pid: int) -> bool:
        """Tell whether a process is its twin, or was started by it and has not ended yet."""
        return pid == self.twin or pid in self._others or pid in self.threads

    @property
    def following(self) -> bool:
        """Whether something that it started has not ended yet."""
        return bool(self._others or self.threads)

    def forget_twin(self) -> None:
        """End the twin: it would keep the ends of sockets and pipes open."""
        if self.twin:
            with contextlib.suppress(OSError):
                tracing.kill(self.twin)
            self._others.add(self.twin)
            self.twin = 0

    def kill(self) -> None:
        """End it, and with it, the first of its namespace, all that it started."""
        self.forget_twin()
        with contextlib.suppress(OSError):
            tracing.kill(self.pid)
