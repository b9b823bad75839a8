"""System-call filters (seccomp(2), BPF), assembled from tables.

The zygote's is an allow-list, loaded once and inherited; the instance's takes away what only the
zygote needed. The gateway's is a deny-list against making or entering sandboxes; the vault and
the egress proxy have allow-lists. x86_64 only: on any other architecture, and for x32 calls, the
process is killed.
"""

from __future__ import annotations

import struct

from .linux import CLONE_THREAD, FILTER_FOR_EVERY_THREAD, INSTANCE_CLONE_FLAGS
from .system_calls import ALLOWED, CONDITIONAL, FORBIDDEN, PROBED

NAMESPACE_FLAGS = 0x7E020080
"""Every CLONE_NEW* flag of clone(2): time, mount, cgroup, uts, ipc, user, pid, network."""
_EPERM, _EACCES, _EINVAL, _ENOSYS, _EAFNOSUPPORT = 1, 13, 22, 38, 97

_CLONE, _CLONE3, _UNSHARE = CONDITIONAL["clone"], CONDITIONAL["clone3"], CONDITIONAL["unshare"]
_EXECVE, _EXECVEAT = CONDITIONAL["execve"], CONDITIONAL["execveat"]
_SOCKET, _SOCKETPAIR, _BIND = CONDITIONAL["socket"], CONDITIONAL["socketpair"], CONDITIONAL["bind"]
_MOVE_MOUNT, _IOCTL = CONDITIONAL["move_mount"], CONDITIONAL["ioctl"]
_SECCOMP, _PRCTL = CONDITIONAL["seccomp"], CONDITIONAL["prctl"]
_MADVISE = CONDITIONAL["madvise"]

_LD, _JEQ, _JGE, _JGT, _JSET, _RET, _JA = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06, 0x05
_NR, _ARCH, _ARG0, _ARG1, _ARG2 = 0, 4, 16, 24, 32
_ALLOW, _ERRNO, _NOTIFY, _KILL = 0x7FFF0000, 0x00050000, 0x7FC00000, 0x80000000
_AUDIT_ARCH_X86_64, _X32_BIT = 0xC000003E, 0x40000000
_SOCKET_DOMAINS = (2, 10)
"""AF_INET and AF_INET6, in a network namespace that has nothing; pairs of AF_UNIX need no call
of socket(2)."""
_TERMINAL_INJECTION = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX."""
_NOTIFY_ADD_DESCRIPTOR = 0x40182103
"""SECCOMP_IOCTL_NOTIF_ADDFD: puts a descriptor into a process that waits for an answer."""
_UNIX = 1
"""AF_UNIX. The C library's services of names (nscd, systemd's) are looked for by a stream of it."""
_INTERNET6_ADDRESS_BYTES = 28
"""A struct sockaddr_in6: urllib3 binds one when imported, to learn whether there is IPv6."""
_DATAGRAM = 2
"""A bit of SOCK_DGRAM and SOCK_RAW, not of SOCK_STREAM and SOCK_SEQPACKET."""
_NOT_STREAM = 0xE
"""Bits that every type of socket has one of, but for SOCK_STREAM."""
_STREAM_PROTOCOLS = (0, 6)
"""The default and IPPROTO_TCP: Landlock's rule on ports is about these alone, not about MPTCP,
SCTP or SMC."""
_MERGEABLE = 12
"""MADV_MERGEABLE: equal pages of all who ask for it become one, which can be timed."""

_SET_SECCOMP = 22
"""PR_SET_SECCOMP: the older way to load a filter."""

Instruction = tuple[int, int, int, int]


def _encode(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _prologue() -> list[Instruction]:
    return [
        (_LD, 0, 0, _ARCH),
        (_JEQ, 1, 0, _AUDIT_ARCH_X86_64),
        (_RET, 0, 0, _KILL),
        (_LD, 0, 0, _NR),
        (_JGE, 0, 1, _X32_BIT),
        (_RET, 0, 0, _KILL),
    ]


def _when(number: int, then: list[Instruction]) -> list[Instruction]:
    """Run `then`, which must return, if the call is `number`. Expects the number loaded."""
    return [(_JEQ, 0, len(then), number), *then]


def _search(actions: list[tuple[int, Instruction]]) -> list[Instruction]:
    """Return a binary search over `actions`: each holds from its number up to the next one's."""
    if len(actions) == 1:
        return [actions[0][1]]
    middle = len(actions) // 2
    low, high = _search(actions[:middle]), _search(actions[middle:])
    start = actions[middle][0]
    # A comparison jumps at most 255 instructions, JA any number.
    if len(high) <= 255:
        return [(_JGE, 0, len(high), start), *high, *low]
    return [(_JGE, 1, 0, start), (_JA, 0, 0, len(high)), *high, *low]


