"""Runs first inside the build sandbox: bounds the process, gives up every right, then executes.

Standard library only; started by the target interpreter, never imported by the rest of the build.
Arguments: user id (`-` to stay), CPU seconds, file size limit in bytes, folder, command.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

REFUSED = 97
"""Exit status if rights could not be given up, or the command not be started without them."""
_PROCESSES = 4096
"""And threads, of all steps that run as one user: uv has some for each core."""
_CAPABILITY_VERSION_3 = 0x20080522
"""Header of capset(2) for 64-bit capability sets."""


def _drop(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid) or os.getgroups():
        raise PermissionError("the user id did not change")
    # The change of id cleared the effective and permitted sets; this clears the inheritable one.
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise PermissionError("the capabilities could not be cleared")
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise PermissionError("root could be regained")


def main(arguments: list[str]) -> None:
    """Bound this process, drop to the user id, and become the command."""
    user, cpu, file_size, folder, *command = arguments
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), int(cpu)))
        resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_size), int(file_size)))
        os.umask(0o022)
        if user != "-":
            _drop(int(user))
        elif os.geteuid() == 0:
            raise PermissionError("still root")
        os.chdir(folder)
        os.execv(command[0], command)  # noqa: S606
    except (OSError, ValueError) as error:
        sys.stderr.write(f"casemate-enter: {command[0]}: {error}\n")
        sys.exit(REFUSED)


if __name__ == "__main__":
    main(sys.argv[1:])
