"""The Linux system calls that Python does not offer, by number, through ctypes.

The numbers are those of this machine (`machines.py`); flags and structures are the same on all
that are known there, which a test asks the kernel's headers of each. Every function raises OSError
with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import signal
import struct
from array import array
from collections.abc import Callable

from . import machines

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWCGROUP = 0x80, 0x20000, 0x2000000
CLONE_NEWUTS, CLONE_NEWIPC = 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID = 0x200000, 0x1000000
CLONE_THREAD = 0x10000
SIGCHLD = 17

INSTANCE_NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID
"""The namespaces every instance gets of its own."""
INSTANCE_CLONE_FLAGS = INSTANCE_NAMESPACES | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD
"""The one combination of namespace flags that a function zygote's filter lets through."""

NETLINK_HEADER, NETLINK_ROUTE = struct.Struct("=IHHII"), struct.Struct("=8BI")
"""struct nlmsghdr and struct rtmsg (netlink(7), rtnetlink(7))."""
NLMSG_ERROR, RTM_NEWROUTE, RTM_GETROUTE, RTA_DST = 2, 24, 26, 1

_PR_GET_TID_ADDRESS, _PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 40, 38, 24
_PR_SET_DUMPABLE, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 4, 47, 4
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_TIMERSLACK = 1, 8, 29

_MSG_PEEK = 2
_SECCOMP_SET_MODE_FILTER = 1
_FILTER_TSYNC, _FILTER_NEW_LISTENER, _FILTER_TSYNC_ESRCH = 1, 8, 16
FILTER_FOR_EVERY_THREAD = (_SECCOMP_SET_MODE_FILTER, _FILTER_TSYNC)
"""Operation and flags of seccomp(2) with which `PreparedFilter.install` loads a filter."""

_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_AT_FDCWD = -100
_MOVE_MOUNT_F_EMPTY_PATH = 4
_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 1, 1
_FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 1, 6
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
_MOUNT_ATTR_NOATIME = 0x10

_CAPABILITY_HEADER = struct.pack("=Ii", 0x20080522, 0)
"""Version 3 of the interface, this thread."""
_NO_CAPABILITIES = bytes(24)
_MOST_CAPABILITIES = 64
"""Of that interface; kernels have some forty."""
_SIGNAL_SET_BYTES = 128
"""Of a sigset_t, as the C libraries have it."""
_LANDLOCK_RULE = struct.Struct("=Qi")
_LANDLOCK_PORT_RULE = struct.Struct("=QQ")

# PyDLL keeps the interpreter lock during the call: between clone and PyOS_AfterFork_Child no
# other Python code may run.
_libc = ctypes.PyDLL(None, use_errno=True)
_F_GETFD = 1
_libc.syscall.restype = ctypes.c_long


def netlink_attribute(kind: int, content: bytes) -> bytes:
    """Return a struct rtattr, of content whose size is a multiple of four."""
    return struct.pack("=HH", 4 + len(content), kind) + content


def _syscall(name: str, *arguments: object) -> int:
    """Make a call by its number here; UnknownMachineError, an OSError, where that is not known."""
    result: int = _libc.syscall(machines.current().calls[name], *arguments)
    return result


def call(name: str, *arguments: object) -> int:
    """Make a call by its name, for the modules of this package; the errno is ctypes'.

    Raises UnknownMachineError, an OSError, where its number is not known.
    """
    return _syscall(name, *arguments)


@functools.cache
def prepared(name: str, *types: type) -> Callable[..., int]:
    """Return a call of which the types of the arguments are known; the errno is ctypes'.

    Made again and again it costs a third of `call`. Raises UnknownMachineError, an OSError.
    """
    number = machines.current().calls[name]
    function = _libc["syscall"]  # another object than the attribute, which is everybody's
    function.restype = ctypes.c_long
    function.argtypes = (ctypes.c_long, *types)
    return functools.partial(function, number)


