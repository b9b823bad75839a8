"""Ctrl-C while a command loads and while it ends, when nothing would tell of it but a trace.

Until there is something that tells it waits (its signal is blocked), which is over in a tenth of a
second. Imports next to nothing: it is there before all else.
"""

from __future__ import annotations

import signal


def hold() -> None:
    """Have Ctrl-C wait, also over execve(2)."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))


def let_through() -> None:
    """Have it raise KeyboardInterrupt, also for one that has waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def end_at_once() -> None:
    """Have it end the process, which has told all it had to tell, where it is not ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
