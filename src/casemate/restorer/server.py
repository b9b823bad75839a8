"""The restorer's loop: takes requests for instances, follows what they do, reports.

It parses nothing that a function has written: requests and reports are of a fixed form, memory is
copied as it is.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import signal
import socket
import time

from casemate.child.heartbeat import BEAT_SECONDS, Heart
from casemate.kernel import tracing
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.protocol import (
    DISCARDED,
    HELD,
    HOLD,
    HOLD_DESCRIPTORS,
    MAKE_READY,
    READY,
    REQUEST,
    Report,
)
from casemate.restorer.reasons import DiscardError, Reason
from casemate.restorer.restoring import Held

MOST_HELD = 4096
"""Instances at a time; more are not restored."""
_REQUESTS_PER_TURN = 64
_EVENTS_PER_TURN = 64
_ANYTHING = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT | tracing.WALL
"""Ask who it is to whom something has happened, and leave it to be taken."""
_LATE_MS = 5
"""How often those go on that make flagged calls without end, one call each."""
_SPACE = socket.CMSG_SPACE(4 * (HOLD_DESCRIPTORS + 1))


class _Instance:
    """One that is held, with the descriptors that came with it."""

    def __init__(self, pid: int, filters: int, descriptors: list[int]) -> None:
        """Trace it. Raises DiscardError; the descriptors are closed then."""
        *files, self._uffd, self._tmp = descriptors
        self._files = ProcessFiles(files)
        try:
            self.held = Held(
                pid, files=self._files, uffd=self._uffd, tmp=self._tmp, filters=filters
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._files.close()
        os.close(self._uffd)
        os.close(self._tmp)


class Server:
    """Serves one supervisor."""

    def __init__(self, sock: socket.socket, heart: Heart) -> None:
        """Take over the socket."""
        self._sock = sock
        self._heart = heart
        self._held: dict[int, _Instance] = {}
        self._by_pid: dict[int, int] = {}
        self._late: set[int] = set()
        """Numbers of those that make so many flagged calls that they have to wait between them."""
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def run(self) -> None:
        """Serve until the supervisor is gone."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        beat_at = late_at = 0.0
        while True:
            now = time.monotonic()
            if now >= beat_at:
                self._heart.beat()
                beat_at = now + BEAT_SECONDS
            for descriptor, _ in poll.poll(_LATE_MS if self._late else BEAT_SECONDS * 1000):
                if descriptor == self._wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                elif not self._read():
                    return
            self._sweep()
            if self._late and (now := time.monotonic()) >= late_at:
                late_at = now + _LATE_MS / 1000
                for number in self._late:
                    self._held[number].held.tracee.resume_late()
                self._late.clear()

    def _sweep(self) -> None:
        """Let those go on with whom something has happened, in the order in which it did."""
        for _ in range(_EVENTS_PER_TURN):
            try:
                found = os.waitid(os.P_ALL, 0, _ANYTHING)
            except ChildProcessError:
                return
            if found is None:
                return
            number = self._by_pid.get(found.si_pid)
            if number is None:
                # A twin, or what an instance has started: whose it is, it knows itself.
                for each in list(self._held):
                    self._sweep_one(each)
                return
            self._sweep_one(number)

    def _sweep_one(self, number: int) -> None:
        instance = self._held[number]
        tracee = instance.held.tracee
        tracee.sweep()
        if tracee.late:
            self._late.add(number)
        if not tracee.alive and not tracee.following:
            del self._held[number], self._by_pid[tracee.pid]
            self._late.discard(number)
            instance.close()
            self._report(Report(DISCARDED, number, Reason.GONE, 0, 0))

    def _read(self) -> bool:
        """Take what has come; False once the supervisor is gone."""
        due: list[int] = []
        gone = False
        for _ in range(_REQUESTS_PER_TURN):
            try:
                data, descriptors, flags = self._receive()
            except BlockingIOError:
                break
            except OSError:
                gone = True
                break
            if not data:
                gone = True
                break
            cut = flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
            number = self._take(b"" if cut else data, descriptors)
            if number:
                due.append(number)
        # All of them stop at the same time, instead of one after the other.
        for number in due:
            with contextlib.suppress(DiscardError):
                self._held[number].held.tracee.ask_to_stop()
        for number in due:
            self._make_ready(number)
        return not gone

    def _receive(self) -> tuple[bytes, list[int], int]:
        descriptors = array.array("i")
        data, ancillary, flags, _ = self._sock.recvmsg(
            REQUEST.size + 1, _SPACE, socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
        )
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % 4])
        return data, list(descriptors), flags

    def _take(self, data: bytes, descriptors: list[int]) -> int:
        """Take a request; return the number of one that is to be made ready, 0 for others."""
        if len(data) != REQUEST.size:
            return self._wrong(descriptors)
        kind, number, pid, filters = REQUEST.unpack(data)
        if kind == HOLD and len(descriptors) == HOLD_DESCRIPTORS and number not in self._held:
            self._hold(number, pid, filters, descriptors)
            return 0
        if descriptors or kind != MAKE_READY:
            return self._wrong(descriptors)
        if number in self._held:
            return int(number)
        self._report(Report(DISCARDED, number, Reason.GONE, 0, 0))
        return 0

    @staticmethod
    def _wrong(descriptors: list[int]) -> int:
        for descriptor in descriptors:
            os.close(descriptor)
        raise ValueError("the supervisor asks for something unknown")

    def _hold(self, number: int, pid: int, filters: int, descriptors: list[int]) -> None:
        if len(self._held) >= MOST_HELD:
            for descriptor in descriptors:
                os.close(descriptor)
            self._report(Report(DISCARDED, number, Reason.KERNEL, 0, 0))
            return
        try:
            self._held[number] = _Instance(pid, filters, descriptors)
            self._by_pid[pid] = number
        except DiscardError as error:
            self._report(Report(DISCARDED, number, error.reason, error.detail, 0))
        else:
            self._report(Report(HELD, number, None, 0, 0))

    def _make_ready(self, number: int) -> None:
        held = self._held[number].held
        try:
            held.make_ready()
        except DiscardError as error:
            self._report(Report(DISCARDED, number, error.reason, error.detail, held.pages))
        else:
            self._report(Report(READY, number, None, 0, held.pages))

    def _report(self, report: Report) -> None:
        # The supervisor reads all the time. If it does not, it is ended, and this with it.
        try:
            self._sock.send(report.packed())
        except OSError as error:
            raise EOFError from error
