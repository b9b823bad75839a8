"""Compares an instance with its snapshot after a call, and sets it back.

In this order: it stops before it waits for its next call; its other threads end; nothing was
flagged; memory that it has mapped is taken away (`repairing.py`); what the kernel tells of it is
what it was; what it wrote is written over with what was there; its registers are set. Any step that
fails ends it: there is no way round one. It goes on once who called it has asked for it to be
ready.
"""

from __future__ import annotations

import os
import time

from casemate.kernel import remote_memory, tracing
from casemate.kernel.pagemap import TooManyPagesError, UnwatchedError
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.kept_pages import KeptPages
from casemate.restorer.reasons import DiscardError, Reason
from casemate.restorer.repairing import renew_times, repair_memory, take_handlers_away
from casemate.restorer.snapshot import STOP_SECONDS, Snapshot, Tmp, take
from casemate.restorer.tracee import HELD_OPTIONS, OPTIONS, Tracee
from casemate.restorer.written import Written

_CLOCK_NS = 20_000_000
"""By how much the times of files may be behind the clock: they change with its ticks."""
_CLOSELY_FIRST = 8
"""So many calls are followed by a close look in any case."""
_CLOSELY_ONE_IN = 16
"""And of those after them one in so many, by chance: none knows which."""
_DRAWN_AT_ONCE = 256
"""Bytes of chance that are asked of the kernel together: each by itself would cost a call of it."""


