"""The filters, evaluated instruction by instruction as the kernel does, and once by the kernel."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casemate.kernel import argument_rules, linux, seccomp, system_calls, userfault
from casemate.kernel.machines import X86_64 as MACHINE
from casemate.kernel.machines import current
from casemate.kernel.seccomp import NAMESPACE_FLAGS
from casemate.kernel.system_calls import PROBED, name_of
from casemate.triggers.http_server.listen import BACKLOG
from support.bpf import ALLOW, KILL, NOTIFY, decoded, evaluate

on_the_machine = pytest.mark.skipif(current() is not MACHINE, reason="the kernel is another's")
ALLOWED, FORBIDDEN, CONDITIONAL = (
    system_calls.numbered(names, MACHINE)
    for names in (system_calls.ALLOWED, system_calls.FORBIDDEN, system_calls.CONDITIONAL)
)
X86_64 = 0xC000003E
EPERM, EACCES, ENOSYS, EAFNOSUPPORT = (0x00050000 | errno for errno in (1, 13, 38, 97))
EINVAL, ENOTTY, ENOPROTOOPT = (0x00050000 | errno for errno in (22, 25, 92))
CLONE, CLONE3, SOCKET, EXECVE, EXECVEAT = 56, 435, 41, 59, 322
UNSHARE, MOVE_MOUNT, IOCTL, BIND, SOCKETPAIR = 272, 429, 16, 49, 53
PRCTL, SECCOMP, MADVISE, SETSOCKOPT = 157, 317, 28, 54
GETSOCKOPT, FCNTL, FLOCK = 55, 72, 73
REFUSED = {EPERM, EACCES, EINVAL, ENOSYS, EAFNOSUPPORT, ENOTTY, ENOPROTOOPT}
DONE = 0x00050000
"""Answered as if it had been made."""
SPECIAL = {CLONE, CLONE3, SOCKET, EXECVE, EXECVEAT, UNSHARE, MOVE_MOUNT, IOCTL, BIND}
SPECIAL |= {SOCKETPAIR, MADVISE, PRCTL, SECCOMP, SETSOCKOPT, GETSOCKOPT, FCNTL, FLOCK}
SPECIAL |= {CONDITIONAL[name] for name in ("sendto", "sendmsg", "sendmmsg", "sched_setaffinity")}
PROGRAMS = {
    "zygote": seccomp.zygote_program(machine=MACHINE),
    "zygote without a listener": seccomp.zygote_program(notify=False, machine=MACHINE),
    "zygote that watches": seccomp.zygote_program(watch=True, machine=MACHINE),
    "zygote that asks": seccomp.zygote_program(asked=system_calls.NOTABLE, machine=MACHINE),
    "instance": seccomp.instance_program(MACHINE),
    "gateway": seccomp.gateway_program(MACHINE),
    "offline": seccomp.offline_program(MACHINE),
    "accepting": seccomp.accepting_program(MACHINE),
    "egress": seccomp.egress_program(MACHINE),
}
ONLY_THREADS = ["offline", "accepting", "egress"]
CONFINED = ["gateway", *ONLY_THREADS]
TELLING = ("zygote", "zygote that watches", "zygote that asks")
SILENT = [name for name in PROGRAMS if name not in TELLING]


DECODED = {name: decoded(program) for name, program in PROGRAMS.items()}


def run(name: str, number: int, *args: int, arch: int = X86_64) -> int:
    """Evaluate a filter for one system call (linux/filter.h, seccomp_data); return its action."""
    return evaluate(DECODED[name], number, args, arch)


def in_instance(number: int, *args: int) -> int:
    """Return the action of both filters of an instance: the strictest one counts (seccomp(2))."""
    actions = {run("zygote", number, *args), run("instance", number, *args)}
    if KILL in actions:
        return KILL
    errnos = [action for action in actions if action & 0x7FFF0000 == 0x00050000]
    return errnos[0] if errnos else min(actions)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_one_the_kernel_takes(name: str) -> None:
    program = DECODED[name]
    assert 0 < len(program) <= 4096
    for place, (code, if_true, if_false, k) in enumerate(program):
        assert code in (0x20, 0x06, 0x05, 0x15, 0x25, 0x35, 0x45, 0x54)
        left = len(program) - place - 1
        if code == 0x05:
            assert k < left
        elif code == 0x06:
            assert k in (ALLOW, NOTIFY, KILL, DONE, *REFUSED)
            assert k != NOTIFY or name in TELLING
            assert k != DONE or name.startswith("zygote")
        elif code == 0x54:
            assert left > 0
        elif code == 0x20:
            assert k % 4 == 0 and k < 64 and left > 0
        else:
            assert max(if_true, if_false) < left
    assert program[-1][0] == 0x06


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("arch", [0x40000003, 0xC00000B7, 0, X86_64 ^ 1, 0xFFFFFFFF])
def test_another_architecture_is_killed(name: str, arch: int) -> None:
    for number in (0, 1, CLONE, 231, 0x40000000):
        assert run(name, number, arch=arch) == KILL


@pytest.mark.parametrize("name", PROGRAMS)
def test_x32_calls_are_killed(name: str) -> None:
    for number in range(600):
        assert run(name, number | 0x40000000) == KILL
    for number in (0x7FFFFFFF, 0x80000000, 0xC0000000, 0xFFFFFFFF):
        assert run(name, number) == KILL


def test_the_tables_have_nothing_in_common() -> None:
    allowed, forbidden = set(ALLOWED.values()), set(FORBIDDEN.values())
    assert not allowed & forbidden
    assert not forbidden & SPECIAL
    assert set(FORBIDDEN) >= PROBED
    assert len(allowed) == len(ALLOWED) and len(forbidden) == len(FORBIDDEN)


def test_every_number_has_its_name() -> None:
    for name, number in {**ALLOWED, **FORBIDDEN, **CONDITIONAL}.items():
        assert name_of(number, MACHINE) == name
    assert set(CONDITIONAL.values()) == SPECIAL
    assert name_of(999, MACHINE) == "syscall-999"


def test_every_allowed_call_is_allowed_whatever_its_arguments() -> None:
    for number in set(ALLOWED.values()) - SPECIAL:
        for args in ((), (2**64 - 1,) * 6, (0x5412,) * 6):
            assert in_instance(number, *args) == ALLOW


@pytest.mark.parametrize("name", FORBIDDEN)
def test_every_forbidden_call_is_refused_whatever_its_arguments(name: str) -> None:
    for args in ((), (2**64 - 1,) * 6):
        assert in_instance(FORBIDDEN[name], *args) == (EPERM if name in PROBED else NOTIFY)
        assert run("zygote without a listener", FORBIDDEN[name], *args) == EPERM


@pytest.mark.parametrize("number", range(0, 600))
def test_without_a_listener_every_call_is_refused_as_its_answer_would_be(number: int) -> None:
    """`refusal` is what the listener must answer: the same as a filter that needs none."""
    for args in ((), (1, 2), (0x10000000,), (0, 0x5412), (2**64 - 1,) * 6):
        told, silent = (run(name, number, *args) for name in list(PROGRAMS)[:2])
        expected = 0x00050000 | seccomp.refusal(number, MACHINE) if told == NOTIFY else told
        assert silent == expected


NOTABLE = system_calls.numbered(system_calls.NOTABLE, MACHINE)


def test_notable_calls_are_allowed_ones_and_none_of_the_platform_s() -> None:
    assert set(system_calls.NOTABLE) <= set(system_calls.ALLOWED)
    assert len(system_calls.NOTABLE) == len(set(system_calls.NOTABLE))
    restorer = Path(seccomp.__file__).parents[1] / "restorer"
    made = {
        name
        for path in restorer.glob("*.py")
        for name in re.findall(r'make\([^)]*calls\["([a-z0-9_]+)"\]', path.read_text())
    }
    assert made >= {"brk", "munmap", "utimensat"}, "what it has an instance do is not found"
    assert not made & set(system_calls.NOTABLE)


@pytest.mark.parametrize("notify", [True, False])
@pytest.mark.parametrize("asked", [system_calls.NOTABLE, ("unlink",), ("connect", "mkdir"), ()])
def test_asking_changes_the_asked_calls_alone(asked: tuple[str, ...], notify: bool) -> None:
    usual, asking = (
        decoded(seccomp.zygote_program(notify=notify, asked=names, machine=MACHINE))
        for names in ((), asked)
    )
    numbers = {NOTABLE[name] for name in asked}
    for number in range(1024):
        for args in ((), (1, 2), (0x10000000,), (0, 0x5412), (2**64 - 1,) * 6):
            expected = evaluate(usual, number, args, X86_64)
            connects = number == NOTABLE["sendmmsg"] and args == (2**64 - 1,) * 6
            is_no_lock = number == FLOCK and args[1:2] != (2,)
            if number in numbers and not connects and not is_no_lock:
                assert expected == ALLOW
                expected = NOTIFY if notify else EPERM
            assert evaluate(asking, number, args, X86_64) == expected


@pytest.mark.parametrize("name", ["read", "ptrace", "execve", "clone", "socket", "none", ""])
def test_nothing_else_is_asked_about(name: str) -> None:
    with pytest.raises(ValueError, match="notable"):
        seccomp.zygote_program(asked=("unlink", name), machine=MACHINE)


def test_every_other_call_does_not_exist() -> None:
    """Never told: the C library tries every new call once."""
    known = {*ALLOWED.values(), *FORBIDDEN.values(), *SPECIAL}
    for number in {*range(1024), 0x1000, 0xFFFF, 0x3FFFFFFF} - known:
        assert in_instance(number) == ENOSYS


@given(st.integers(0, 0x3FFFFFFF), st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6))
def test_nothing_but_the_tables_decides(number: int, args: list[int]) -> None:
    action = in_instance(number, *args)
    if number in ALLOWED.values() and number not in SPECIAL:
        assert action == ALLOW
    elif number in FORBIDDEN.values():
        assert action in (EPERM, NOTIFY)
    elif number not in SPECIAL:
        assert action == ENOSYS


@pytest.mark.parametrize("number", [EXECVE, EXECVEAT])
def test_no_program_is_started(number: int) -> None:
    assert in_instance(number, 1, 2, 3) == NOTIFY
    assert seccomp.refusal(number, MACHINE) == 13
    assert run("zygote without a listener", number) == EACCES
    for name in CONFINED:
        assert run(name, number) == EPERM


def test_clone3_falls_back_to_clone() -> None:
    assert in_instance(CLONE3, 0x7000) == ENOSYS
    for name in CONFINED:
        assert run(name, CLONE3) == ENOSYS


# -- clone ---------------------------------------------------------------------------------------

NAMESPACES = [
    linux.CLONE_NEWTIME,
    linux.CLONE_NEWNS,
    linux.CLONE_NEWCGROUP,
    linux.CLONE_NEWUTS,
    linux.CLONE_NEWIPC,
    linux.CLONE_NEWUSER,
    linux.CLONE_NEWPID,
    linux.CLONE_NEWNET,
]
THREAD = 0x3D0F00
"""Flags of a thread as the C library makes it."""


def test_the_flags_are_the_kernel_s() -> None:
    assert NAMESPACES == [
        0x00000080,
        0x00020000,
        0x02000000,
        0x04000000,
        0x08000000,
        0x10000000,
        0x20000000,
        0x40000000,
    ]
    assert sum(NAMESPACES) == NAMESPACE_FLAGS
    assert linux.INSTANCE_NAMESPACES == 0x10000000 | 0x00020000 | 0x20000000
    assert linux.INSTANCE_CLONE_FLAGS == linux.INSTANCE_NAMESPACES | 0x01000000 | 0x00200000 | 17


def may_clone(name: str, flags: int) -> bool:
    action = run(name, CLONE, flags)
    assert action in {"zygote": (ALLOW, NOTIFY), "instance": (ALLOW, KILL)}.get(
        name, (ALLOW, EPERM)
    )
    return action == ALLOW


@pytest.mark.parametrize("name", PROGRAMS)
def test_threads_are_allowed_and_forks_but_of_the_node_s_processes(name: str) -> None:
    assert may_clone(name, THREAD)
    for flags in (17, 0x1200011, 0):
        assert may_clone(name, flags) is (name not in ONLY_THREADS)


def test_the_zygote_makes_instances_and_no_other_namespace() -> None:
    ways = [0, 17, 0x1200011, THREAD, linux.INSTANCE_CLONE_FLAGS & ~NAMESPACE_FLAGS]
    for chosen in itertools.product((False, True), repeat=len(NAMESPACES)):
        flags = sum(itertools.compress(NAMESPACES, chosen))
        for way in ways:
            whole = flags | way
            expected = not flags or whole == linux.INSTANCE_CLONE_FLAGS
            assert may_clone("zygote", whole) is expected, hex(whole)
            assert may_clone("zygote without a listener", whole) is expected
            assert (in_instance(CLONE, whole) == ALLOW) is (not flags)
            assert may_clone("gateway", whole) is (not flags)
            for name in ONLY_THREADS:
                assert may_clone(name, whole) is (not flags and way == THREAD)


def test_an_instance_that_makes_an_instance_is_killed() -> None:
    assert in_instance(CLONE, linux.INSTANCE_CLONE_FLAGS) == KILL
    assert in_instance(CLONE, linux.INSTANCE_CLONE_FLAGS | 1 << 40) == KILL
    assert in_instance(CLONE, linux.INSTANCE_CLONE_FLAGS ^ 1) == NOTIFY


@given(st.integers(0, 2**64 - 1))
def test_the_rule_over_all_flags(flags: int) -> None:
    # The kernel looks at the lower half only, so whatever is above must not matter.
    low = flags & 0xFFFFFFFF
    plain = low & NAMESPACE_FLAGS == 0
    assert may_clone("zygote", flags) is (plain or low == linux.INSTANCE_CLONE_FLAGS)
    assert (in_instance(CLONE, flags) == ALLOW) is plain
    assert may_clone("gateway", flags) is plain
    for name in ONLY_THREADS:
        assert may_clone(name, flags) is (plain and bool(low & linux.CLONE_THREAD))


@given(st.sets(st.integers(0, 31), min_size=1, max_size=3))
def test_one_bit_beside_those_of_an_instance_is_refused(bits: set[int]) -> None:
    flags = linux.INSTANCE_CLONE_FLAGS
    for bit in bits:
        flags ^= 1 << bit
    if flags & NAMESPACE_FLAGS:
        assert not may_clone("zygote", flags)


# -- the other calls with arguments --------------------------------------------------------------


@given(st.integers(0, 2**64 - 1))
def test_unshare_is_for_finding_threads_in_the_zygote_only(flags: int) -> None:
    finds_threads = flags & 0xFFFFFFFF == 0x10000
    assert run("zygote", UNSHARE, flags) == (ALLOW if finds_threads else NOTIFY)
    assert in_instance(UNSHARE, flags) == (KILL if finds_threads else NOTIFY)
    for name in CONFINED:
        assert run(name, UNSHARE, flags) == EPERM


def test_an_instance_that_looks_for_threads_that_way_is_killed() -> None:
    assert in_instance(UNSHARE, 0x10000) == in_instance(UNSHARE, 1 << 40 | 0x10000) == KILL


def test_the_zygote_may_attach_mounts_and_nobody_else() -> None:
    assert run("zygote", MOVE_MOUNT) == ALLOW
    assert in_instance(MOVE_MOUNT) == KILL
    for name in CONFINED:
        assert run(name, MOVE_MOUNT) == EPERM


def told(domain: int, kind: int = 1) -> int:
    """Return the action on socket(2) in an instance; it must be a refusal or an internet socket."""
    action = in_instance(SOCKET, domain, kind)
    assert (action == ALLOW) is (domain & 0xFFFFFFFF in (2, 10))
    return action


@given(st.integers(0, 2**64 - 1))
def test_sockets_are_of_the_internet_only(domain: int) -> None:
    assert told(domain) in (ALLOW, NOTIFY, EAFNOSUPPORT)
    silent = run("zygote without a listener", SOCKET, domain)
    assert silent == (ALLOW if domain & 0xFFFFFFFF in (2, 10) else EAFNOSUPPORT)


@pytest.mark.parametrize("domain", range(64))
def test_every_socket_domain(domain: int) -> None:
    expected = EAFNOSUPPORT if domain == 1 else NOTIFY
    assert told(domain) == (ALLOW if domain in (2, 10) else expected)
    assert seccomp.refusal(SOCKET, MACHINE) == 97
    assert run("egress", SOCKET, domain) == (ALLOW if domain in (2, 10) else EAFNOSUPPORT)
    assert run("offline", SOCKET, domain) == EAFNOSUPPORT


STREAM, DATAGRAM, FLAGS = 1, 2, 0x80800


@pytest.mark.parametrize("domain", [2, 10])
def test_of_the_internet_s_sockets_only_tcp_is_there(domain: int) -> None:
    """Datagrams reach other instances of the function, and MPTCP passes Landlock's rule."""
    for flags in (0, FLAGS):
        for protocol in (0, 6):
            assert in_instance(SOCKET, domain, STREAM | flags, protocol) == ALLOW
        for protocol in (1, 17, 132, 256, 262, 2**32 - 1):
            assert in_instance(SOCKET, domain, STREAM | flags, protocol) == NOTIFY
        for kind in range(2, 16):
            assert in_instance(SOCKET, domain, kind | flags) == EACCES
            assert run("egress", SOCKET, domain, kind | flags) == ALLOW


