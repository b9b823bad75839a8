"""Standard input of a process's own: an open file has flags, an owner, a signal and a position.

Whoever has it from a fork shares them with all who have it as well, of whatever function.
"""

from __future__ import annotations

import os


def open_own_input() -> None:
    """Have standard input be the null device, opened for this process. Raises OSError."""
    opened = os.open(os.devnull, os.O_RDWR)
    os.dup2(opened, 0)
    os.close(opened)
