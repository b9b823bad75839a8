"""What a filter with a listener tells of the calls that wait for an answer (seccomp_unotify(2))."""

from __future__ import annotations

import fcntl
import struct
from typing import NamedTuple

from . import linux
from .machines import Machine
from .system_calls import NOTABLE, name_of

_RECV, _SEND, _ID_VALID = 0xC0502100, 0xC0182101, 0x40082102
"""SECCOMP_IOCTL_NOTIF_RECV, _SEND and _ID_VALID, the sizes of their structures included."""
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
"""struct seccomp_notif: id, pid, flags, then struct seccomp_data: number, architecture,
instruction pointer, arguments."""
_RESPONSE = struct.Struct("=QqiI")
"""struct seccomp_notif_resp: id, value, error, flags."""
_CONTINUE = 1
"""SECCOMP_USER_NOTIF_FLAG_CONTINUE: the call is made as if no filter had asked."""
_NOTABLE = frozenset(NOTABLE)
_ID = struct.Struct("=Q")
_MOST_ERRNO = 4095
"""The kernel's MAX_ERRNO: a larger number is a result, not an error."""

_DOMAINS = {1: "AF_UNIX", 15: "AF_KEY", 16: "AF_NETLINK", 17: "AF_PACKET", 38: "AF_ALG"}
_DOMAINS |= {29: "AF_CAN", 30: "AF_TIPC", 31: "AF_BLUETOOTH", 40: "AF_VSOCK", 44: "AF_XDP"}
_NAMESPACES = {
    linux.CLONE_NEWTIME: "CLONE_NEWTIME",
    linux.CLONE_NEWNS: "CLONE_NEWNS",
    linux.CLONE_NEWCGROUP: "CLONE_NEWCGROUP",
    linux.CLONE_NEWUTS: "CLONE_NEWUTS",
    linux.CLONE_NEWIPC: "CLONE_NEWIPC",
    linux.CLONE_NEWUSER: "CLONE_NEWUSER",
    linux.CLONE_NEWPID: "CLONE_NEWPID",
    linux.CLONE_NEWNET: "CLONE_NEWNET",
}
_REFUSED_FORMS = {
    "prctl": "PR_SET_SECCOMP",
    "sendto": "MSG_FASTOPEN",
    "sendmsg": "MSG_FASTOPEN",
}
"""Of calls that have but one form that is refused and told."""
_IOCTLS = {0x5412: "TIOCSTI", 0x541C: "TIOCLINUX"}


class Notification(NamedTuple):
    """A call that waits."""

    identity: int
    """Of this notification, for its answer."""
    pid: int
    """Thread that made the call, in the reader's pid namespace; 0 if it is in none below."""
    number: int
    arguments: tuple[int, ...]
    """As they are in the registers. What an address points to may change at any time."""


def take(descriptor: int) -> Notification | None:
    """Take the next call that waits; None if its caller was killed meanwhile. Raises OSError."""
    request = bytearray(_NOTIFICATION.size)  # the kernel insists on zeros
    try:
        fcntl.ioctl(descriptor, _RECV, request)
    except (FileNotFoundError, InterruptedError):
        return None
    identity, pid, _flags, number, _arch, _place, *arguments = _NOTIFICATION.unpack(request)
    return Notification(identity, pid, number, tuple(arguments))


def refusal_of(notification: Notification, errno: int) -> bytes:
    """Return the answer that a call fails with `errno`. Raises ValueError for what is none.

    0 would tell the caller that its call worked.
    """
    if not 0 < errno <= _MOST_ERRNO:
        raise ValueError(f"{errno!r} is not an errno")
    return _RESPONSE.pack(notification.identity, 0, -errno, 0)


def passing_of(notification: Notification, machine: Machine | None = None) -> bytes:
    """Return the answer that a call is made. ValueError but for those that need no permission.

    Those are allowed whatever their arguments, so what these point to does not matter, and the
    number is in a register of the thread that waits, which nobody else can change. The one form of
    sendmmsg(2) that is not is refused without waiting.
    """
    if name_of(notification.number, machine) not in _NOTABLE:
        raise ValueError(f"system call {notification.number} is not to be let through")
    return _RESPONSE.pack(notification.identity, 0, 0, _CONTINUE)


def send(descriptor: int, answer: bytes) -> None:
    """Give an answer. A caller that was killed, or interrupted and asks again, needs none."""
    try:
        fcntl.ioctl(descriptor, _SEND, answer)
    except FileNotFoundError:
        return


def still_waits(descriptor: int, notification: Notification) -> bool:
    """Tell whether a caller waits. If not, another process may have its pid. Raises OSError."""
    try:
        fcntl.ioctl(descriptor, _ID_VALID, _ID.pack(notification.identity))
    except FileNotFoundError:
        return False
    return True


def describe(number: int, arguments: tuple[int, ...], machine: Machine | None = None) -> str:
    """Return the name of a call, with what it asked for where its first arguments say it.

    Addresses are never followed, so no content of a function's memory is in it. There are only
    so many names, so that nobody fills the records by making up arguments.
    """
    name = name_of(number, machine)
    if name in ("clone", "unshare"):
        asked = "|".join(text for flag, text in _NAMESPACES.items() if arguments[0] & flag)
        return f"{name}({asked or 'no namespace'})"
    if name == "socket":
        if arguments[0] & 0xFFFFFFFF in (2, 10):
            return "socket(another protocol)"
        return f"socket({_DOMAINS.get(arguments[0] & 0xFFFFFFFF, 'another domain')})"
    if name in _REFUSED_FORMS:
        return f"{name}({_REFUSED_FORMS[name]})"
    if name == "ioctl":
        asks = "of a process descriptor" if arguments[1] & 0xFF00 == 0xFF00 else "another request"
        return f"ioctl({_IOCTLS.get(arguments[1] & 0xFFFFFFFF, asks)})"
    return name
