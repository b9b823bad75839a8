"""Writing a secret's value into a pipe without ever waiting for its reader."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable

from casemate.vault.errors import VaultError, VaultInputError

DELIVERY_SECONDS = 5.0


def check_pipe(descriptor: int) -> None:
    """Refuse what is not the writing end of a pipe. Raises VaultInputError."""
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        is_pipe, mode = False, os.O_RDONLY
    if not is_pipe or mode != os.O_WRONLY:
        raise VaultInputError(
            "A secret is delivered into the writing end of a pipe, and this descriptor is none.",
            next_step="Pass the second descriptor of os.pipe().",
        )


class Delivery:
    """One value on its way. The descriptor is closed whichever way it ends."""

    def __init__(self, descriptor: int, value: bytes, answer: Callable[[VaultError | None], None]):
        """Deliver `value` and then call `answer` once, with what went wrong or None."""
        self.descriptor = descriptor
        self._rest = memoryview(value)
        self._answer = answer
        os.set_blocking(descriptor, False)
        if fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) < len(value):
            # If that is refused the reader has to take it in parts.
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, len(value))

    def advance(self) -> bool:
        """Write what fits; return True if this delivery has ended."""
        try:
            while self._rest:
                self._rest = self._rest[os.write(self.descriptor, self._rest) :]
        except BlockingIOError:
            return False
        except OSError as error:
            return self._end(f"The pipe for the secret does not take it: {error.strerror}.")
        return self._end(None)

    def expire(self) -> None:
        """Give up: nobody reads."""
        self._end(f"Nobody read the secret for {DELIVERY_SECONDS:g} s.")

    def abandon(self) -> None:
        """Close the descriptor without an answer: whoever asked is gone."""
        self._rest = memoryview(b"")
        os.close(self.descriptor)

    def _end(self, problem: str | None) -> bool:
        self.abandon()
        step = "Read the other end of the pipe while the secret is delivered."
        self._answer(VaultError(problem, next_step=step) if problem else None)
        return True