@given(st.integers(0, 2**64 - 1))
def test_pairs_are_of_connections_only(kind: int) -> None:
    expected = EPERM if kind & DATAGRAM else ALLOW
    assert in_instance(SOCKETPAIR, 1, kind) == expected


def test_pages_are_neither_merged_with_those_of_others_nor_otherwise_in_forks() -> None:
    for advice in range(26):
        expected = EINVAL if advice in (10, 12, 18) else ALLOW
        assert in_instance(MADVISE, 0, 4096, advice) == expected
        assert in_instance(MADVISE, 0, 4096, 1 << 32 | advice) == expected


def test_watches_are_refused_and_told() -> None:
    for name in ("inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_init"):
        assert in_instance(FORBIDDEN[name]) == NOTIFY


def test_the_c_library_s_question_is_refused_without_a_record() -> None:
    """It looks for services of names by streams of Unix: honest, and not worth a record."""
    cloexec, nonblock = 0x80000, 0x800
    for kind in (1, 1 | cloexec, 1 | nonblock, 1 | cloexec | nonblock):
        assert told(1, kind) == EAFNOSUPPORT
    for kind in (2, 2 | cloexec | nonblock, 3, 5):
        assert told(1, kind) == NOTIFY
    assert told(16, 1 | cloexec | nonblock) == NOTIFY


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_nothing_is_bound(address: int, size: int) -> None:
    expected = EPERM if size & 0xFFFFFFFF == 28 else NOTIFY
    assert in_instance(BIND, 3, address, size) == expected
    assert run("zygote without a listener", BIND, 3, address, size) == EPERM
    assert run("offline", BIND, 3, address, size) == run("egress", BIND, 3, address, size) == EPERM


