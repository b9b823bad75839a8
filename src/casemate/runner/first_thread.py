"""Has the C library start a thread before anything is forked, so that it is set up for more.

With its first one it sets a handler for a signal, and waits for messages from another place from
then on. An instance that is restored would have to be rid of the one and would not be known by the
other (`restorer/home.py`); what is forked from here has both already.
"""

from __future__ import annotations

import ctypes
import time

from ..kernel import linux

_ATTRIBUTES_BYTES = 64
"""At least a pthread_attr_t."""
_STACK_BYTES = 256 << 10
"""The C library keeps it for another one: less than Python asks for, so that none is given that."""
_SECONDS = 5.0


def start_first_thread() -> None:
    """Start a thread that ends at once, and wait until it has. Raises OSError, TimeoutError."""
    libc = ctypes.CDLL(None)
    thread = ctypes.c_ulong()
    attributes = ctypes.create_string_buffer(_ATTRIBUTES_BYTES)
    # Not of Python: there is nothing yet that would have to know of it.
    routine = ctypes.cast(libc.getpid, ctypes.c_void_p)
    for number in (
        libc.pthread_attr_init(attributes),
        libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(_STACK_BYTES)),
        libc.pthread_create(ctypes.byref(thread), attributes, routine, None),
        libc.pthread_join(thread, None),
    ):
        if number:
            raise OSError(number, "the C library cannot start a thread")
    _wait_until_alone()


def _wait_until_alone() -> None:
    """Wait until the kernel has no other thread of this process: it is joined a little before."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            linux.unshare(linux.CLONE_THREAD)
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError("a thread that was joined does not end") from None
            time.sleep(0.0001)
        else:
            return
