"""System-call filters (seccomp(2), BPF), assembled from tables.

The zygote's is an allow-list, loaded once and inherited; the instance's takes away what only the
zygote needed. The gateway's is a deny-list against making or entering sandboxes; the vault and
the egress proxy have allow-lists. Each is assembled for one machine, this one if none is named:
a call by another's numbers, 32-bit ones and those of x32 among them, kills the process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from .argument_rules import (
    TERMINAL_INJECTION,
    advice_rule,
    asked_option_rule,
    file_control_rule,
    flock_rule,
    function_ioctl_rule,
    function_option_rule,
    function_prctl_rule,
    ioctl_rule,
    prctl_rule,
    socket_option_rule,
)
from .filter_code import (
    _ALLOW,
    _ARG0,
    _ARG1,
    _ARG2,
    _ARG3,
    _EACCES,
    _EAFNOSUPPORT,
    _ENOSYS,
    _EPERM,
    _JEQ,
    _JSET,
    _KILL,
    _LD,
    _RET,
    Instruction,
    _allow,
    _by_number,
    _encode,
    _nothing_done,
    _notify,
    _prologue,
    _refuse,
    _when,
)
from .linux import CLONE_THREAD, FILTER_FOR_EVERY_THREAD, INSTANCE_CLONE_FLAGS
from .machines import Machine, current
from .system_calls import ALLOWED, FORBIDDEN, NOTABLE, PROBED, SANDBOX_MAKING, numbered
from .userfault import API as WATCH_REQUEST
from .userfault import FLAGS as WATCH_FLAGS

NAMESPACE_FLAGS = 0x7E020080
"""Every CLONE_NEW* flag of clone(2): time, mount, cgroup, uts, ipc, user, pid, network."""

_SOCKET_DOMAINS = (2, 10)
"""AF_INET and AF_INET6, in a network namespace that has nothing; pairs of AF_UNIX need no call
of socket(2)."""
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
_FAST_OPEN = 0x20000000
"""MSG_FASTOPEN: a socket that has no connection gets one as it sends."""
_SENDING = (("sendto", _ARG3), ("sendmsg", _ARG2), ("sendmmsg", _ARG3))
"""Calls that take it, and where their flags are."""
_OF_PROCESSES = (
    *("prlimit64", "sched_setaffinity", "sched_setscheduler"),
    *("sched_setparam", "sched_setattr"),
)
"""Calls that change a process, or a thread, named by their first argument: 0 is the caller."""
_SIGNALS = ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal")
_OWNERS = (8, 10, 15)
"""F_SETOWN, F_SETSIG and F_SETOWN_EX: who gets which signal of a file that others hold as well."""
LISTENER_BACKLOG = 4096
"""With how many waiting connections a shared listener listens, and no other number."""
_SHUT_WRITING = 1
"""SHUT_WR, of which a listener takes no notice. With the others it ends, for all who hold it."""
_TCP, _NO_DELAY = 6, 1
"""IPPROTO_TCP and TCP_NODELAY."""


def refusal(number: int, machine: Machine | None = None) -> int:
    """Return the errno that is the answer to a refused call, reported or not."""
    calls = (machine or current()).calls
    if number in (calls["execve"], calls["execveat"]):
        return _EACCES
    return _EAFNOSUPPORT if number == calls["socket"] else _EPERM


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


def _threads_rule() -> list[Instruction]:
    """Allow threads: a process of the node forks nothing, and forks have no bound of their own."""
    return [
        (_LD, 0, 0, _ARG0),
        (_JSET, 2, 0, NAMESPACE_FLAGS),
        (_JSET, 0, 1, CLONE_THREAD),
        _allow(),
        _refuse(_EPERM),
    ]


def _own_rule() -> list[Instruction]:
    """Allow what a process does to itself: others of its user are another worker's, or node's."""
    return [(_LD, 0, 0, _ARG0), (_JEQ, 0, 1, 0), _allow(), _refuse(_EPERM)]


def _priority_rule() -> list[Instruction]:
    """The same for setpriority(2), whose first argument is PRIO_PROCESS (0)."""
    return [
        (_LD, 0, 0, _ARG0),
        (_JEQ, 0, 3, 0),
        (_LD, 0, 0, _ARG1),
        (_JEQ, 0, 1, 0),
        _allow(),
        _refuse(_EPERM),
    ]


def _listen_rule() -> list[Instruction]:
    """Refuse to have fewer connections wait in a listener that others accept from as well."""
    return [(_LD, 0, 0, _ARG1), (_JEQ, 0, 1, LISTENER_BACKLOG), _allow(), _refuse(_EPERM)]


def _owners_rule() -> list[Instruction]:
    rule: list[Instruction] = [(_LD, 0, 0, _ARG1)]
    for command in _OWNERS:
        rule += [(_JEQ, 0, 1, command), _refuse(_EPERM)]
    return [*rule, _allow()]


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


def _fast_open_rule(
    flags: int, refused: Instruction, otherwise: Instruction = (_RET, 0, 0, _ALLOW)
) -> list[Instruction]:
    """Refuse to connect by sending: neither connect(2) nor Landlock is asked about that."""
    return [(_LD, 0, 0, flags), (_JSET, 0, 1, _FAST_OPEN), refused, otherwise]


def _shutdown_rule() -> list[Instruction]:
    """Allow to end what is sent; a listener stays what it is for all who hold it."""
    return [(_LD, 0, 0, _ARG1), (_JEQ, 0, 1, _SHUT_WRITING), _allow(), _refuse(_EPERM)]


def _no_delay_rule() -> list[Instruction]:
    """Allow TCP_NODELAY alone: others, such as a device, a listener would have for all."""
    return [
        (_LD, 0, 0, _ARG1),
        (_JEQ, 0, 3, _TCP),
        (_LD, 0, 0, _ARG2),
        (_JEQ, 0, 1, _NO_DELAY),
        _allow(),
        _refuse(_EPERM),
    ]


def _bind_rule(refused: Instruction) -> list[Instruction]:
    """Refuse any address, one of IPv6 without a record."""
    return [
        (_LD, 0, 0, _ARG2),
        (_JEQ, 0, 1, _INTERNET6_ADDRESS_BYTES),
        _refuse(_EPERM),
        refused,
    ]


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


def _function_rules(
    calls: Mapping[str, int],
    refused: Callable[[str], Instruction],
    asked: Collection[str],
    requests: tuple[int, ...],
) -> list[Instruction]:
    """Return the rules of calls that a function may make in some forms, `requests` by ioctl(2)."""
    program: list[Instruction] = []
    program += _when(calls["clone"], _instance_clone_rule(refused("clone")))
    program += _when(calls["socket"], _function_socket_rule(refused("socket")))
    program += _when(calls["socketpair"], _pair_rule())
    program += _when(calls["madvise"], advice_rule())
    program += _when(calls["ioctl"], function_ioctl_rule(refused("ioctl"), requests))
    program += _when(calls["setsockopt"], function_option_rule(refused("setsockopt")))
    program += _when(calls["getsockopt"], asked_option_rule(refused("getsockopt")))
    program += _when(calls["fcntl"], file_control_rule())
    locking = refused("flock") if "flock" in asked else _allow()
    program += _when(calls["flock"], flock_rule(locking))
    # Each change has a thread of the kernel that comes before all others move the caller: four that
    # did nothing else left a neighbour half of its calls, and nobody was charged for it.
    program += _when(calls["sched_setaffinity"], [_nothing_done()])
    program += _when(calls["bind"], _bind_rule(refused("bind")))
    for name, flags in _SENDING:
        # A notable call that waits for an answer may be let through, so none of these does.
        told = _refuse(_EPERM) if name in NOTABLE else refused(name)
        otherwise = refused(name) if name in asked else _allow()
        program += _when(calls[name], _fast_open_rule(flags, told, otherwise))
    return program


def zygote_program(
    *,
    notify: bool = True,
    watch: bool = False,
    asked: Collection[str] = (),
    machine: Machine | None = None,
) -> bytes:
    """Return the filter of a function zygote, which its instances inherit.

    It lets through `clone` with exactly the flags of an instance and `move_mount`; both are
    closed by `instance_program`, and so is `seccomp`, which loads that one and none with a
    listener. `unshare` is let through with CLONE_THREAD only, which changes
    nothing and fails in a process with threads: that is how the zygote finds them.

    With `watch` it also lets through userfaultfd(2) in the one form in which an instance has its
    memory watched, and which `instance_program` closes.

    With `notify` the calls that nothing honest makes wait for an answer from the listener, which
    `PreparedFilter.install_with_listener` returns and which must answer `refusal`; so they can be
    recorded; without a listener they get ENOSYS. Without `notify`, for a host where something
    outside has a listener already (EBUSY), all get their errno at once, as in any case those get
    that libraries only try out.

    Calls of `asked`, names of NOTABLE alone, are answered like those that nothing honest makes.
    """
    if not set(asked) <= set(NOTABLE):
        raise ValueError("only notable calls can be asked about")
    machine = machine or current()
    calls = machine.calls

    def refused(name: str) -> Instruction:
        return _notify() if notify else _refuse(refusal(calls[name], machine))

    program = _prologue(machine)
    program += _function_rules(calls, refused, asked, (WATCH_REQUEST,) if watch else ())
    program += _when(calls["unshare"], _unshare_rule(refused("unshare")))
    if watch:
        rule = [(_LD, 0, 0, _ARG0), (_JEQ, 0, 1, WATCH_FLAGS), _allow(), refused("userfaultfd")]
        program += _when(calls["userfaultfd"], rule)
    program += _when(calls["seccomp"], _seccomp_rule(_allow(), refused("seccomp")))
    program += _when(calls["prctl"], function_prctl_rule(refused("prctl")))
    actions = {
        number: _refuse(_EPERM) if name in PROBED else refused(name)
        for name, number in numbered(FORBIDDEN, machine).items()
    }
    allowed = numbered((*ALLOWED, "move_mount"), machine)
    actions |= dict.fromkeys(allowed.values(), _allow())
    actions |= {calls[name]: refused(name) for name in ("execve", "execveat")}
    actions |= {number: refused(name) for name, number in numbered(asked, machine).items()}
    # Everything else, clone3 too: ENOSYS makes the C library fall back to clone(2), whose flags
    # a filter can see. It tries new calls all the time, so none of these is reported.
    return _encode(program + _by_number(_refuse(_ENOSYS), actions))


def instance_program(machine: Machine | None = None) -> bytes:
    """Return the filter that closes, in an instance, the calls its zygote still needed.

    They end the instance: nothing honest makes them in these very forms, and an errno would hide
    them, since only the zygote's filter has a listener and an errno takes precedence over it.
    """
    machine = machine or current()
    kill: Instruction = (_RET, 0, 0, _KILL)
    program = _prologue(machine)
    program += _when(machine.calls["move_mount"], [kill])
    for name, flags in (
        ("unshare", CLONE_THREAD),
        ("clone", INSTANCE_CLONE_FLAGS),
        ("userfaultfd", WATCH_FLAGS),
    ):
        rule = [(_LD, 0, 0, _ARG0), (_JEQ, 0, 1, flags), kill, _allow()]
        program += _when(machine.calls[name], rule)
    program += _when(machine.calls["seccomp"], _seccomp_rule(kill, _allow()))
    return _encode([*program, _allow()])


def gateway_program(machine: Machine | None = None) -> bytes:
    """Return the filter the gateway puts on itself: it can neither make nor enter a sandbox."""
    machine = machine or current()
    calls = machine.calls
    program = _prologue(machine)
    program += _when(calls["clone3"], [_refuse(_ENOSYS)])
    program += _when(calls["clone"], _plain_fork_rule())
    program += _when(calls["ioctl"], ioctl_rule((_NOTIFY_ADD_DESCRIPTOR,), _refuse(_EPERM)))
    for name in ("unshare", "move_mount", "execve", "execveat", "seccomp"):
        program += _when(calls[name], [_refuse(_EPERM)])
    program += _when(calls["prctl"], prctl_rule(_refuse(_EPERM)))
    making = numbered(SANDBOX_MAKING, machine).values()
    actions = dict.fromkeys(making, _refuse(_EPERM))
    return _encode(program + _by_number(_allow(), actions))


def _confined_program(
    machine: Machine,
    *,
    domains: tuple[int, ...],
    without: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    datagrams: bool,
    shares_listener: bool = False,
) -> bytes:
    """Return an allow-list for a process of the node that starts no program and no sandbox.

    It forks nothing, and does nothing to other processes of its user. `domains` are those that
    socket(2) may be asked for. With `shares_listener` it does nothing to a listener of others but
    to accept from it.
    """
    calls = machine.calls
    program = _prologue(machine)
    program += _when(calls["clone"], _threads_rule())
    program += _when(calls["socket"], _socket_rule(domains, _refuse(_EAFNOSUPPORT)))
    program += _when(calls["ioctl"], ioctl_rule(TERMINAL_INJECTION, _refuse(_EPERM)))
    options = _no_delay_rule() if shares_listener else socket_option_rule(_refuse(_EPERM))
    program += _when(calls["setsockopt"], options)
    if shares_listener:
        program += _when(calls["shutdown"], _shutdown_rule())
        program += _when(calls["listen"], _listen_rule())
        program += _when(calls["fcntl"], _owners_rule())
    program += _when(calls["prctl"], prctl_rule(_refuse(_EPERM)))
    program += _when(calls["setpriority"], _priority_rule())
    for name in _OF_PROCESSES:
        program += _when(calls[name], _own_rule())
    for name, flags in _SENDING:
        program += _when(calls[name], _fast_open_rule(flags, _refuse(_EPERM)))
    if not datagrams:
        program += _when(calls["socketpair"], _pair_rule())
    refused = (*FORBIDDEN, "unshare", "move_mount", "execve", "execveat", "bind", "seccomp")
    actions = dict.fromkeys(numbered(refused, machine).values(), _refuse(_EPERM))
    actions |= dict.fromkeys(numbered(ALLOWED, machine).values(), _allow())
    actions |= {calls[name]: _refuse(_EPERM) for name in without}
    actions |= {calls[name]: _allow() for name in also}
    return _encode(program + _by_number(_refuse(_ENOSYS), actions))


def offline_program(machine: Machine | None = None) -> bytes:
    """Return the filter of a process without any network, such as the vault.

    It keeps the sockets it has (read, write, sendmsg, recvmsg) and may make connected pairs, but
    none of datagrams, which could be sent to any address. It makes or accepts no other socket,
    connects none, starts no program and no sandbox.
    """
    return _confined_program(
        machine or current(),
        domains=(),
        without=("connect", "accept", "accept4"),
        also=("memfd_secret",),
        datagrams=False,
    )


def accepting_program(machine: Machine | None = None) -> bytes:
    """Return the filter of a process that answers on a listener it was given, and nothing else.

    It accepts connections, and makes no socket but connected pairs, connects none and binds none.
    The listener, which others hold as well, it can neither end nor set otherwise. Others of its
    user are workers as it is one: it sends none a signal.
    """
    return _confined_program(
        machine or current(),
        domains=(),
        without=("connect", *_SIGNALS),
        datagrams=False,
        shares_listener=True,
    )


def egress_program(machine: Machine | None = None) -> bytes:
    """Return the filter of the egress proxy: it connects and accepts over the internet's protocols.

    No other sockets but pairs, and no netlink: the C library then asks for both address
    families. It binds nothing, since its listeners are made elsewhere and passed to it.
    """
    return _confined_program(
        machine or current(), domains=_SOCKET_DOMAINS, also=("listen",), datagrams=True
    )