def _by_number(default: Instruction, actions: dict[int, Instruction]) -> list[Instruction]:
    """Return the program that answers each call number with its action, others with `default`."""
    points: list[tuple[int, Instruction]] = []
    for number in range(max(actions) + 2):
        action = actions.get(number, default)
        if not points or points[-1][1] != action:
            points.append((number, action))
    return _search(points)


def _allow() -> Instruction:
    return (_RET, 0, 0, _ALLOW)


def _notify() -> Instruction:
    return (_RET, 0, 0, _NOTIFY)


def _refuse(errno: int) -> Instruction:
    return (_RET, 0, 0, _ERRNO | errno)


def refusal(number: int) -> int:
    """Return the errno that is the answer to a refused call, reported or not."""
    if number in (_EXECVE, _EXECVEAT):
        return _EACCES
    return _EAFNOSUPPORT if number == _SOCKET else _EPERM


def _instance_clone_rule(refused: Instruction) -> list[Instruction]:
    """Allow threads, plain forks and the one combination that makes an instance."""
    return [
        (_LD, 0, 0, _ARG0),
        (_JEQ, 2, 0, INSTANCE_CLONE_FLAGS),
        (_JSET, 0, 1, NAMESPACE_FLAGS),
        refused,
        _allow(),
    ]


def _plain_fork_rule() -> list[Instruction]:
    """Allow threads and forks, no new namespace."""
    return [(_LD, 0, 0, _ARG0), (_JSET, 0, 1, NAMESPACE_FLAGS), _refuse(_EPERM), _allow()]


def _unshare_rule(refused: Instruction) -> list[Instruction]:
    """Allow the one form that changes nothing."""
    return [(_LD, 0, 0, _ARG0), (_JEQ, 0, 1, CLONE_THREAD), _allow(), refused]


def _socket_rule(domains: tuple[int, ...], refused: Instruction) -> list[Instruction]:
    """Allow some domains; refuse streams of Unix without a record: honest code asks for names."""
    rule: list[Instruction] = [(_LD, 0, 0, _ARG0)]
    for domain in domains:
        rule += [(_JEQ, 0, 1, domain), _allow()]
    return [
        *rule,
        (_JEQ, 0, 3, _UNIX),
        (_LD, 0, 0, _ARG1),
        (_JSET, 1, 0, _NOT_STREAM),
        _refuse(_EAFNOSUPPORT),
        refused,
    ]


def _function_socket_rule(refused: Instruction) -> list[Instruction]:
    """Allow TCP alone: what has no connection reaches other instances of the function.

    Other types are refused without a record: the C library asks for datagrams with every name.
    """
    allowed: list[Instruction] = []
    for protocol in _STREAM_PROTOCOLS:
        allowed += [(_JEQ, 0, 1, protocol), _allow()]
    stream = [(_LD, 0, 0, _ARG2), *allowed, refused]
    internet = [
        (_LD, 0, 0, _ARG1),
        (_JSET, 0, 1, _NOT_STREAM),
        _refuse(_EACCES),
        *stream,
    ]
    inet, inet6 = _SOCKET_DOMAINS
    domains: list[Instruction] = [
        (_LD, 0, 0, _ARG0),
        (_JEQ, 1, 0, inet),
        (_JEQ, 0, len(internet), inet6),
    ]
    return [*domains, *internet, *_socket_rule((), refused)]