def test_looking_for_ipv6_is_refused_without_a_record_and_listening_is_not() -> None:
    """urllib3 binds an IPv6 address when it is imported; nothing comes of it without listen."""
    assert in_instance(BIND, 3, 0x1000, 28) == EPERM
    assert in_instance(FORBIDDEN["listen"], 3, 1) == NOTIFY


@given(st.integers(0, 2**64 - 1))
def test_terminals_are_not_typed_into(request: int) -> None:
    low = request & 0xFFFFFFFF
    hostile = low in (0x5412, 0x541C) or request & 0xFF00 == 0xFF00
    other = ALLOW if low in argument_rules._FUNCTION_IOCTL else ENOTTY
    assert in_instance(IOCTL, 0, request) == (NOTIFY if hostile else other)


@pytest.mark.parametrize("request_", [0x5401, 0x5411, 0x541B, 0x5421, 0x5451, 0x8912, 0x8933])
def test_ioctl_does_what_functions_need(request_: int) -> None:
    assert in_instance(IOCTL, 3, request_) == in_instance(IOCTL, 3, 1 << 32 | request_) == ALLOW


@pytest.mark.parametrize(
    "request_",
    [
        *(0x8982, 0x8983, 0x8940, 0x8941, 0x89A0),  # SIOCGIFVLAN, SIOCGIFBR: look for modules
        *(0x8906, 0x8907, 0x80108906),  # SIOCGSTAMP
        *(0x894C, 0x8946, 0x5206, 0x40086602, 0xC018AA3F, 0),
    ],
)
def test_no_descriptor_has_any_other_request(request_: int) -> None:
    assert in_instance(IOCTL, 3, request_) == ENOTTY
    assert in_instance(IOCTL, 3, 1 << 32 | request_) == ENOTTY
    assert run("zygote without a listener", IOCTL, 3, request_) == ENOTTY


