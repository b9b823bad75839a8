"""Rules of the filters about calls that do many things: which of them a function's may be for.

Each is a piece of a filter for one call, and returns. What is `refused` may be told of.
"""

from __future__ import annotations

from .filter_code import (
    _AND,
    _ARG0,
    _ARG1,
    _ARG2,
    _EINVAL,
    _ENOPROTOOPT,
    _ENOTTY,
    _EPERM,
    _JEQ,
    _JGT,
    _LD,
    Instruction,
    _allow,
    _nothing_done,
    _refuse,
)

TERMINAL_INJECTION = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX."""
_MERGEABLE = 12
"""MADV_MERGEABLE: equal pages of all who ask for it become one, which can be timed."""
_OTHERWISE_IN_FORKS = (10, 18)
"""MADV_DONTFORK and MADV_WIPEONFORK: memory that a fork has not, or has as zeros. The copy that a
restored process is set back to is a fork. Libraries do without: they ask whether it is refused."""
_SET_SECCOMP = 22
"""PR_SET_SECCOMP: the older way to load a filter."""
_SET_DUMPABLE = 4
"""PR_SET_DUMPABLE: with it a crash has the host start, as root, what its core_pattern names,
whatever RLIMIT_CORE says (core(5)), outside of all control groups."""
_SET_MEMORY_MERGE = 67
"""PR_SET_MEMORY_MERGE: MADV_MERGEABLE for all the memory of a process, and of those it forks."""
_PIDFD_REQUESTS = 0xFF00
"""The type of all requests to a pidfd: descriptors of namespaces, the id of a control group."""
_FUNCTION_IOCTL = (
    *(0x5401, 0x5402, 0x5403, 0x5404, 0x540F, 0x5410, 0x5411, 0x5413),
    *(0x541B, 0x5421, 0x5429, 0x5450, 0x5451, 0x5452, 0x5460, 0x802C542A),
    *(0x8905, 0x8910, 0x8912, 0x8913, 0x8915, 0x8919, 0x891B, 0x8921, 0x8927, 0x8933),
)
"""What ioctl(2) does for a function, of what works on any descriptor: is it a terminal, what waits
to be read or sent, flags (FIONBIO, FIOCLEX, FIOASYNC), a file's size, which interfaces there are
and their addresses. Others reach far: SIOCGIFVLAN and SIOCGIFBR have the host start a program as
root to look for a module, SIOCGSTAMP has all processors patch the kernel's code, for nobody's
time."""
_SOL_SOCKET = 1
_SOCKET_PROGRAMS = (26, 50, 51, 52)
"""SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF and _REUSEPORT_EBPF: programs for the kernel."""
_LINGER = 13
"""SO_LINGER: whoever closes such a socket last waits. That can be who was sent it, in a message
from which it takes no descriptors: the gateway."""
_PASS_PIDFD, _PEER_PIDFD = 76, 77
"""SO_PASSPIDFD and SO_PEERPIDFD: a descriptor of the process at the other end, which is the same
for all functions. Its inode can be locked, and its number tells how many processes there were."""
_SOL_IP = 0
_PORT_RANGE = (51,)
"""IP_LOCAL_PORT_RANGE: by it a socket has a port of one's choice, as with bind(2). One that a call
has used is not free for a minute, in the network namespace that all calls of a function have."""
_SOL_IPV6 = 41
_FLOW_LABELS = (32,)
"""IPV6_FLOWLABEL_MGR: a label outlives its socket by up to 150 s, in the network namespace that all
calls of a function have, and so few of them are there for the whole machine that any function can
take all."""
_FUNCTION_OPTIONS = {
    _SOL_IP: (1, 2, 10, 11, 24),
    _SOL_SOCKET: (2, 6, 7, 8, 9, 10, 12, 15, 18, 20, 21, 66, 67),
    6: (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 18, 25, 36),
    _SOL_IPV6: (16, 23, 25, 26, 67),
}
"""What setsockopt(2) does for a function: how a client's TCP connection is kept, timed, buffered
and marked. Others reach far: SO_TIMESTAMP has all processors patch the kernel's code as the first
socket gets it and the last one goes; SO_RESERVE_MEM takes of what TCP of the whole machine may use,
a key of TCP_AO_ADD_KEY one of eight places for ciphers that it has; TCP_ULP and these load
modules. With SO_ZEROCOPY the pages themselves are sent, and whatever is in them by then: when the
call is over and its process is set back, what a later call writes there.
"""
_LOCKS = (6, 7, 37, 38)
"""F_SETLK, F_SETLKW, F_OFD_SETLK and F_OFD_SETLKW."""
_FILE_CONTROL = (*range(6), *range(8, 12), 15, 16, 36, 1024, 1025, 1030, 1032, 1033, 1034)
"""What fcntl(2) does for a function, beside locks and the size of a pipe: duplicates, flags, owners
and signals of a file, leases, the size of a pipe and seals. By F_NOTIFY a call heard of what others
of its function opened at the same time, and F_SET_RW_HINT leaves a number at a file of others
(before Linux 6.9), which the next call reads."""
_SET_PIPE_SIZE, _PIPE_BYTES = 1031, 65536
"""F_SETPIPE_SZ, and the size that a pipe has anyway. What an instance prints goes through a pipe of
the gateway's, for whose user the kernel counts it; it lets few of all of them be larger."""
_LOCK_SHARED, _LOCK_EXCLUSIVE, _LOCK_NOT, _LOCK_AT_ONCE = 1, 2, 8, 4
"""Operations of flock(2): LOCK_SH, LOCK_EX, LOCK_UN, and LOCK_NB."""
_FUNCTION_PRCTL = (
    *(1, 2, 3, 7, 8, 15, 16, 21, 23, 24, 25, 27, 28, 29, 30, 34, 35, 36, 37, 38, 39, 40, 41, 42),
    *(47, 50, 51, 52, 54, 55, 56, 60, 61, 63, 64, 65, 66, 0x53564D41, 0x41555856),
)
"""What prctl(2) does for a function: signals and names of its own, rights that it gives up, its
pages (PR_SET_THP_DISABLE, _MDWE, _VMA), registers of aarch64, and questions. Others change how a
core is shared (PR_SCHED_CORE, PR_SET_SPECULATION_CTRL), or are newer than this list."""