def signal_descriptor(number: int) -> int:
    """Block a signal; return what is readable once it has come (signalfd(2)). Raises OSError."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    mask = ctypes.create_string_buffer((1 << number - 1).to_bytes(8, "little"), _SIGNAL_SET_BYTES)
    return _check(_libc.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC), "signalfd")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _tid_address() -> int:
    """Return where the C library keeps this thread's id, so that a clone can update it.

    The kernel knows it as the clear_child_tid address (`prctl(2)`, PR_GET_TID_ADDRESS).
    """
    address = ctypes.c_void_p()
    _check(_libc.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0), "prctl(TID_ADDRESS)")
    if not address.value:
        raise OSError("the C library has registered no thread-id address")
    return address.value


class Cloner:
    """Forks this single-threaded process with namespace flags, as `os.fork` cannot.

    Does what glibc's fork does for a process without other threads: the child's thread id is
    written where the library caches it, and Python's own fork handlers run on both sides.
    """

    def __init__(self) -> None:
        """Look up what each clone needs, so that a clone itself does nothing but clone."""
        self._number = machines.current().calls["clone"]
        thread_id = ctypes.c_void_p(_tid_address())
        # Where the thread's own storage would go is ignored without CLONE_SETTLS.
        last = machines.current().clone_thread_id_last
        self._after_parent = (None, thread_id) if last else (thread_id, None)
        self._before = ctypes.pythonapi.PyOS_BeforeFork
        self._parent = ctypes.pythonapi.PyOS_AfterFork_Parent
        self._child = ctypes.pythonapi.PyOS_AfterFork_Child
        for call in (self._before, self._parent, self._child):
            call.restype = None
            call.argtypes = ()

    def clone(self, flags: int, first: Callable[[], object] | None = None) -> int:
        """Fork with `flags`; return 0 in the child and the child's pid in the parent.

        `first` is called in the child before all else, even before Python knows of the fork: it
        is to be a call to the kernel and nothing else (`waiting_for`).
        """
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD
        self._before()
        pid: int = _libc.syscall(
            self._number, ctypes.c_ulong(flags), None, None, *self._after_parent
        )
        number = ctypes.get_errno() if pid < 0 else 0
        if pid == 0:
            if first is not None:
                first()
            self._child()
            return 0
        self._parent()
        if pid < 0:
            raise OSError(number, f"clone(flags={flags:#x}): {os.strerror(number)}")
        return pid


def waiting_for(descriptor: int) -> Callable[[], object]:
    """Return what waits until a socket has something to read, or its other end is closed.

    Nothing of this process is written meanwhile, and next to nothing before.
    """
    # The lock of the interpreter is kept: whoever waits is alone.
    receive = ctypes.PyDLL(None).recv
    receive.restype = ctypes.c_ssize_t
    receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return functools.partial(receive, descriptor, ctypes.create_string_buffer(1), 1, _MSG_PEEK)


def poll_at_once(asked: array[int]) -> None:
    """Have poll(2) fill in what is to be told of descriptors at this moment.

    Each is a struct pollfd in one number: from below the descriptor (32 bits), what is waited for
    and what there is (16 bits each). Python's own keeps an object for each. Raises OSError.
    """
    address, count = asked.buffer_info()
    _check(_libc.poll(ctypes.c_void_p(address), ctypes.c_ulong(count), 0), "poll")


def is_open(descriptor: int) -> bool:
    """Tell whether a descriptor is open (F_GETFD); unlike Python's own, no error is made of it."""
    return bool(_libc.fcntl(descriptor, _F_GETFD) != -1)


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    _check(
        _libc.mount(
            source.encode(),
            target.encode(),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data.encode() if data else None,
        ),
        f"mount {source} on {target}",
    )


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(target.encode(), flags), f"umount {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    _check(_syscall("pivot_root", new_root.encode(), put_old.encode()), "pivot_root")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def enter_mounts(process: int) -> None:
    """Enter the mount namespace of the process that a pidfd is of (setns(2), Linux 5.8).

    Root and working directory are those of that namespace from then on.
    """
    _check(_libc.setns(process, CLONE_NEWNS), "setns(CLONE_NEWNS)")


def sethostname(name: str) -> None:
    """sethostname(2)."""
    _check(_libc.sethostname(name.encode(), len(name.encode())), "sethostname")