class Held:
    """One instance. Methods that raise DiscardError are the last to be called."""

    def __init__(
        self,
        pid: int,
        *,
        files: ProcessFiles,
        uffd: int,
        tmp: int | None,
        filters: int,
        shared: KeptPages | None = None,
    ) -> None:
        """Trace a process. The descriptors stay their owner's.

        `shared` are the contents of pages of all instances of its zygote; its own without them.
        """
        self._files = files
        self._uffd = uffd
        self._tmp = tmp
        self._filters = filters
        self._shared = shared = KeptPages() if shared is None else shared
        self._written = Written(pid, uffd, files, shared)
        self.snapshot: Snapshot | None = None
        self._tmp_was: Tmp | None = None
        """What its /tmp was when it was last made ready."""
        self._drawn = iter(b"")
        self._extends = False
        """Whether a call has left another extended state: then it is set without a look before."""
        self.restored = 0
        self.prepared = False
        """Whether it stands at home as it was at its snapshot."""
        try:
            self.tracee = Tracee(pid)
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        # What the files are of lives, so that its id cannot have been another's.
        try:
            files.status()
            self._given = files.kept()
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error

    def make_ready(self) -> None:
        """Wait for it, take the snapshot or restore it, and let it wait for a call."""
        self.tracee.await_home(STOP_SECONDS)
        self.prepare()
        self.let_go()

    @property
    def at_home(self) -> bool:
        """Whether it stands before its wait for the next call, alone, and nothing was flagged."""
        return self.tracee.at_home

    @property
    def pages(self) -> int:
        """How many pages were written back last."""
        return self._written.pages

    @property
    def flagged(self) -> DiscardError | None:
        """Why it is not to be used again, if something was flagged since its snapshot."""
        return self.tracee.flagged if self.tracee.noting else None

    def prepare(self) -> None:
        """Take the snapshot of one at home, or restore it, unless that is done."""
        tracee = self.tracee
        if self.flagged is not None:
            raise self.flagged
        if self.prepared:
            return
        if self.snapshot is None:
            if tracee.tampered is not None:
                raise tracee.tampered
            tracee.flagged = None
            self.snapshot = take(
                *(tracee, self._files, self._uffd, self._tmp, self._filters, self._given),
                self._shared.dropped,
            )
            tracee.flagged = None
            tracee.judge, tracee.home_is = self.snapshot.judge, self.snapshot.home
            tracee.noting = True
            self._tmp_was = self.snapshot.state.tmp
        else:
            self._restore(self.snapshot)
            self.restored += 1
        self.prepared = True

    def let_go(self) -> None:
        """Have one that is prepared wait for a call."""
        if not self.prepared:
            raise DiscardError(Reason.NOT_WAITING)
        self.prepared = False
        try:
            tracing.set_options(self.tracee.pid, OPTIONS)
        except OSError as error:
            raise DiscardError(Reason.GONE, error.errno or 0) from error
        self.tracee.begin()

    def give_up(self) -> None:
        """Let one go that nobody asks for: it is not used again."""
        self.tracee.flag(Reason.NOT_WAITING)
        self.let_go()

    def _restore(self, snapshot: Snapshot) -> None:
        tracee = self.tracee
        try:
            tracing.set_options(tracee.pid, HELD_OPTIONS)
            if snapshot.judge.signals:
                take_handlers_away(tracee, snapshot)
                self._written.expect_more()
            same = self._files.status() == snapshot.state.status
            closely = self._is_due(snapshot) or not same
            if closely and self._repair_memory(snapshot):
                same = self._files.status() == snapshot.state.status
            self._repair_tmp(snapshot)
            self._compare(snapshot, same_status=same)
            self._written.write_back(snapshot, closely=closely)
            if tracee.home is None:
                tracee.return_home(snapshot.general)
            self._set_registers(snapshot)
        except UnwatchedError as error:
            raise DiscardError(Reason.UNWATCHED, error.errno or 0) from error
        except TooManyPagesError as error:
            raise DiscardError(Reason.TOO_MANY_PAGES) from error
        except ProcessLookupError as error:
            raise DiscardError(Reason.GONE) from error
        except (OSError, ValueError) as error:
            raise DiscardError(Reason.KERNEL, getattr(error, "errno", 0) or 0) from error

    def _set_registers(self, snapshot: Snapshot) -> None:
        """Have the registers be those of the snapshot, or raise DiscardError."""
        pid = self.tracee.pid
        if self.tracee.home != snapshot.home:
            tracing.set_general_state(pid, snapshot.home)
            if tracing.general_state(pid) != snapshot.home:
                raise DiscardError(Reason.REGISTERS)
            self.tracee.home = snapshot.home
        # What a call leaves in it is another state each time, or each time the same one.
        if self._extends or tracing.extended(pid) != snapshot.extended:
            self._extends = True
            tracing.set_extended(pid, snapshot.extended)
            if tracing.extended(pid) != snapshot.extended:
                raise DiscardError(Reason.REGISTERS)

    def _is_due(self, snapshot: Snapshot) -> bool:
        """Tell whether memory is to be looked at closely: all mappings, each that is watched.

        The kernel takes long to tell of them. Unless calls about memory were let pass, or the
        sizes that `status` has are others, they are what they were, or a flag would say so.
        """
        return (
            snapshot.judge.remapped
            or self.restored < _CLOSELY_FIRST
            or self._draw() % _CLOSELY_ONE_IN == 0
        )

    def _draw(self) -> int:
        """Return a byte by chance."""
        drawn = next(self._drawn, None)
        if drawn is None:
            self._drawn = iter(os.urandom(_DRAWN_AT_ONCE))
            drawn = next(self._drawn)
        return drawn

    def _repair_memory(self, snapshot: Snapshot) -> bool:
        """Have the mappings be those of the snapshot, all of them, or raise DiscardError.

        Returns whether there was something to do.
        """
        judge, mappings = snapshot.judge, snapshot.state.maps
        differs = self._files.maps() != mappings or judge.heap_moved
        if differs:
            repair_memory(self.tracee, snapshot, self._files)
            if self._files.maps() != mappings:
                raise DiscardError(Reason.MEMORY_LAYOUT)
        judge.heap_moved = judge.remapped = False
        return differs

    def _repair_tmp(self, snapshot: Snapshot) -> None:
        """Have /tmp be as it was but for its times, which are new, or raise DiscardError."""
        was, now = self._tmp_was, self._tmp_now()
        if was is None or now is None or now == was:
            return
        if now.lasting != was.lasting:
            raise DiscardError(Reason.TMP)
        before = time.time_ns() - _CLOCK_NS
        renew_times(self.tracee, snapshot)
        self._written.expect_more()
        self._tmp_was = self._tmp_now()
        if (
            self._tmp_was is None
            or self._tmp_was.lasting != was.lasting
            or not all(before <= moment <= time.time_ns() for moment in self._tmp_was.times)
        ):
            raise DiscardError(Reason.TMP)

    def _tmp_now(self) -> Tmp | None:
        return None if self._tmp is None else Tmp.of(self._tmp)

    def _compare(self, snapshot: Snapshot, *, same_status: bool) -> None:
        """Raise DiscardError for the first thing that is not what it was."""
        was, files, pid = snapshot.state, self._files, self.tracee.pid
        for same, reason in (
            (files.descriptors() == was.descriptors, Reason.DESCRIPTORS),
            (files.children() == was.children, Reason.PROCESSES),
            (files.kept() == was.kept, Reason.FILES),
            (files.folder() == was.folder, Reason.FOLDER),
            (same_status, Reason.STATUS),
            (files.limits() == was.limits, Reason.STATUS),
        ):
            if not same:
                raise DiscardError(reason)
        for descriptor in range(was.descriptors):
            if not remote_memory.same_file(pid, snapshot.twin, descriptor):
                raise DiscardError(Reason.FILES, descriptor)