def test_whose_memory_is_watched_begins_that_and_asks_for_nothing_of_it() -> None:
    assert run("zygote that watches", IOCTL, 3, userfault.API) == ALLOW
    for request in (userfault._REGISTER, userfault._WRITEPROTECT, 0x8982):
        assert run("zygote that watches", IOCTL, 3, request) == ENOTTY


@pytest.mark.parametrize("request_", [0x5412, 0x541C, 0x1_0000_5412, 0xFFFFFFFF_0000541C])
def test_the_upper_half_hides_nothing(request_: int) -> None:
    assert in_instance(IOCTL, 0, request_) == NOTIFY
    assert run("zygote without a listener", IOCTL, 0, request_) == EPERM


@pytest.mark.parametrize("request_", [0xFF01, 0xFF09, 0xFF0A, 0xC040FF0B, 0x1_0000_FF04])
def test_a_process_descriptor_gives_no_namespace(request_: int) -> None:
    """PIDFD_GET_USER_NAMESPACE and its like, and PIDFD_GET_INFO (Linux 6.11 and later)."""
    assert in_instance(IOCTL, 3, request_) == NOTIFY
    assert run("zygote without a listener", IOCTL, 3, request_) == EPERM


@pytest.mark.parametrize("option", [67, 1 << 32 | 67])
def test_the_memory_of_a_process_is_merged_with_nobody_s(option: int) -> None:
    """PR_SET_MEMORY_MERGE does what MADV_MERGEABLE does, to all of it."""
    for name in ("zygote", "zygote without a listener", "zygote that watches", "offline"):
        assert run(name, PRCTL, option, 1) == EINVAL


