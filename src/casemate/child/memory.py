"""Who goes first when memory runs out: what functions run in, never what holds a node together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_SCORE = Path("/proc/self/oom_score_adj")
_PROTECTED = -900
_VICTIM = 500
"""Of base zygotes and zygotes; instances that run have 1000 (proc_pid_oom_score_adj(5))."""


def protect() -> bool:
    """Have the kernel spare this process, and all it starts from now on, as long as it can.

    Returns whether it was allowed; it needs CAP_SYS_RESOURCE.
    """
    try:
        _SCORE.write_text(str(_PROTECTED))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def as_victim() -> Iterator[None]:
    """Have what is started in the block be killed before this process. For one thread only.

    Before it is started: a process that is set apart later has children of its own by then.
    """
    try:
        before = _SCORE.read_text()
        _SCORE.write_text(str(max(_VICTIM, int(before))))
    except (OSError, ValueError):
        yield  # a host that hides it; its functions are bounded by their groups all the same
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _SCORE.write_text(before)
