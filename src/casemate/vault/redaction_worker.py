"""The thread that redacts, so that no text keeps those waiting who ask the vault for keys.

Projects take turns: what one asks for keeps the next waiting for one piece of work at most.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from casemate.model.errors import CasemateError
from casemate.vault.errors import VaultError, VaultUnavailableError
from casemate.vault.redaction import Redactor

MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_PROJECT_BYTES = 24 * 1024 * 1024
"""Of one project: room for one request of the largest size, and some."""
MAX_WAITING_SECONDS = 10.0
"""After that a request is refused, long before the gateway gives the vault up."""
_STACK_BYTES = 1024 * 1024

_log = logging.getLogger("casemate.vault")

Answer = Callable[[tuple[bytes, ...] | CasemateError], None]


class _Work(NamedTuple):
    redactor: Redactor
    texts: Sequence[bytes]
    answer: Answer
    since: float

    @property
    def size(self) -> int:
        return sum(map(len, self.texts))


class RedactionWorker:
    """Redacts in a thread of its own; answers are given in the thread that calls `deliver`."""

    def __init__(self) -> None:
        """Start the thread. It ends with the process."""
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, deque[_Work]] = OrderedDict()
        self._bytes = 0
        self._project_bytes: dict[str, int] = {}
        self._done: deque[tuple[Answer, tuple[bytes, ...] | CasemateError]] = deque()
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        """Return what to wait for: readable means that `deliver` has answers to give."""
        return self._reading

    def submit(
        self, project: str, redactor: Redactor, texts: Sequence[bytes], answer: Answer
    ) -> None:
        """Have texts redacted. Raises VaultUnavailableError if too much waits already."""
        work = _Work(redactor, texts, answer, time.monotonic())
        with self._changed:
            mine = self._project_bytes.get(project, 0)
            if mine and (
                mine + work.size > MAX_PROJECT_BYTES or self._bytes + work.size > MAX_WAITING_BYTES
            ):
                raise VaultUnavailableError(
                    f"{mine} bytes of this project wait to be redacted already.",
                    next_step="Try again in a moment.",
                )
            self._waiting.setdefault(project, deque()).append(work)
            self._bytes += work.size
            self._project_bytes[project] = mine + work.size
            if self._thread is None:
                # Not before: most vaults never need it, and a filter is in force by now.
                threading.stack_size(_STACK_BYTES)
                self._thread = threading.Thread(target=self._run, name="redaction", daemon=True)
                self._thread.start()
            self._changed.notify()

    def deliver(self) -> None:
        """Give the answers that are there."""
        os.read(self._reading, 4096)
        while self._done:
            answer, result = self._done.popleft()
            answer(result)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                project, queue = self._waiting.popitem(last=False)
                work = queue.popleft()
                if queue:
                    self._waiting[project] = queue  # behind the others
            result = _redacted(work)
            with self._changed:
                self._bytes -= work.size
                left = self._project_bytes[project] - work.size
                if left or project in self._waiting:  # what waits may have no bytes at all
                    self._project_bytes[project] = left
                else:
                    del self._project_bytes[project]
            self._done.append((work.answer, result))
            with contextlib.suppress(BlockingIOError):  # full of them: it is readable anyway
                os.write(self._writing, b".")


def _redacted(work: _Work) -> tuple[bytes, ...] | CasemateError:
    if time.monotonic() - work.since > MAX_WAITING_SECONDS:
        return VaultUnavailableError(
            f"The texts waited for {MAX_WAITING_SECONDS:g} s to be redacted.",
            next_step="Try again in a moment.",
        )
    try:
        return tuple(map(work.redactor.redact, work.texts))
    except CasemateError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a fault denies and is told, without its text
        _log.error("a fault of the vault in redaction: %s", type(error).__name__)
        return VaultError(
            f"The vault could not redact because of a fault of its own ({type(error).__name__}).",
            next_step="Report it; nothing is shown that was not redacted.",
        )