def _pair_rule() -> list[Instruction]:
    """Refuse datagrams: one of a pair sends to any address, and the kernel can give it one."""
    return [(_LD, 0, 0, _ARG1), (_JSET, 0, 1, _DATAGRAM), _refuse(_EPERM), _allow()]


def _bind_rule(refused: Instruction) -> list[Instruction]:
    """Refuse any address, one of IPv6 without a record."""
    return [
        (_LD, 0, 0, _ARG2),
        (_JEQ, 0, 1, _INTERNET6_ADDRESS_BYTES),
        _refuse(_EPERM),
        refused,
    ]


def _ioctl_rule(requests: tuple[int, ...], refused: Instruction) -> list[Instruction]:
    rule: list[Instruction] = [(_LD, 0, 0, _ARG1)]
    for request in requests:
        rule += [(_JEQ, 0, 1, request), refused]
    return [*rule, _allow()]


def _seccomp_rule(then: Instruction, otherwise: Instruction) -> list[Instruction]:
    """Do `then` with the one form in which an instance's filter is loaded, else `otherwise`.

    In any other a process could get a listener of its own once the host's is gone, and answer
    for its children that their calls are to go on.
    """
    operation, flags = FILTER_FOR_EVERY_THREAD
    return [
        (_LD, 0, 0, _ARG0),
        (_JEQ, 0, 3, operation),
        (_LD, 0, 0, _ARG1),
        (_JEQ, 0, 1, flags),
        then,
        otherwise,
    ]


def _prctl_rule(refused: Instruction) -> list[Instruction]:
    """Allow all but the older way to load a filter."""
    return [(_LD, 0, 0, _ARG0), (_JEQ, 0, 1, _SET_SECCOMP), refused, _allow()]


def zygote_program(*, notify: bool = True) -> bytes:
    """Return the filter of a function zygote, which its instances inherit.

    It lets through `clone` with exactly the flags of an instance and `move_mount`; both are
    closed by `instance_program`, and so is `seccomp`, which loads that one and none with a
    listener. `unshare` is let through with CLONE_THREAD only, which changes
    nothing and fails in a process with threads: that is how the zygote finds them.

    With `notify` the calls that nothing honest makes wait for an answer from the listener, which
    `PreparedFilter.install_with_listener` returns and which must answer `refusal`; so they can be
    recorded; without a listener they get ENOSYS. Without `notify`, for a host where something
    outside has a listener already (EBUSY), all get their errno at once, as in any case those get
    that libraries only try out.
    """

    def refused(number: int) -> Instruction:
        return _notify() if notify else _refuse(refusal(number))

    program = _prologue()
    program += _when(_CLONE, _instance_clone_rule(refused(_CLONE)))
    program += _when(_SOCKET, _function_socket_rule(refused(_SOCKET)))
    program += _when(_SOCKETPAIR, _pair_rule())
    merge = [(_LD, 0, 0, _ARG2), (_JEQ, 0, 1, _MERGEABLE), _refuse(_EINVAL), _allow()]
    program += _when(_MADVISE, merge)
    program += _when(_IOCTL, _ioctl_rule(_TERMINAL_INJECTION, refused(_IOCTL)))
    program += _when(_BIND, _bind_rule(refused(_BIND)))
    program += _when(_UNSHARE, _unshare_rule(refused(_UNSHARE)))
    program += _when(_SECCOMP, _seccomp_rule(_allow(), refused(_SECCOMP)))
    program += _when(_PRCTL, _prctl_rule(refused(_PRCTL)))
    actions = {
        number: _refuse(_EPERM) if name in PROBED else refused(number)
        for name, number in FORBIDDEN.items()
    }
    actions |= dict.fromkeys((*ALLOWED.values(), _MOVE_MOUNT), _allow())
    actions |= {number: refused(number) for number in (_EXECVE, _EXECVEAT)}
    # Everything else, clone3 too: ENOSYS makes the C library fall back to clone(2), whose flags
    # a filter can see. It tries new calls all the time, so none of these is reported.
    return _encode(program + _by_number(_refuse(_ENOSYS), actions))