@pytest.mark.parametrize("option", [26, 50, 51, 52])
def test_a_socket_is_given_no_program(option: int) -> None:
    assert in_instance(SETSOCKOPT, 3, 1, option) == NOTIFY
    assert in_instance(SETSOCKOPT, 3, 1 << 32 | 1, 1 << 32 | option) == NOTIFY
    assert in_instance(SETSOCKOPT, 3, 6, option) == ENOPROTOOPT
    assert in_instance(SETSOCKOPT, 3, 1, 7) == ALLOW


TAKEN = [
    *((1, option) for option in (2, 6, 7, 8, 9, 12, 15, 18, 20, 21, 66, 67)),
    *((6, option) for option in (1, 3, 4, 5, 6, 12, 13, 18, 25)),
    *((0, 1), (0, 24), (41, 26), (41, 67)),
]


@pytest.mark.parametrize(("level", "option"), TAKEN)
def test_a_socket_has_the_options_of_clients(level: int, option: int) -> None:
    assert in_instance(SETSOCKOPT, 3, level, option) == ALLOW
    assert in_instance(SETSOCKOPT, 3, 1 << 32 | level, 1 << 32 | option) == ALLOW


@pytest.mark.parametrize(
    ("level", "option"),
    [
        *((1, option) for option in (29, 35, 37, 63, 64, 65)),  # SO_TIMESTAMP and its like
        *((1, 73), (1, 16), (1, 44), (1, 46), (1, 47), (1, 61), (1, 83)),
        *((6, 14), (6, 19), (6, 23), (6, 30), (6, 31), (6, 32), (6, 33), (6, 38)),
        *((0, 4), (0, 35), (0, 64), (41, 1), (41, 20), (41, 27), (41, 64)),
        *((282, 1), (284, 1), (17, 1), (132, 1), (2**32 - 1, 2), (255, 1)),
    ],
)
def test_a_socket_has_no_other_option(level: int, option: int) -> None:
    assert in_instance(SETSOCKOPT, 3, level, option) == ENOPROTOOPT
    assert in_instance(SETSOCKOPT, 3, 1 << 32 | level, 1 << 32 | option) == ENOPROTOOPT


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_no_option_that_is_not_listed_is_taken(level: int, option: int) -> None:
    listed = argument_rules._FUNCTION_OPTIONS.get(level & 0xFFFFFFFF, ())
    taken = in_instance(SETSOCKOPT, 3, level, option) == ALLOW
    assert taken is (option & 0xFFFFFFFF in listed)


@pytest.mark.parametrize("command", [6, 7, 37, 38])
def test_locks_of_parts_of_files_are_none(command: int) -> None:
    """There can be any number of them, for which all pay who close what has no file."""
    assert in_instance(FCNTL, 9, command, 0x7000) == DONE
    assert in_instance(FCNTL, 9, command | 1 << 32, 0x7000) == DONE


LISTED = (0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 15, 16, 36, 1024, 1025, 1030, 1032, 1033, 1034)


@pytest.mark.parametrize("command", LISTED)
def test_other_uses_of_fcntl_are_what_they_were(command: int) -> None:
    assert in_instance(FCNTL, 9, command, 1 << 20) == ALLOW


@given(st.integers(0, 2**64 - 1) | st.integers(0, 64) | st.integers(1000, 1064))
@example(1026)
@example(1036)
def test_no_use_of_fcntl_that_is_not_listed_is_made(command: int) -> None:
    """F_NOTIFY, by which other calls are heard of, and F_SET_RW_HINT, which stays at a file."""
    known = (*LISTED, 6, 7, 37, 38, 1031)
    if command & 0xFFFFFFFF not in known:
        assert in_instance(FCNTL, 9, command, 1) == EINVAL


@pytest.mark.parametrize(
    ("operation", "expected"),
    [(2, ALLOW), (6, ALLOW), (8, ALLOW), (12, ALLOW), (1, DONE), (5, DONE)]
    + [(operation, EINVAL) for operation in (0, 3, 9, 32, 33, 96, 224, 228, 0x102)],
)
def test_a_file_has_one_lock(operation: int, expected: int) -> None:
    """LOCK_MAND (32), of which older kernels keep many, is none of the operations let through."""
    assert in_instance(FLOCK, 9, operation) == expected
    told = NOTIFY if expected == ALLOW else expected
    assert run("zygote that asks", FLOCK, 9, operation) == told


