"""Writes back what a call has written.

Protecting a page again costs a fault of the next call that writes it, more than copying it does.
So pages that were written are written back every time, whether they were written again or not:
they are *kept*. From time to time all are protected again, so that one call with much memory does
not slow down all that come after it.

A page that is not kept is protected, or not there: to write it is a fault, which the kernel counts
for the process. Where it has counted none since the last look there is nothing to look for: that
takes a tenth of the time, and the more memory, the less.
"""

from __future__ import annotations

import errno

from casemate.kernel import remote_memory, userfault
from casemate.kernel.pagemap import Scanner, SpanScan, TooManyPagesError, UnwatchedError
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.kept_pages import KeptPages, Page
from casemate.restorer.ranges import Range, addresses, pages, without
from casemate.restorer.snapshot import Snapshot

MOST_PAGES = 2000
"""That are kept, and that one call may write on beside those."""
_MOST_FOUND = 2 * MOST_PAGES
_FIRST_RENEWAL, _MOST_RENEWAL = 4, 256
"""After so many calls all pages are protected again: soon at first, as first calls write more."""


class Written:
    """What was written in one instance, and what was there."""

    def __init__(self, pid: int, uffd: int, files: ProcessFiles, shared: KeptPages) -> None:
        """Ask by `files`; protect by `uffd`. The descriptors stay their owner's.

        `shared` are the contents that this instance has in common with others of its zygote.
        """
        self._pid = pid
        self._uffd = uffd
        self._files = files
        self._scanner = Scanner(files.pagemap)
        self._faults: tuple[bytes, ...] | None = None
        """How many it had made at the last look."""
        self._span: SpanScan | None = None
        self._kept: list[Range] = []
        self._kept_pages = 0
        self._shared = shared
        self._pages: dict[int, Page] = {}
        """What was there, by the addresses of the pages that are kept."""
        self._clean: remote_memory.Copy | None = None
        """Writes it, all at once."""
        self._calls = 0
        self._renew_at = _FIRST_RENEWAL
        self.pages = 0
        """How many were written back for the last call."""

    def write_back(self, snapshot: Snapshot, *, closely: bool) -> None:
        """Write over all that was written what the twin has. Raises OSError.

        `closely`: look at each range by itself. Of one that is not watched as it was
        UnwatchedError: nobody knows what was written.
        """
        runs = self._found(snapshot, closely=closely)
        known = runs is self._kept or runs == self._kept
        self.pages = self._kept_pages if known else pages(runs)
        self._calls += 1
        if self._calls >= self._renew_at or self.pages > MOST_PAGES:
            if pages(without(runs, self._kept)) > MOST_PAGES:
                raise TooManyPagesError(errno.E2BIG, "one call wrote on more pages than may be")
            self._renew_at = self._calls + min(3 * self._calls, _MOST_RENEWAL)
            self._keep(snapshot, [])
            self._write_and_protect(snapshot.twin, runs)
        elif not known:
            self._keep(snapshot, runs)
        clean = self._clean or self._keep(snapshot, self._kept)
        clean.write(self._pid)

    def expect_more(self) -> None:
        """Take it that something was written from outside, which is no fault of the process."""
        self._faults = None

    def _keep(self, snapshot: Snapshot, runs: list[Range]) -> remote_memory.Copy:
        """Have these be written back each time, and what the kernel may drop be zeroed."""
        new = without(runs, self._kept)
        found = self._shared.of(remote_memory.read(snapshot.twin, new))
        known = self._pages | dict(zip(addresses(new), found, strict=True))
        self._pages = {place: known[place] for place in addresses(runs)}
        self._kept, self._kept_pages = runs, pages(runs)
        zeroes = [bytes(end - start) for start, end in snapshot.dropped]
        contents = [page.content for page in self._pages.values()]
        clean = self._clean = remote_memory.Copy([*runs, *snapshot.dropped], contents + zeroes)
        return clean

    def _found(self, snapshot: Snapshot, *, closely: bool) -> list[Range]:
        """Return what was written, be it in this call or in one before.

        Raises UnwatchedError for a page that was written without a fault.
        """
        before, self._faults = self._faults, self._files.faults()
        none = self._faults == before
        if not closely:
            return self._kept if none else self._all_ranges(snapshot)
        runs = self._each_range(snapshot)
        if none and without(runs, self._kept):
            raise UnwatchedError(errno.EIO, "a page was written without a fault")
        return runs

    def _all_ranges(self, snapshot: Snapshot) -> list[Range]:
        if self._span is None:
            self._span = SpanScan(self._scanner, snapshot.ranges, _MOST_FOUND)
        return self._span.written()

    def _each_range(self, snapshot: Snapshot) -> list[Range]:
        runs: list[Range] = []
        for start, end in snapshot.ranges:
            runs += self._scanner.written(start, end, _MOST_FOUND)
        if pages(runs) > _MOST_FOUND:
            raise TooManyPagesError
        return runs

    def _write_and_protect(self, twin: int, runs: list[Range]) -> None:
        """Write pages back, and have the next write to them noted: in this order."""
        remote_memory.write(self._pid, runs, remote_memory.read(twin, runs))
        for start, end in runs:
            userfault.protect(self._uffd, start, end)