def instance_program() -> bytes:
    """Return the filter that closes, in an instance, the calls its zygote still needed.

    They end the instance: nothing honest makes them in these very forms, and an errno would hide
    them, since only the zygote's filter has a listener and an errno takes precedence over it.
    """
    kill: Instruction = (_RET, 0, 0, _KILL)
    program = _prologue()
    program += _when(_MOVE_MOUNT, [kill])
    for number, flags in ((_UNSHARE, CLONE_THREAD), (_CLONE, INSTANCE_CLONE_FLAGS)):
        program += _when(number, [(_LD, 0, 0, _ARG0), (_JEQ, 0, 1, flags), kill, _allow()])
    program += _when(_SECCOMP, _seccomp_rule(kill, _allow()))
    return _encode([*program, _allow()])


_SANDBOX_MAKING = [
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "setns",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "add_key",
    "request_key",
    "keyctl",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "open_by_handle_at",
    "pidfd_getfd",
    "kcmp",
    "process_madvise",
    "io_uring_setup",
    "reboot",
    "swapon",
    "swapoff",
]


def gateway_program() -> bytes:
    """Return the filter the gateway puts on itself: it can neither make nor enter a sandbox."""
    program = _prologue()
    program += _when(_CLONE3, [_refuse(_ENOSYS)])
    program += _when(_CLONE, _plain_fork_rule())
    program += _when(_IOCTL, _ioctl_rule((_NOTIFY_ADD_DESCRIPTOR,), _refuse(_EPERM)))
    for number in (_UNSHARE, _MOVE_MOUNT, _EXECVE, _EXECVEAT, _SECCOMP):
        program += _when(number, [_refuse(_EPERM)])
    program += _when(_PRCTL, _prctl_rule(_refuse(_EPERM)))
    actions = {FORBIDDEN[name]: _refuse(_EPERM) for name in _SANDBOX_MAKING}
    return _encode(program + _by_number(_allow(), actions))


def _confined_program(
    *,
    domains: tuple[int, ...],
    without: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    datagrams: bool,
) -> bytes:
    """Return an allow-list for a process of the node that starts no program and no sandbox.

    `domains` are those that socket(2) may be asked for.
    """
    program = _prologue()
    program += _when(_CLONE, _plain_fork_rule())
    program += _when(_SOCKET, _socket_rule(domains, _refuse(_EAFNOSUPPORT)))
    program += _when(_IOCTL, _ioctl_rule(_TERMINAL_INJECTION, _refuse(_EPERM)))
    program += _when(_PRCTL, _prctl_rule(_refuse(_EPERM)))
    if not datagrams:
        program += _when(_SOCKETPAIR, _pair_rule())
    actions = {number: _refuse(_EPERM) for number in FORBIDDEN.values()}
    for number in (_UNSHARE, _MOVE_MOUNT, _EXECVE, _EXECVEAT, _BIND, _SECCOMP):
        actions[number] = _refuse(_EPERM)
    actions |= dict.fromkeys(ALLOWED.values(), _allow())
    actions |= {ALLOWED[name]: _refuse(_EPERM) for name in without}
    actions |= {FORBIDDEN[name]: _allow() for name in also}
    return _encode(program + _by_number(_refuse(_ENOSYS), actions))


def offline_program() -> bytes:
    """Return the filter of a process without any network, such as the vault.

    It keeps the sockets it has (read, write, sendmsg, recvmsg) and may make connected pairs, but
    none of datagrams, which could be sent to any address. It makes or accepts no other socket,
    connects none, starts no program and no sandbox.
    """
    return _confined_program(
        domains=(),
        without=("connect", "accept", "accept4"),
        also=("memfd_secret",),
        datagrams=False,
    )


def egress_program() -> bytes:
    """Return the filter of the egress proxy: it connects and accepts over the internet's protocols.

    No other sockets but pairs, and no netlink: the C library then asks for both address
    families. It binds nothing, since its listeners are made elsewhere and passed to it.
    """
    return _confined_program(domains=_SOCKET_DOMAINS, also=("listen",), datagrams=True)