def ioctl_rule(requests: tuple[int, ...], refused: Instruction) -> list[Instruction]:
    rule: list[Instruction] = [(_LD, 0, 0, _ARG1)]
    for request in requests:
        rule += [(_JEQ, 0, 1, request), refused]
    return [*rule, _allow()]


def socket_option_rule(refused: Instruction) -> list[Instruction]:
    """Refuse programs for the kernel that a socket could be given, and what tells of gone ones."""
    rule: list[Instruction] = []
    for level, options in (
        (_SOL_SOCKET, _SOCKET_PROGRAMS),
        (_SOL_IP, _PORT_RANGE),
        (_SOL_IPV6, _FLOW_LABELS),
    ):
        of_level: list[Instruction] = [(_LD, 0, 0, _ARG2)]
        for option in options:
            of_level += [(_JEQ, 0, 1, option), refused]
        rule += [(_LD, 0, 0, _ARG1), (_JEQ, 0, len(of_level) + 1, level), *of_level, _allow()]
    return [*rule, _allow()]


def prctl_rule(refused: Instruction) -> list[Instruction]:
    """Allow all but the older way to load a filter, and merging of equal pages."""
    rule = [(_LD, 0, 0, _ARG0), (_JEQ, 0, 1, _SET_SECCOMP), refused]
    return [*rule, (_JEQ, 0, 1, _SET_MEMORY_MERGE), _refuse(_EINVAL), _allow()]


def function_ioctl_rule(refused: Instruction, also: tuple[int, ...] = ()) -> list[Instruction]:
    """Refuse input to terminals, and all questions to a pidfd.

    What is neither listed nor in `also` is answered as what the descriptor does not have.
    """
    questions = [(_LD, 0, 0, _ARG1), (_AND, 0, 0, 0xFF00), (_JEQ, 0, 1, _PIDFD_REQUESTS), refused]
    rule: list[Instruction] = [*questions, (_LD, 0, 0, _ARG1)]
    for request in TERMINAL_INJECTION:
        rule += [(_JEQ, 0, 1, request), refused]
    for request in (*_FUNCTION_IOCTL, *also):
        rule += [(_JEQ, 0, 1, request), _allow()]
    return [*rule, _refuse(_ENOTTY)]


