"""A process that works, tells of it line by line, and is killed at some moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import time


def told_until_killed(
    code: str, *arguments: str, begins: bytes, lines: int, delay: float = 0.0
) -> list[list[str]]:
    """Let Python `code` work, kill it `delay` seconds after so many lines; return its lines.

    The line that it `begins` with is none of them.
    """
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        bufsize=0,  # `communicate` would not see what `readline` has read ahead
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == begins
        first = [child.stdout.readline() for _ in range(lines)]
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)
        output, _ = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
    return [line.split() for line in (b"".join(first) + output).decode().splitlines() if line]