def test_nobody_chooses_a_processor() -> None:
    """To libraries it is as if they had: they choose for speed, and control groups bound it."""
    number = CONDITIONAL["sched_setaffinity"]
    for args in ((), (0, 8, 0x7000), (2**64 - 1,) * 6):
        assert in_instance(number, *args) == run("zygote that asks", number, *args) == DONE


def test_no_pipe_becomes_larger() -> None:
    assert in_instance(FCNTL, 1, 1031, 65536) == in_instance(FCNTL, 1, 1031, 4096) == ALLOW
    assert in_instance(FCNTL, 1, 1031, 65537) == in_instance(FCNTL, 1, 1031, 1 << 20) == EPERM


def test_nobody_waits_for_a_socket_that_a_function_had() -> None:
    assert in_instance(SETSOCKOPT, 5, 1, 13) == DONE
    assert in_instance(SETSOCKOPT, 5, 6, 13) == ALLOW  # TCP_CONGESTION


def test_a_socket_tells_nothing_of_the_process_at_its_other_end() -> None:
    assert in_instance(SETSOCKOPT, 5, 1, 76) == NOTIFY
    assert in_instance(GETSOCKOPT, 5, 1, 77) == NOTIFY
    for level, option in ((1, 17), (1, 4), (6, 77), (41, 77)):
        assert in_instance(GETSOCKOPT, 5, level, option) == ALLOW


def test_nobody_becomes_dumpable_again() -> None:
    """A crash then has the host start a program as root (core(5)), whatever RLIMIT_CORE says."""
    for program in (in_instance, lambda *args: run("zygote without a listener", *args)):
        assert program(PRCTL, 4, 0) == program(PRCTL, 1 << 32 | 4, 0) == ALLOW
        for value in (1, 2, 2**32 - 1, 1 << 32 | 1):
            assert program(PRCTL, 4, value) == program(PRCTL, 1 << 32 | 4, value) == EPERM


@pytest.mark.parametrize("option", [1, 15, 16, 36, 38, 40, 47, 0x53564D41])
def test_prctl_does_what_functions_need(option: int) -> None:
    assert in_instance(PRCTL, option, 1) == ALLOW


@pytest.mark.parametrize("option", [26, 31, 33, 53, 57, 59, 62, 67, 70, 77, 78, 79, 1000])
def test_prctl_does_nothing_else(option: int) -> None:
    """PR_SCHED_CORE (62) has the other half of a core rest while a function runs; 53 slows it."""
    assert in_instance(PRCTL, option, 1) == EINVAL


def test_a_socket_has_no_port_of_one_s_choice() -> None:
    assert in_instance(SETSOCKOPT, 3, 0, 51) == NOTIFY
    assert in_instance(SETSOCKOPT, 3, 1 << 32, 1 << 32 | 51) == NOTIFY
    assert all(in_instance(SETSOCKOPT, 3, 0, option) == ALLOW for option in (1, 2, 24))
    assert in_instance(SETSOCKOPT, 3, 41, 51) == in_instance(SETSOCKOPT, 3, 6, 51) == ENOPROTOOPT


def test_a_socket_leaves_no_flow_label() -> None:
    for name in ("offline", "egress"):
        assert run(name, SETSOCKOPT, 3, 41, 32) == EPERM
    assert in_instance(SETSOCKOPT, 3, 41, 32) == NOTIFY
    assert in_instance(SETSOCKOPT, 3, 1 << 32 | 41, 1 << 32 | 32) == NOTIFY
    assert in_instance(SETSOCKOPT, 3, 41, 26) == ALLOW
    assert in_instance(SETSOCKOPT, 3, 6, 32) == in_instance(SETSOCKOPT, 3, 1, 32) == ENOPROTOOPT


# -- the node's own processes --------------------------------------------------------------------


def test_the_gateway_answers_denied_calls_and_adds_no_descriptors_to_their_callers() -> None:
    receive, send, valid, add = 0xC0502100, 0xC0182101, 0x40082102, 0x40182103
    for request in (receive, send, valid):
        assert run("gateway", IOCTL, 3, request) == ALLOW
    assert run("gateway", IOCTL, 3, add) == run("gateway", IOCTL, 3, 1 << 40 | add) == EPERM


@pytest.mark.parametrize("name", ["offline", "egress"])
def test_a_process_of_the_node_has_no_more_than_a_function(name: str) -> None:
    extra = {"offline": {"memfd_secret"}, "egress": {"listen"}}[name]
    for number in range(600):
        if run(name, number) == ALLOW and number not in SPECIAL:
            call = name_of(number, MACHINE)
            assert number in ALLOWED.values() or call in extra, call
        assert run(name, number) not in (NOTIFY, KILL)


def test_an_offline_process_reaches_nobody_it_has_no_socket_of() -> None:
    for call in ("connect", "accept", "accept4"):
        assert run("offline", ALLOWED[call]) == EPERM
    for call in ("bind", "listen"):
        assert run("offline", {**FORBIDDEN, **CONDITIONAL}[call]) == EPERM
    for call in ("sendmsg", "recvmsg", "read", "write"):
        assert run("offline", ALLOWED[call]) == ALLOW
    for kind, expected in ((1, ALLOW), (5, ALLOW), (0x80801, ALLOW), (2, EPERM), (0x80802, EPERM)):
        # A pair of datagram sockets could send to any address.
        assert run("offline", SOCKETPAIR, 1, kind) == expected


FAST_OPEN = 0x20000000
SENDING = (("sendto", (0, 0, 0)), ("sendmsg", (0, 0)), ("sendmmsg", (0, 0, 0)))


