"""Test files that several pytest processes take from lists, each the next that nobody has.

Such a process reads only the files that it runs. pytest-xdist has every process read all of them,
and report each test to one that prints: with 30,000 tests that was a tenth of the whole run.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest


class FileQueue:
    """Runs the files that lists name, one to a line, which are taken out of them as they begin.

    It goes on with the next list where one is empty, without what fixtures of the session had made.
    A file that is done is told to the file descriptor `progress` in one line: its tests, how long
    it took, and the processor time of this process and of those below it that have ended. From
    `until` on, in seconds since the epoch, none of the last list is begun: what is left stays.
    """

    def __init__(
        self, lists: Sequence[Path], progress: int | None, until: float | None = None
    ) -> None:
        self._lists = lists
        self._names = lists[0]
        self._until = until
        self._progress = progress
        self._files: dict[Path, pytest.Item | pytest.Collector] | None = None
        if progress is not None:
            os.set_inheritable(progress, False)

    def pytest_sessionstart(self) -> None:
        """Heed the signals of a terminal: a shell has what it starts beside itself ignore them."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)

    def _left(self, *, take: int = 0) -> list[str]:
        """Return the names that are there still, and take some of them out."""
        with self._names.open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            names = stream.readlines()
            if take:
                stream.seek(0)
                stream.writelines(names[take:])
                stream.truncate()
        return [name.rstrip("\n") for name in names]

    def pytest_collection(self) -> bool:
        """Collect nothing ahead."""
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item | pytest.Collector]) -> None:
        """Keep the files to oneself: whether one fits is not known before it is read."""
        if self._files is None:
            self._files = {one.path: one for one in items}
            items.clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the files. A file that cannot be read has failed, and the others are run."""
        collected = 0
        for self._names in self._lists:
            collected = self._run_list(session, collected)
            session._setupstate.teardown_exact(None)
        return True

    def _run_list(self, session: pytest.Session, collected: int) -> int:
        """Run the files of a list; return how many tests there were until now."""
        self._files = None
        # Their folders are nodes that fixtures of a conftest.py belong to: made once, for all.
        names = self._left() if self._has_time() else []
        if names:
            session.perform_collect(names, genitems=False)
        files = self._files or {}
        while self._has_time() and (left := self._left(take=1)):
            name = left[0]
            began, used, failed = time.monotonic(), _processor_seconds(), session.testsfailed
            session.items = list(session.genitems(files.pop(session.config.rootpath / name)))
            hooks = session.config.hook
            hooks.pytest_collection_modifyitems(
                session=session, config=session.config, items=session.items
            )
            hooks.pytest_collection_finish(session=session)
            collected += len(session.items)
            session.testscollected = collected
            self._run(session, session.items)
            self._tell(
                f"{time.monotonic() - began:7.1f} s {_processor_seconds() - used:6.1f} CPU"
                f" {len(session.items):5d} tests, {session.testsfailed - failed} failed: {name}\n"
            )
        return collected

    def _has_time(self) -> bool:
        late = self._until is not None and self._names == self._lists[-1]
        return not late or time.time() < self._until

    def _run(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        # What the next file may use as well stays: the fixtures of the session.
        following: list[pytest.Item | pytest.Session] = [*items, session]
        for item, after in zip(items, following[1:], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)

    def _tell(self, line: str) -> None:
        if self._progress is not None:
            os.write(self._progress, line.encode())


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