def function_option_rule(refused: Instruction) -> list[Instruction]:
    """Let a socket have the options of clients; refuse what is for attacks, have none linger.

    All other options are, as on an older kernel, unknown.
    """
    denied = {
        _SOL_SOCKET: (*_SOCKET_PROGRAMS, _PASS_PIDFD),
        _SOL_IP: _PORT_RANGE,
        _SOL_IPV6: _FLOW_LABELS,
    }
    rule: list[Instruction] = []
    for level, options in _FUNCTION_OPTIONS.items():
        of_level: list[Instruction] = [(_LD, 0, 0, _ARG2)]
        if level == _SOL_SOCKET:
            of_level += [(_JEQ, 0, 1, _LINGER), _nothing_done()]
        for option in denied.get(level, ()):
            of_level += [(_JEQ, 0, 1, option), refused]
        for option in options:
            of_level += [(_JEQ, 0, 1, option), _allow()]
        of_level.append(_refuse(_ENOPROTOOPT))
        rule += [(_LD, 0, 0, _ARG1), (_JEQ, 0, len(of_level), level), *of_level]
    return [*rule, _refuse(_ENOPROTOOPT)]


def asked_option_rule(refused: Instruction) -> list[Instruction]:
    """Refuse a descriptor of the process at a socket's other end."""
    option = [(_LD, 0, 0, _ARG2), (_JEQ, 0, 1, _PEER_PIDFD), refused]
    return [(_LD, 0, 0, _ARG1), (_JEQ, 0, len(option), _SOL_SOCKET), *option, _allow()]


def file_control_rule() -> list[Instruction]:
    """Take no locks of parts of a file, make no pipe larger, and do nothing that is not listed.

    They can be any number, for each of which all who close that file anywhere pay. Descriptors that
    have no file (epoll, eventfd, timers) are all of one inode, of which the whole machine's are.
    Within a process such locks exclude nobody, so that taking none is all the same to it.
    """
    rule: list[Instruction] = [(_LD, 0, 0, _ARG1)]
    for command in _LOCKS:
        rule += [(_JEQ, 0, 1, command), _nothing_done()]
    for command in _FILE_CONTROL:
        rule += [(_JEQ, 0, 1, command), _allow()]
    size = [(_LD, 0, 0, _ARG2), (_JGT, 0, 1, _PIPE_BYTES), _refuse(_EPERM), _allow()]
    return [*rule, (_JEQ, 0, len(size), _SET_PIPE_SIZE), *size, _refuse(_EINVAL)]


def flock_rule(allowed: Instruction) -> list[Instruction]:
    """Let a file have one lock, taken or given back; a shared one, of which many are, is none."""
    rule: list[Instruction] = [(_LD, 0, 0, _ARG1)]
    for operation in (_LOCK_EXCLUSIVE, _LOCK_NOT):
        rule += [(_JEQ, 0, 1, operation), allowed, (_JEQ, 0, 1, operation | _LOCK_AT_ONCE), allowed]
    for operation in (_LOCK_SHARED, _LOCK_SHARED | _LOCK_AT_ONCE):
        rule += [(_JEQ, 0, 1, operation), _nothing_done()]
    return [*rule, _refuse(_EINVAL)]


def advice_rule() -> list[Instruction]:
    """Refuse, without a record, advice by which memory is merged, or is otherwise in forks."""
    rule: list[Instruction] = [(_LD, 0, 0, _ARG2)]
    for advice in (_MERGEABLE, *_OTHERWISE_IN_FORKS):
        rule += [(_JEQ, 0, 1, advice), _refuse(_EINVAL)]
    return [*rule, _allow()]


def function_prctl_rule(refused: Instruction) -> list[Instruction]:
    """Allow what functions need. Loading a filter is refused, all else unknown.

    Nobody becomes dumpable again.
    """
    rule: list[Instruction] = [(_LD, 0, 0, _ARG0), (_JEQ, 0, 1, _SET_SECCOMP), refused]
    never = [(_LD, 0, 0, _ARG1), (_JEQ, 1, 0, 0), _refuse(_EPERM), _allow()]
    rule += [(_JEQ, 0, len(never), _SET_DUMPABLE), *never]
    for option in _FUNCTION_PRCTL:
        rule += [(_JEQ, 0, 1, option), _allow()]
    return [*rule, _refuse(_EINVAL)]