@pytest.mark.parametrize("name", ["offline", "accepting", "egress"])
def test_sending_connects_nothing(name: str) -> None:
    """With MSG_FASTOPEN it does, of which neither connect(2) nor Landlock is asked."""
    for call, before in SENDING:
        number = MACHINE.calls[call]
        for flags in (0, 0x4000, 0x40, 0xFFFFFFFF & ~FAST_OPEN):
            assert run(name, number, *before, flags) == ALLOW
        for flags in (FAST_OPEN, FAST_OPEN | 0x4000, 0xFFFFFFFF, 2**64 - 1):
            assert run(name, number, *before, flags) == EPERM


def test_nor_does_it_in_a_function() -> None:
    """What is refused is on record, but of a call that whoever answers may let through."""
    asked = decoded(seccomp.zygote_program(asked=("sendmmsg",), machine=MACHINE))
    for call, before in SENDING:
        number = MACHINE.calls[call]
        for flags in (0, 0x4000, 0x40, 0xFFFFFFFF & ~FAST_OPEN):
            assert in_instance(number, *before, flags) == ALLOW
            noted = NOTIFY if call == "sendmmsg" else ALLOW
            assert evaluate(asked, number, (*before, flags), X86_64) == noted
        expected = EPERM if call == "sendmmsg" else NOTIFY
        for flags in (FAST_OPEN, FAST_OPEN | 0x4000, 0xFFFFFFFF, 2**64 - 1):
            assert in_instance(number, *before, flags) == expected
            assert run("zygote without a listener", number, *before, flags) == EPERM
            assert evaluate(asked, number, (*before, flags), X86_64) == expected


def test_who_shares_a_listener_can_neither_end_nor_change_it() -> None:
    shutdown = MACHINE.calls["shutdown"]
    assert [run("accepting", shutdown, 3, how) for how in (0, 1, 2)] == [EPERM, ALLOW, EPERM]
    assert run("accepting", SETSOCKOPT, 3, 6, 1) == ALLOW
    # SO_BINDTODEVICE, TCP_DEFER_ACCEPT, SO_SNDBUF, SO_REUSEPORT, IPV6_V6ONLY.
    for level, option in ((1, 25), (6, 9), (1, 7), (1, 15), (41, 26), (1, 1)):
        assert run("accepting", SETSOCKOPT, 3, level, option) == EPERM
    listen, fcntl = FORBIDDEN["listen"], MACHINE.calls["fcntl"]
    assert run("accepting", listen, 3, BACKLOG) == ALLOW
    for backlog in (0, 1, BACKLOG - 1, BACKLOG + 1, 2**32 - 1):
        assert run("accepting", listen, 3, backlog) == EPERM
    # F_SETOWN, F_SETSIG, F_SETOWN_EX; F_GETFL, F_SETFL, F_DUPFD_CLOEXEC.
    assert {run("accepting", fcntl, 3, command) for command in (8, 10, 15)} == {EPERM}
    assert {run("accepting", fcntl, 3, command) for command in (3, 4, 1030)} == {ALLOW}


@pytest.mark.parametrize("name", ONLY_THREADS)
def test_a_process_of_the_node_does_nothing_to_others_of_its_user(name: str) -> None:
    """Workers have one user, as have the processes of one kind of two nodes on one machine."""
    for call in (
        *("prlimit64", "sched_setaffinity", "sched_setscheduler"),
        *("sched_setparam", "sched_setattr"),
    ):
        number = MACHINE.calls[call]
        assert run(name, number, 0, 7) == ALLOW
        for pid in (1, 4711, 2**31, 2**32 - 1):
            assert run(name, number, pid, 7) == EPERM
    priority = MACHINE.calls["setpriority"]
    assert run(name, priority, 0, 0, 5) == ALLOW
    # PRIO_PROCESS of another, PRIO_PGRP, PRIO_USER.
    for which, who in ((0, 4711), (1, 0), (2, 0), (2, 64808)):
        assert run(name, priority, which, who, 5) == EPERM


