"""Whether something keeps the host's clock right, as the kernel knows it."""

from __future__ import annotations

import ctypes
import os

_TIME_ERROR = 5
_TIMEX_BYTES = 512
"""More than a `struct timex` has (208); with no mode in it nothing is changed."""


def is_synchronised() -> bool:
    """Tell whether the clock is kept right (adjtimex(2), which is only asked). Raises OSError."""
    ask = ctypes.CDLL(None, use_errno=True).adjtimex
    state = ask(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return bool(state != _TIME_ERROR)