def clone_tree(path: str) -> int:
    """Return a descriptor of a detached copy of the mount at `path` (open_tree(2), Linux 5.2)."""
    return _check(
        _syscall("open_tree", _AT_FDCWD, path.encode(), _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC),
        f"open_tree {path}",
    )


def new_tmpfs(size: int, inodes: int) -> int:
    """Return a descriptor of a new, detached tmpfs of at most `size` bytes (fsmount(2), 5.2).

    Reading it leaves no trace: with times of access, a listing would be one.
    """
    context = _check(_syscall("fsopen", b"tmpfs", _FSOPEN_CLOEXEC), "fsopen tmpfs")
    try:
        for key, value in (("size", size), ("nr_inodes", inodes), ("mode", "1777")):
            _check(
                _syscall(
                    "fsconfig",
                    context,
                    _FSCONFIG_SET_STRING,
                    key.encode(),
                    str(value).encode(),
                    0,
                ),
                f"fsconfig tmpfs {key}",
            )
        _check(_syscall("fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0), "create tmpfs")
        attributes = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | _MOUNT_ATTR_NOEXEC
        attributes |= _MOUNT_ATTR_NOATIME
        return _check(_syscall("fsmount", context, _FSMOUNT_CLOEXEC, attributes), "fsmount tmpfs")
    finally:
        os.close(context)


def new_overlay(upper: str, lower: str) -> int:
    """Return a descriptor of a new, detached, read-only overlay of two folders (Linux 5.11).

    Its inodes are its own. A character device 0/0 in `upper` hides what has its name in `lower`.
    """
    context = _check(_syscall("fsopen", b"overlay", _FSOPEN_CLOEXEC), "fsopen overlay")
    try:
        lowers = f"{upper}:{lower}".encode()
        set_string = ("fsconfig", context, _FSCONFIG_SET_STRING)
        _check(_syscall(*set_string, b"lowerdir", lowers, 0), "fsconfig overlay lowerdir")
        create = ("fsconfig", context, _FSCONFIG_CMD_CREATE)
        _check(_syscall(*create, None, None, 0), "create overlay")
        attributes = _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV
        return _check(_syscall("fsmount", context, _FSMOUNT_CLOEXEC, attributes), "fsmount overlay")
    finally:
        os.close(context)


def attach_mount(descriptor: int, target: str) -> None:
    """Attach a detached mount at `target` (move_mount(2), Linux 5.2)."""
    _check(
        _syscall(
            "move_mount",
            descriptor,
            b"",
            _AT_FDCWD,
            target.encode(),
            _MOVE_MOUNT_F_EMPTY_PATH,
        ),
        f"move_mount on {target}",
    )


def set_no_new_privileges() -> None:
    """Set no_new_privs (prctl(2)), which a filter without privileges needs."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(NO_NEW_PRIVS)")


def set_not_dumpable() -> None:
    """Forbid core dumps and ptrace by others of the same uid (prctl(2), PR_SET_DUMPABLE)."""
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl(DUMPABLE)")


def keep_capabilities() -> None:
    """Keep the permitted capabilities when the user id changes (prctl(2), PR_SET_KEEPCAPS)."""
    _check(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(KEEPCAPS)")


def keep_only_capability(number: int) -> None:
    """Have one capability, which this process has, permitted and effective, and no other."""
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl(CAP_AMBIENT)")
    low = 1 << number
    sets = struct.pack("=6I", low, low, 0, 0, 0, 0)
    _check(_syscall("capset", _CAPABILITY_HEADER, sets), "capset")


def set_timer_slack(nanoseconds: int) -> None:
    """Have short waits be as short as they are asked for (prctl(2), PR_SET_TIMERSLACK)."""
    _check(_libc.prctl(_PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0), "prctl(TIMERSLACK)")


def die_with_parent() -> None:
    """Have the kernel send SIGKILL when the parent dies (prctl(2), PR_SET_PDEATHSIG)."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "prctl(PDEATHSIG)")


def drop_bounding_capabilities() -> None:
    """Empty the bounding set: what is run from here on cannot gain a capability either.

    Raises OSError where this process may not (CAP_SETPCAP), or something outside refuses it.
    """
    for capability in range(_MOST_CAPABILITIES):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            number = ctypes.get_errno()
            if number == errno.EINVAL and capability:
                return  # the kernel has no more of them
            raise OSError(number, f"prctl(CAPBSET_DROP): {os.strerror(number)}")


def become(identity: int) -> None:
    """Take a user and group id for good. The capabilities that came with the old one are gone."""
    os.setgroups([])
    os.setresgid(identity, identity, identity)
    os.setresuid(identity, identity, identity)
    # The kernel forgets it when an id changes (prctl(2), PR_SET_PDEATHSIG).
    die_with_parent()


def drop_capabilities(*, bounding: bool) -> None:
    """Empty the ambient, inheritable, permitted and effective sets, and the bounding set if asked.

    See capabilities(7). Emptying the bounding set needs CAP_SETPCAP and so comes first.
    """
    if bounding:
        drop_bounding_capabilities()
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl(CAP_AMBIENT)")
    _check(_syscall("capset", _CAPABILITY_HEADER, _NO_CAPABILITIES), "capset")


class PreparedFilter:
    """A seccomp filter laid out in memory, so that loading it is one call and nothing else."""

    def __init__(self, program: bytes) -> None:
        """Lay out `program`, 8-byte BPF instructions."""
        self._buffer = ctypes.create_string_buffer(program, len(program))
        self._fprog = struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(self._buffer))

    def install(self) -> None:
        """Load the filter for every thread (seccomp(2), SECCOMP_FILTER_FLAG_TSYNC)."""
        self._load(_FILTER_TSYNC)

    def install_with_listener(self) -> int:
        """Load it for every thread and return the descriptor that answers its notifications.

        Whoever holds that can let a waiting call through (seccomp_unotify(2)), so it must not be
        open where code of a function runs. Closed on exec. Raises OSError, EBUSY if a filter of
        this process, perhaps one from outside, has a listener already. Needs Linux 5.7.
        """
        return self._load(_FILTER_TSYNC | _FILTER_TSYNC_ESRCH | _FILTER_NEW_LISTENER)

    def _load(self, flags: int) -> int:
        return _check(
            _syscall("seccomp", _SECCOMP_SET_MODE_FILTER, flags, self._fprog),
            "seccomp(SET_MODE_FILTER)",
        )


def install_filter(program: bytes) -> None:
    """Load a seccomp filter made of 8-byte BPF instructions, for every thread."""
    PreparedFilter(program).install()


def landlock_abi() -> int:
    """Return the kernel's Landlock ABI version; 0 if it has none, or none that is known here."""
    try:
        machines.current()
    except machines.UnknownMachineError:
        return 0
    return max(0, int(_syscall("landlock_create_ruleset", None, 0, 1)))


def landlock_create(handled_fs: int, handled_net: int, scoped: int, abi: int) -> int:
    """Return a new Landlock ruleset (landlock_create_ruleset(2))."""
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    attributes = struct.pack("=QQQ", handled_fs, handled_net, scoped)[:size]
    return _check(
        _syscall("landlock_create_ruleset", attributes, size, 0), "landlock_create_ruleset"
    )


def landlock_allow(ruleset: int, descriptor: int, access: int) -> None:
    """Allow `access` below an open folder (landlock_add_rule(2), RULE_PATH_BENEATH)."""
    rule = _LANDLOCK_RULE.pack(access, descriptor)
    _check(_syscall("landlock_add_rule", ruleset, 1, rule, 0), "landlock_add_rule")


def landlock_allow_port(ruleset: int, port: int, access: int) -> None:
    """Allow `access` to a TCP port (landlock_add_rule(2), RULE_NET_PORT, from ABI 4 on)."""
    rule = _LANDLOCK_PORT_RULE.pack(access, port)
    _check(_syscall("landlock_add_rule", ruleset, 2, rule, 0), "landlock_add_rule")


def landlock_restrict(ruleset: int) -> None:
    """Enforce a ruleset on this thread and its children (landlock_restrict_self(2))."""
    _check(_syscall("landlock_restrict_self", ruleset, 0), "landlock_restrict_self")
