"""A function zygote: one bundle's sealed process, from which its instances are forked.

Starts blank, as a fork of the base zygote, with its own namespaces and root. Once the supervisor
assigns it a bundle it gives up its rights, imports the handler, and from then on only forks.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from ..guard import imported, setting_up
from ..guard.core import Guard, Rule
from ..kernel import flagging, landlock, linux, seccomp
from . import (
    allocating,
    control,
    forked_ahead,
    instance,
    loaded,
    network,
    restorable,
    rights,
    seeding,
    shared_at_import,
    sharing,
    wire,
)
from .ahead import CODE, DEPENDENCIES, Ahead
from .failures import describe, error_frame
from .filling import fill_chunks, fill_pools
from .filters import ZygoteFilters
from .handlers import load_handler, offer_names, route_logging
from .own_input import open_own_input

_SETTLE_MS = 100
_SETTLE_FORKS = 64
_REST_MS = 1000
"""After so long without an instance and a request, memory kept for instances is given back, and
what the next one becomes is forked ahead."""
_FEW = 2
"""Spares of a function that was called once: from the third instance on all have one room."""
_FORKED, _RESTORABLE = 3, 4
"""Descriptors that come with a request for an instance of either kind."""
BLANK_NAMESPACES = (
    linux.CLONE_NEWPID
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWCGROUP
)


class ThreadAtImportError(Exception):
    """The module started a thread when it was imported; a thread does not survive the fork.

    Start it in the handler, or set trust = "low" to import the module in every instance.
    """


def _environment(assignment: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a function; of no function yet, those that all have."""
    own = {} if _is_ahead(assignment) else _own_environment(assignment)
    return (
        {
            "HOME": "/tmp",  # noqa: S108
            "TMPDIR": "/tmp",  # noqa: S108
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            # A zygote has no threads: these libraries would start some when imported.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "NUMEXPR_NUM_THREADS": "1",
        }
        | network.proxy_environment(assignment["ports"])
        | own
    )


def _own_environment(assignment: dict[str, Any]) -> dict[str, str]:
    variables: dict[str, str] = assignment["environment"]
    return {
        "CASEMATE_PROJECT": assignment["project"],
        "CASEMATE_FUNCTION": assignment["function"],
    } | variables


def _is_ahead(assignment: dict[str, Any]) -> bool:
    """Tell whether dependencies are to be imported before it is known whose they become."""
    return "modules" in assignment


def _forbid_threads() -> None:
    try:
        # Fails with EINVAL in a process with threads, changes nothing in one without.
        linux.unshare(linux.CLONE_THREAD)
    except OSError as error:
        raise ThreadAtImportError((ThreadAtImportError.__doc__ or "").strip()) from error


class Prepared:
    """What every zygote needs, made once in the base zygote and shared by all forked from it."""

    def __init__(self) -> None:
        """Put the guard in place, but for the rules of a function; lay out the filters."""
        offer_names()
        self.allocators = tuple(allocating.choices())
        self.guard = self._in_one_place(Guard)
        setting_up.before_import(self.guard)
        self.zygote_filters = ZygoteFilters()
        self.flag_filter = linux.PreparedFilter(flagging.flag_program())
        self.instance_filter = linux.PreparedFilter(seccomp.instance_program())

    def look_through_imported(self) -> None:
        """Take what the base zygote has imported as known to the guard: last, before any fork."""
        setting_up.before_functions(self.guard)

    def _in_one_place(self, make: Callable[[], Guard]) -> Guard:
        """Make a guard whose parts lie together, as each call writes on most of them."""
        fill_chunks()
        allocating.use_malloc(self.allocators)
        try:
            return make()
        finally:
            allocating.use_pools(self.allocators)


