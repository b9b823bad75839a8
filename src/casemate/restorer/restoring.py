"""Compares an instance with its snapshot after a call, and sets it back.

In this order: it stops where it waits for its next call; nothing was flagged; memory that it has
mapped is taken away (`repairing.py`); what the kernel tells of it is what it was; what it wrote is
written over with what was there; its registers are set. Any step that fails ends it: there is no
way round one.
"""

from __future__ import annotations

import time

from casemate.kernel import remote_memory, tracing
from casemate.kernel.pagemap import Scanner, TooManyPagesError, UnwatchedError
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.reasons import DiscardError, Reason
from casemate.restorer.repairing import renew_times, repair_memory
from casemate.restorer.snapshot import STOP_SECONDS, Snapshot, Tmp, take
from casemate.restorer.tracee import HELD_OPTIONS, OPTIONS, Tracee
from casemate.restorer.written import Written

_CLOCK_NS = 20_000_000
"""By how much the times of files may be behind the clock: they change with its ticks."""
_HOME_TRIES = 8
_HOME_SECONDS = 0.0005
"""Between the answer and the wait for the next call there are some instructions."""


class Held:
    """One instance. Each method raises DiscardError, after which nothing else is to be called."""

    def __init__(
        self, pid: int, *, files: ProcessFiles, uffd: int, tmp: int | None, filters: int
    ) -> None:
        """Trace a process. The descriptors stay their owner's."""
        self._files = files
        self._uffd = uffd
        self._tmp = tmp
        self._filters = filters
        self._written = Written(pid, uffd, Scanner(files.pagemap))
        self.snapshot: Snapshot | None = None
        self._tmp_was: Tmp | None = None
        """What its /tmp was when it was last made ready."""
        self.restored = 0
        try:
            self.tracee = Tracee(pid)
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        # What the files are of lives, so that its id cannot have been another's.
        try:
            files.status()
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error

    def make_ready(self) -> None:
        """Take the snapshot, or restore it; the instance then waits for a call."""
        if self.snapshot is None:
            self._stop_waiting()
            self.tracee.flagged = None
            self.snapshot = take(self.tracee, self._files, self._uffd, self._tmp, self._filters)
            self.tracee.flagged = None
            self.tracee.judge = self.snapshot.judge
            self.tracee.noting = True
            self._tmp_was = self.snapshot.state.tmp
        else:
            self._stop_waiting()
            self._restore(self.snapshot)
            self.restored += 1
        self._let_go()

    @property
    def pages(self) -> int:
        """How many pages were written back last."""
        return self._written.pages

    def _let_go(self) -> None:
        try:
            tracing.set_options(self.tracee.pid, OPTIONS)
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        self.tracee.begin()

    def _stop_waiting(self) -> None:
        """Stop it where it waits: nowhere else a broken-off call leaves nothing in the kernel."""
        for attempt in range(_HOME_TRIES):
            self.tracee.stop(STOP_SECONDS)
            self._require_unflagged()
            try:
                here = tracing.general(self.tracee.pid)
            except OSError as error:
                raise DiscardError(Reason.GONE, error.errno or 0) from error
            if self._at_home(here):
                return
            self.tracee.go_on()
            time.sleep(_HOME_SECONDS * (attempt + 1))
        raise DiscardError(Reason.NOT_WAITING)

    def _at_home(self, here: tracing.General) -> bool:
        home = self.snapshot.general if self.snapshot is not None else None
        if home is None:
            return here.rax == tracing.RESTART
        same = ("rip", "rsp", "orig_rax", "rax", "rdi", "cs", "ss")
        return all(getattr(here, name) == getattr(home, name) for name in same)

    def _require_unflagged(self) -> None:
        if self.tracee.noting and self.tracee.flagged is not None:
            raise self.tracee.flagged

    def _restore(self, snapshot: Snapshot) -> None:
        pid = self.tracee.pid
        try:
            tracing.set_options(pid, HELD_OPTIONS)
            self._repair_memory(snapshot)
            self._repair_tmp(snapshot)
            self._compare(snapshot)
            self._written.write_back(snapshot)
            tracing.set_extended(pid, snapshot.extended)
            tracing.set_general(pid, snapshot.general)
            if (
                tracing.general(pid) != snapshot.general
                or tracing.extended(pid) != snapshot.extended
            ):
                raise DiscardError(Reason.REGISTERS)
        except UnwatchedError as error:
            raise DiscardError(Reason.UNWATCHED, error.errno or 0) from error
        except TooManyPagesError as error:
            raise DiscardError(Reason.TOO_MANY_PAGES) from error
        except ProcessLookupError as error:
            raise DiscardError(Reason.GONE) from error
        except (OSError, ValueError) as error:
            raise DiscardError(Reason.KERNEL, getattr(error, "errno", 0) or 0) from error

    def _repair_memory(self, snapshot: Snapshot) -> None:
        """Have the mappings be those of the snapshot, all of them, or raise DiscardError."""
        mappings = snapshot.state.maps
        if self._files.maps() != mappings or snapshot.judge.heap_moved:
            repair_memory(self.tracee, snapshot, self._files)
            if self._files.maps() != mappings:
                raise DiscardError(Reason.MEMORY_LAYOUT)
        snapshot.judge.heap_moved = False

    def _repair_tmp(self, snapshot: Snapshot) -> None:
        """Have /tmp be as it was but for its times, which are new, or raise DiscardError."""
        was, now = self._tmp_was, self._tmp_now()
        if was is None or now is None or now == was:
            return
        if now.lasting != was.lasting:
            raise DiscardError(Reason.TMP)
        before = time.time_ns() - _CLOCK_NS
        renew_times(self.tracee, snapshot)
        self._tmp_was = self._tmp_now()
        if (
            self._tmp_was is None
            or self._tmp_was.lasting != was.lasting
            or not all(before <= moment <= time.time_ns() for moment in self._tmp_was.times)
        ):
            raise DiscardError(Reason.TMP)

    def _tmp_now(self) -> Tmp | None:
        return None if self._tmp is None else Tmp.of(self._tmp)

    def _compare(self, snapshot: Snapshot) -> None:
        """Raise DiscardError for the first thing that is not what it was."""
        was, files = snapshot.state, self._files
        for same, reason in (
            (files.descriptors() == was.descriptors, Reason.DESCRIPTORS),
            (files.children() == was.children, Reason.PROCESSES),
            (files.kept() == was.kept, Reason.FILES),
            (files.folder() == was.folder, Reason.FOLDER),
            (files.status() == was.status, Reason.STATUS),
            (files.limits() == was.limits, Reason.STATUS),
        ):
            if not same:
                raise DiscardError(reason)
        for descriptor in range(was.descriptors):
            if not remote_memory.same_file(self.tracee.pid, snapshot.twin, descriptor):
                raise DiscardError(Reason.FILES, descriptor)