def test_a_worker_signals_nobody() -> None:
    for call in ("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        assert run("accepting", MACHINE.calls[call], 4711, 4711, 9) == EPERM
    assert run("accepting", MACHINE.calls["pidfd_send_signal"], 3, 9) == EPERM


def test_the_egress_proxy_connects_and_accepts() -> None:
    for call in ("connect", "accept4", "sendto", "socketpair"):
        assert run("egress", {**ALLOWED, **CONDITIONAL}[call]) == ALLOW
    assert run("egress", FORBIDDEN["listen"]) == ALLOW


def test_the_gateway_makes_and_enters_no_sandbox_and_may_do_the_rest() -> None:
    refused = {number for number in range(1024) if run("gateway", number, NAMESPACE_FLAGS) != ALLOW}
    names = {number: name for name, number in FORBIDDEN.items()}
    for name in ("ptrace", "mount", "umount2", "pivot_root", "chroot", "setns", "bpf"):
        assert FORBIDDEN[name] in refused
    for name in ("open_tree", "fsopen", "fsmount", "mount_setattr", "pidfd_getfd", "keyctl"):
        assert FORBIDDEN[name] in refused
    others = refused - set(FORBIDDEN.values())
    assert others == {CLONE, CLONE3, EXECVE, EXECVEAT, UNSHARE, MOVE_MOUNT, SECCOMP}
    assert not {number for number in range(1024) if run("gateway", number) in (NOTIFY, KILL)}
    assert "sync" not in {names[n] for n in refused - others}


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_function_loads_no_filter(operation: int, flags: int) -> None:
    """With a listener of its own it could let its children's calls through."""
    for args in ((operation, flags), (1, flags), (operation, 1), (1, 8), (1, 8 | 16), (0, 0)):
        low = tuple(value & 0xFFFFFFFF for value in args)
        instances = low == (1, 1)
        assert run("zygote", SECCOMP, *args) == (ALLOW if instances else NOTIFY)
        assert run("zygote without a listener", SECCOMP, *args) == (ALLOW if instances else EPERM)
        assert run("instance", SECCOMP, *args) == (KILL if instances else ALLOW)
        for name in CONFINED:
            assert run(name, SECCOMP, *args) == EPERM


@given(st.integers(0, 2**64 - 1))
def test_nor_by_the_older_call(option: int) -> None:
    for each in (option, 22, 22 | 1 << 32, 4, 15, 38, 59):
        older = each & 0xFFFFFFFF == 22
        known = {argument_rules._SET_DUMPABLE, *argument_rules._FUNCTION_PRCTL}
        other = ALLOW if each & 0xFFFFFFFF in known else EINVAL
        assert run("zygote", PRCTL, each) == (NOTIFY if older else other)
        assert run("zygote without a listener", PRCTL, each) == (EPERM if older else other)
        assert run("instance", PRCTL, each) == ALLOW
        for name in CONFINED:
            assert run(name, PRCTL, each) == (EPERM if older else ALLOW)


# -- the kernel ----------------------------------------------------------------------------------

KERNEL = """
import ctypes, errno, os, sys
sys.path.insert(0, "src")
from casemate.kernel import linux, seccomp
linux.set_no_new_privileges()
linux.install_filter(seccomp.zygote_program(notify=False))
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    result = libc.syscall(*args)
    return errno.errorcode.get(ctypes.get_errno(), "ok") if result < 0 else "ok"
checks = [call(39), call(101, 0, 0, 0, 0), call(999), call(59, 0, 0, 0), call(41, 1, 1, 0),
          call(435, 0, 0), call(272, 0x10000000), call(272, 0x10000), call(165, 0, 0, 0, 0, 0)]
linux.install_filter(seccomp.instance_program())
checks += [call(272, 0x20000), call(56, 0x10000000 | 17, 0, 0, 0, 0)]
def end(*args):
    pid = os.fork()
    if pid == 0:
        libc.syscall(*args)
        os._exit(7)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
checks += [end(39), end(272, 0x10000), end(429, -1, 0, -1, 0, 0),
           end(56, linux.INSTANCE_CLONE_FLAGS, 0, 0, 0, 0)]
print(",".join(checks), flush=True)
libc.syscall(0x40000000 | 39)
"""


@on_the_machine
def test_the_kernel_takes_the_filters_and_agrees() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KERNEL],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip().split(",") == [
        "ok",
        "EPERM",
        "ENOSYS",
        "EACCES",
        "EAFNOSUPPORT",
        "ENOSYS",
        "EPERM",
        "ok",
        "EPERM",
        "EPERM",
        "EPERM",
        "7",
        "-31",
        "-31",
        "-31",
    ], done.stderr
    assert done.returncode == -31, "an x32 call is killed with SIGSYS"


LISTENER = """
import ctypes, errno, os, sys
sys.path.insert(0, "src")
from casemate.kernel import linux, seccomp
linux.set_no_new_privileges()
zygote = seccomp.zygote_program()
first = linux.PreparedFilter(zygote).install_with_listener()
print(os.get_inheritable(first), end=" ")
mine = linux.PreparedFilter(seccomp.gateway_program())
plain = linux.PreparedFilter(seccomp.instance_program())
os.close(first)
libc = ctypes.CDLL(None, use_errno=True)
def name(result):
    return "done" if result >= 0 else errno.errorcode[ctypes.get_errno()]
print(name(libc.syscall(101, 0, 0, 0, 0)), end=" ")
for flags in (8, 8 | 16, 8 | 16 | 1, 0, 1 << 32 | 8):
    print(name(libc.syscall(317, 1, ctypes.c_ulong(flags), mine._fprog)), end=" ")
print(name(libc.prctl(22, 2, mine._fprog, 0, 0)), name(libc.prctl(22, 1, 0, 0, 0)), end=" ")
print(plain.install(), flush=True)
plain.install()
"""


@on_the_machine
def test_whoever_loses_the_listener_gets_none_of_their_own() -> None:
    """As the gateway did when it died: hostile code then let its children's calls through."""
    done = subprocess.run(
        [sys.executable, "-c", LISTENER],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.split() == ["False", *(["ENOSYS"] * 8), "None"], done.stderr
    assert done.returncode == -31, "an instance that loads a filter ends"


def test_memory_is_watched_in_one_form_and_never_in_an_instance() -> None:
    number, form = MACHINE.calls["userfaultfd"], userfault.FLAGS
    assert run("zygote that watches", number, form) == ALLOW
    assert run("zygote", number, form) == NOTIFY
    assert run("zygote without a listener", number, form) == EPERM
    for other in (0, 1, form ^ 1, form | 1 << 12, 0xFFFFFFFF):
        assert run("zygote that watches", number, other) == NOTIFY
    assert run("instance", number, form) == KILL
    for name in set(MACHINE.calls) - {"userfaultfd"}:
        for args in ((), (form,), (2**64 - 1,) * 6):
            call = MACHINE.calls[name]
            assert run("zygote that watches", call, *args) == run("zygote", call, *args), name
