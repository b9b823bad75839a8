"""Ctrl-C while a command loads and while it ends, when nothing would tell of it but a trace.

Until there is something that tells it waits (its signal is blocked), which is over in a tenth of a
second. Imports what is in the interpreter alone: `signal` takes longer than all before it.
"""

import _signal  # type: ignore[import-not-found]


def hold() -> None:
    """Have Ctrl-C wait, also over execve(2)."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGINT,))


def let_through() -> None:
    """Have it raise KeyboardInterrupt, also for one that has waited."""
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGINT,))


def end_at_once() -> None:
    """Have it end the process, which has told all it had to tell, where it is not ignored."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