class Zygote:
    """The loop of a function zygote."""

    def __init__(self, sock: socket.socket, prepared: Prepared) -> None:
        """Say hello, so that the supervisor learns this process's id from the kernel."""
        self._sock = sock
        self._prepared = prepared
        self._guard = prepared.guard
        self._cloner = linux.Cloner()
        self._handler: instance.Handler | None = None
        self._has_learnt = False
        """Whether it knows whose the files of dependencies are."""
        self._opened: set[int] = set()
        """What the import has left open, and what opens it anew."""
        self._renewals: list[shared_at_import.Renewal] = []
        self._instances: dict[int, int] = {}
        self._forks = 0
        self._settled = False
        self._settling: Iterator[int] | None = None
        self._restorable = 0
        self._room: list[bytes] | None = None
        self._is_filled = False
        """Whether what instances make lies together, and near what tells where it lies."""
        self._ahead: forked_ahead.ForkedAhead | None = None
        self._is_ahead_due = False
        """Whether one is to be forked at rest: only when that was asked for."""
        self._late = loaded.LateImports()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        control.send_event(sock, control.HELLO)

    def run(self) -> None:
        """Wait for an assignment, then fork until the supervisor goes away."""
        message, descriptors = control.receive(self._sock)
        if message is None:
            return
        assignment: dict[str, Any] = message
        reporting = self._confine(assignment, descriptors)
        if _is_ahead(assignment):
            become = self._import_ahead(assignment, reporting)
            if become is None:
                return
            assignment = become
        self._assignment = assignment
        if not self._import(reporting):
            return
        self._serve()

    def _confine(self, assignment: dict[str, Any], descriptors: list[int]) -> socket.socket:
        """Mount what it gets and give up all rights; return the socket that it reports by."""
        bundle, tmpfs, report, output = descriptors
        ahead = _is_ahead(assignment)
        linux.attach_mount(bundle, DEPENDENCIES if ahead else "/function")
        linux.attach_mount(tmpfs, "/tmp")  # noqa: S108
        os.close(bundle)
        os.close(tmpfs)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        # What is printed must not be lost with a process that is killed.
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        os.chdir("/function" if ahead else CODE)
        for name in list(os.environ):
            del os.environ[name]
        os.environ.update(_environment(assignment))
        # The filter forbids bind and listen.
        listeners = network.open_listeners(assignment["ports"])
        notify = rights.give_up_rights(assignment, self._prepared.zygote_filters)
        reporting = socket.socket(fileno=report)
        rights.hand_over(self._sock, reporting, listeners, notify)
        # A rule of Landlock is for an inode: what it opens has to be mounted by now. What is
        # mounted later is below its root.
        abi: int = assignment["landlock_abi"]
        self._restriction = landlock.Restriction(abi, assignment["ports"]) if abi else None
        return reporting

    def _import_ahead(
        self, assignment: dict[str, Any], report: socket.socket
    ) -> dict[str, Any] | None:
        """Import dependencies; return what function it becomes, None if it becomes none."""
        # None that packages are denied anything of gets here.
        setting_up.before_handler(self._guard, {})
        self._has_learnt = True
        ahead = Ahead()
        try:
            ahead.import_all(assignment["modules"], assignment["open_files"])
            _forbid_threads()
        except BaseException as error:  # noqa: BLE001
            self._fail(report, error)
            return None
        instance.flush_output()
        # Nobody waits: what comes later has less to look through.
        gc.collect()
        gc.freeze()
        control.send_event(self._sock, control.IMPORTED)
        become, descriptors = control.receive(self._sock)
        if become is None:
            return None
        try:
            if descriptors:
                raise TypeError("a zygote that becomes a function's gets no descriptor")
            own = _environment(become)
            os.chdir(CODE)
            ahead.require_fit(own)
            os.environ.update(own)
            ahead.add_code()
        except BaseException as error:  # noqa: BLE001
            self._fail(report, error)
            return None
        return become

    def _fail(self, report: socket.socket, error: BaseException) -> None:
        """Tell why there will be no zygote."""
        instance.flush_output()
        report.sendall(error_frame("init-error", describe(error)))
        control.send_event(self._sock, control.IMPORT_FAILED)

    def _import(self, report: socket.socket) -> bool:
        """Import the handler unless it is not trusted to be; tell how that went."""
        # Ours is imported by now, and what a function imports late is not looked for among it.
        if CODE not in sys.path:
            sys.path[:] = [CODE, DEPENDENCIES, *(p for p in sys.path if p != "/casemate")]
        self._guard.rules = tuple(Rule(*rule) for rule in self._assignment["guard"])
        usual = self._assignment["shapes"]
        self._guard.shapes.use(usual["known"], strict=usual["strict"])
        if not self._has_learnt:
            setting_up.before_handler(self._guard, self._assignment["packages"])
        most = self._assignment["open_files"]
        ours = shared_at_import.open_descriptors(most)
        try:
            if self._assignment["trust"] == "normal":
                self._handler = load_handler(self._assignment["handler"])
                setting_up.after_import(self._guard)
            _forbid_threads()
            shared_at_import.require_no_child()
            self._opened = shared_at_import.open_descriptors(most) - ours
            self._renewals = shared_at_import.renewals(self._opened)
        except BaseException as error:  # noqa: BLE001 - SystemExit at import is a failure as well
            self._fail(report, error)
            return False
        instance.flush_output()
        seeding.forget_seeds()
        self._log_sink = route_logging()
        # A collection in a fork would write to every object's header, and so copy every page. One
        # of all that a large import has made takes 45 ms, which a call waits for, and finds nothing
        # that those during the import have not: the youngest are enough.
        gc.collect(1)
        gc.freeze()
        self._late.begin()
        report.sendall(loaded.frame(loaded.files()) + wire.pack(wire.READY))
        report.close()
        control.send_event(self._sock, control.IMPORTED)
        return True

    def _serve(self) -> None:
        # A handler alone ends no poll: Python waits on (PEP 475). The pipe is for that. If it is
        # full it is readable all the more.
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = poll.poll(self._patience())
            if self._settling is not None:
                self._go_on_settling()
            elif not self._settled and (not ready or self._forks >= _SETTLE_FORKS):
                self._settle()
            elif not ready and not self._instances:
                self._room = None  # at rest it would be most of what is held
                self._fork_ahead()
            for descriptor, _events in ready:
                if descriptor == self._wake_read:
                    os.read(self._wake_read, 4096)
                    self._reap()
                elif not self._obey():
                    return

    def _patience(self) -> int | None:
        if self._settling is not None:
            return 0
        if not self._settled:
            return _SETTLE_MS
        at_rest = self._room is None and not self._is_ahead_due
        return None if at_rest or self._instances else _REST_MS

    def _settle(self) -> None:
        """Make the memory of future instances stay shared; takes too long for a cold start."""
        for _ in range(instance.REHEARSALS):
            instance.reseed()
        gc.collect()
        modules = [each for _, each in imported.since() if issubclass(type(each), ModuleType)]
        # What is asked for in each call beside them.
        single = [self._handler, self._late, self._log_sink, *self._assignment.values()]
        self._settling = sharing.make_immortal([*modules, *single])
        self._go_on_settling()

    def _go_on_settling(self) -> None:
        """Make another part of it immortal: with a large library it takes a while in all."""
        if self._settling is None or next(self._settling, None) is not None:
            return
        self._settling, self._settled = None, True
        gc.collect()
        gc.freeze()

    def _make_room(self) -> list[bytes]:
        """Have room for what calls take, and what they make lie together in it.

        Not at rest: it is a sixth of what a zygote holds, and a function that is called once in a
        while needs none that lasts. Nor before it has settled, while calls may wait for the first.
        """
        if self._settled and not self._is_filled:
            self._is_filled = True
            fill_pools()
            fill_chunks()
            gc.freeze()
        return restorable.make_room()

    def _reap(self) -> None:
        # With an instance there is a child, so that waitpid does not fail.
        while self._instances or self._ahead is not None:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if self._ahead is not None and pid == self._ahead.pid:
                self._ahead.close()
                self._ahead = None
            number = self._instances.pop(pid, None)
            if number is not None:
                control.send_event(self._sock, control.EXITED, number, status)

    def _obey(self) -> bool:
        """Take one request; return False when the supervisor is gone."""
        message, descriptors = control.receive(self._sock)
        if message is None:
            return False
        if "kill" in message:
            # On a host without control groups. Where there are some nobody has to be asked.
            for pid, running in self._instances.items():
                if running == message["kill"]:
                    os.kill(pid, signal.SIGKILL)
            return True
        if "ahead" in message:
            self._is_ahead_due = True
            return True
        number = message["i"]
        if not isinstance(number, int) or len(descriptors) not in (_FORKED, _RESTORABLE):
            raise TypeError("a fork request is a number and three or four descriptors")
        self._fork(number, descriptors)
        return True

    def _fork(self, number: int, descriptors: list[int]) -> None:
        if len(descriptors) == _RESTORABLE:
            # The first ones have their own: what is called once in a while has no others. They
            # count also where they came too soon: each that follows would hold one more for good.
            if self._settled and self._restorable >= _FEW and self._room is None:
                self._room = self._make_room()
            self._restorable += 1
        pid = self._pid_of_ahead(descriptors)
        if not pid:
            try:
                pid = self._cloner.clone(linux.INSTANCE_NAMESPACES)
            except OSError as error:
                control.send_event(self._sock, control.FORK_FAILED, number, error.errno or 0)
                pid = -1
            if pid == 0:
                self._become_instance(lambda: descriptors)
        if pid > 0:
            self._forks += 1
            self._instances[pid] = number
            control.send_event(self._sock, control.FORKED, number, pid)
        for descriptor in descriptors:
            os.close(descriptor)

    def _fork_ahead(self) -> None:
        """Fork what the next instance becomes, if that was asked for."""
        if self._ahead is not None or not self._is_ahead_due:
            return
        self._is_ahead_due = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            wait = linux.waiting_for(theirs.fileno())
            try:
                pid = self._cloner.clone(linux.INSTANCE_NAMESPACES, wait)
            except OSError:
                ours.close()  # the next one is forked when it is asked for
                return
            if pid == 0:
                self._become_instance(lambda: self._told(ours, theirs))
        self._ahead = forked_ahead.ForkedAhead(pid, ours)

    def _pid_of_ahead(self, descriptors: list[int]) -> int:
        """Have what was forked ahead become an instance; return its process id, 0 for none.

        The next one, of whichever kind: it sits in the slot that the supervisor takes for that.
        From here on it takes another, so nothing is forked ahead until that is asked for.
        """
        self._is_ahead_due = False
        if self._ahead is None:
            return 0
        ahead, self._ahead = self._ahead, None
        return ahead.pid if ahead.become(descriptors) else 0

    @staticmethod
    def _told(ours: socket.socket, theirs: socket.socket) -> list[int]:
        """Return the descriptors of the instance that what was forked ahead becomes."""
        ours.close()
        with theirs:
            descriptors = forked_ahead.told(theirs)
        if descriptors is None:
            os._exit(0)
        return descriptors

    def _become_instance(self, descriptors: Callable[[], list[int]]) -> None:
        """Never returns. In an instance nothing of the zygote's loop may go on."""
        try:
            # The pipe is the zygote's as well: a signal here would wake it.
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._lock_down_and_serve(*descriptors())
            # Nothing that the import left for the end (atexit, threading) is an instance's to do.
            os._exit(0)
        except BaseException as error:  # noqa: BLE001
            self._last_words(error)
        os._exit(70)

    def _lock_down_and_serve(
        self, channel: int, output: int, tmpfs: int, hold: int | None = None
    ) -> None:
        open_own_input()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        # In the place of the zygote's control socket, which is closed by this.
        os.dup2(channel, instance.SOCKET_FD)
        os.close(channel)
        # While what the import put into /tmp can still be seen.
        for renew in self._renewals:
            renew()
        assignment = self._assignment
        held = hold is not None and restorable.offer(hold)
        # Shared by all, once the zygote had the time.
        room = self._make_room() if held and self._room is None else None
        instance.lock_down(
            tmpfs=tmpfs,
            restriction=self._restriction,
            # The untouched copy of one that is restored is a process as well.
            processes=assignment["processes"] + held,
            program=self._prepared.instance_filter,
            flag=self._prepared.flag_filter if held else None,
        )
        # Its number is that of the channel now, which it would close with itself.
        self._sock.detach()
        sock = socket.socket(fileno=instance.SOCKET_FD)
        instance.reseed()
        self._run_instance(sock, restored=held)
        del room

    def _run_instance(self, sock: socket.socket, *, restored: bool) -> None:
        assignment = self._assignment
        try:
            handler = self._handler or load_handler(assignment["handler"])
            if self._handler is None:
                setting_up.after_import(self._guard)
                seeding.forget_seeds()
        except BaseException as error:  # noqa: BLE001
            sock.sendall(error_frame("init-error", describe(error)))
            return
        allocators = self._prepared.allocators if restored else ()
        allocating.use_malloc(allocators)
        kept = allocating.take_what_is_kept() if restored else []
        served = instance.Instance(
            handler,
            assignment,
            sock,
            self._guard,
            self._late,
            restored=self._by_call() if restored else None,
            allocators=allocators,
        )
        if self._handler is None:
            self._log_sink = route_logging()
        self._log_sink.emit = served.emit
        # Alone, and not to be restored as others are, it is what a first call waits for.
        if restored or self._instances or not assignment["restorable"]:
            served.touch()
        if restored:
            # Its collector begins each call anew, with what it has counted until now.
            gc.freeze()
            restorable.with_room_for_frames(served.serve)
        else:
            served.serve()
        del kept

    def _by_call(self) -> shared_at_import.ByCall:
        """Return what one that is restored has open for each of its calls."""
        if self._handler is None:  # it has imported the handler itself
            opened = shared_at_import.open_descriptors(self._assignment["open_files"])
            self._opened = opened.difference(range(flagging.FIRST))
            try:
                self._renewals = shared_at_import.renewals(self._opened)
            except shared_at_import.SharedAtImportError:
                return shared_at_import.NEVER_CLOSED
        return shared_at_import.by_call(self._opened, self._renewals)

    @staticmethod
    def _last_words(error: BaseException) -> None:
        """Leave what went wrong outside the handler in the instance's output."""
        try:
            os.write(2, f"instance: {type(error).__name__}: {error}\n".encode(errors="replace"))
        except OSError:
            os._exit(71)
