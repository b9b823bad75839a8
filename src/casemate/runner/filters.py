"""The filters of a zygote: laid out once for all, but where a baseline asks about system calls."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from ..kernel import linux, seccomp


class ZygoteFilters:
    """With and without a listener, by whether instances may be restored."""

    def __init__(self) -> None:
        """Lay out those of most functions."""
        self._usual = {
            watch: (
                linux.PreparedFilter(seccomp.zygote_program(watch=watch)),
                linux.PreparedFilter(seccomp.zygote_program(notify=False, watch=watch)),
            )
            for watch in (False, True)
        }

    def install(self, *, restorable: bool, asked: Sequence[str] = (), refused: bool = True) -> int:
        """Load one, and return the descriptor by which it tells of the calls that it denies.

        -1 where the kernel gives none, since something outside has it (EBUSY) or it is too old
        (EINVAL). Such calls are then refused at once, and nobody hears of them. Those of `asked`
        are then refused if they are `refused` anyway, and made without a word if not.
        """
        if asked and restorable and not refused:
            # A call that is let through is not flagged (`kernel/flagging.py`): the answer of a
            # listener comes first, and what the call leaves behind would stay unseen.
            raise ValueError("what may be restored makes no call by the word of a listener")
        loud, silent = self._usual[restorable]
        if asked:
            loud = linux.PreparedFilter(seccomp.zygote_program(watch=restorable, asked=asked))
            if refused:
                program = seccomp.zygote_program(notify=False, watch=restorable, asked=asked)
                silent = linux.PreparedFilter(program)
        try:
            return loud.install_with_listener()
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.EINVAL):
                raise
        silent.install()
        return -1
