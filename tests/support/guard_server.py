"""Processes that run handlers under the guard, kept for the next test: `guard_cases_child.py`.

An interpreter that has imported the guard and what a test's handlers use takes longer to start
than most tests. Nothing of one test is found by the next: each handler is imported in a fork.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_CHILD = Path(__file__).with_name("guard_cases_child.py")
_TEMPORARY = "TMPDIR"
_MOST_KEPT = 3
_READ_BYTES = 65_536
_KEPT_OF_OUTPUT = 32
"""Of so many reads."""

Asked = Sequence[tuple[str, Sequence[object]]]
"""Folders of handlers, by their names below the folder of all, and their events."""
_Key = tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]]


class _Server:
    """One such process."""

    def __init__(self, guard: str, preload: Sequence[str]) -> None:
        self._answers, theirs = os.pipe()
        output, printed = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, str(_CHILD), str(theirs), guard, *preload],
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=printed,
                pass_fds=(theirs,),
            )
        finally:
            os.close(theirs)
            os.close(printed)
        self._printed: deque[bytes] = deque(maxlen=_KEPT_OF_OUTPUT)
        self._reading = threading.Thread(target=self._read_output, args=(output,), daemon=True)
        self._reading.start()

    def _read_output(self, output: int) -> None:
        """Take what it and its handlers print: nobody is to wait for room in the pipe."""
        with contextlib.suppress(OSError):
            while data := os.read(output, _READ_BYTES):
                self._printed.append(data)
        os.close(output)

    def ask(self, request: Mapping[str, object], seconds: float) -> list[dict[str, Any]]:
        """Return its answers to a request, or raise AssertionError."""
        stdin = self._process.stdin
        if stdin is None:
            raise AssertionError("the process has no standard input")
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            self._fail("has ended")
        data, until = b"", time.monotonic() + seconds
        while not data.endswith(b"\n\n") and data != b"\n":
            left = max(0.0, until - time.monotonic())
            if not select.select([self._answers], [], [], left)[0]:
                self._fail(f"took longer than {seconds:.0f} s")
            read = os.read(self._answers, _READ_BYTES)
            if not read:
                self._fail("has ended")
            data += read
        return [json.loads(line) for line in data.splitlines() if line]

    def _fail(self, what: str) -> None:
        self.close()
        self._reading.join(1)
        printed = b"".join(self._printed).decode(errors="replace")
        raise AssertionError(f"the guarded process {what}:\n{printed}")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._answers >= 0:
            os.close(self._answers)
            self._answers = -1


_servers: OrderedDict[_Key, _Server] = OrderedDict()


def answers(
    folder: Path, asked: Asked, preload: Sequence[str], *, guard: str = "on", seconds: float
) -> list[dict[str, Any]]:
    """Return the answer to each event of each handler, or raise AssertionError.

    Modules of `preload` are imported before the guard. Handlers run in `folder`, and in the
    environment that there is now. The folder of temporary files, which tests often have one of
    their own for, is told with the handlers; whatever else differs takes another process.
    """
    environment = tuple(
        sorted((k, v) for k, v in os.environ.items() if k[:7] != "PYTEST_" and k != _TEMPORARY)
    )
    key = guard, tuple(preload), environment
    server = _servers.pop(key, None) or _Server(guard, preload)
    temporary = os.environ.get(_TEMPORARY)
    request = {"folder": str(folder), "asked": asked, "temporary": temporary}
    try:
        found = server.ask(request, seconds)
    except BaseException:
        server.close()
        raise
    _servers[key] = server
    while len(_servers) > _MOST_KEPT:
        _servers.popitem(last=False)[1].close()
    return found


@atexit.register
def _close_all() -> None:
    while _servers:
        _servers.popitem()[1].close()
