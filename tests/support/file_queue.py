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
        self._until = until
        self._progress = progress
        self._files: dict[Path, pytest.Item | pytest.Collector] | None = None
        if progress is not None:
            os.set_inheritable(progress, False)

    def pytest_sessionstart(self) -> None:
        """Heed the signals of a terminal: a shell has what it starts beside itself ignore them."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)

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
        # Their folders are nodes that fixtures of a conftest.py belong to: made once, for all.
        names = [name for names in self._lists if self._has_time(names) for name in _left(names)]
        if names:
            session.perform_collect(names, genitems=False)
        session.testscollected = 0
        for each in self._lists:
            self._run_list(session, each)
            session._setupstate.teardown_exact(None)
        return True

    def _run_list(self, session: pytest.Session, names: Path) -> None:
        """Run the files of a list: those that nobody else takes."""
        files = self._files or {}
        while self._has_time(names) and (left := _left(names, take=1)):
            name = left[0]
            began, used, failed = time.monotonic(), _processor_seconds(), session.testsfailed
            session.items = list(session.genitems(files.pop(session.config.rootpath / name)))
            hooks = session.config.hook
            hooks.pytest_collection_modifyitems(
                session=session, config=session.config, items=session.items
            )
            hooks.pytest_collection_finish(session=session)
            session.testscollected += len(session.items)
            self._run(session, session.items)
            self._tell(
                f"{time.monotonic() - began:7.1f} s {_processor_seconds() - used:6.1f} CPU"
                f" {len(session.items):5d} tests, {session.testsfailed - failed} failed: {name}\n"
            )

    def _has_time(self, names: Path) -> bool:
        late = names == self._lists[-1] and self._until is not None
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


def _left(names: Path, *, take: int = 0) -> list[str]:
    """Return the names that are in a list still, and take some of them out."""
    with names.open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        lines = stream.readlines()
        if take:
            stream.seek(0)
            stream.writelines(lines[take:])
            stream.truncate()
    return [line.rstrip("\n") for line in lines]
