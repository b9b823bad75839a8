"""What functions share by way of the kernel neither connects them nor lets one starve another."""

from __future__ import annotations

import errno
import os
import platform
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from casemate.model.processes import SANDBOX_UID
from support.attacks import attempt
from support.lingering import lingering
from support.node import TestNode, default_risks

SHARES_NODE = True
SOURCE = Path(__file__).parent.parent / "functions" / "attacks" / "shared.py"
LIMITS = 'timeout = "20s"\nprocesses = 16\nopen_files = 1024\nmemory = "128MB"'
PROJECTS = ["p0", "p1"]
DEVICES = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}
own_ids = pytest.mark.skipif(bool(default_risks()), reason="this user has no subordinate ids")
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def several(node: TestNode) -> TestNode:
    """The node with the same code deployed as `f` in two projects."""
    for project in PROJECTS:
        node.deploy(SOURCE.read_text(), project=project, limits=LIMITS, unguarded=True)
    return node


@pytest.fixture(scope="module")
def ask(several: TestNode) -> Ask:
    """Have a function do something; return what it says."""

    def call(function: str, what: str, /, **event: Any) -> Any:
        answer = httpx2.post(
            f"{several.url}/invoke/{function}",
            json={"attack": what, **event},
            headers={"authorization": f"Bearer {several.key}"},
            timeout=60,
        )
        assert answer.status_code == 200, several.error(answer)
        return answer.json()

    return call


@contextmanager
def meanwhile(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Future[Any]]:
    """Have a call run while the block does; it has had the time to begin."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call, *args, **kwargs)
        time.sleep(0.4)
        yield running
        running.result()


# -- inodes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["flock", "posix", "ofd"])
def test_locks_do_not_meet(ask: Ask, kind: str) -> None:
    """Not on the interpreter, on libraries, on devices, nor on a bundle of the same code."""
    with meanwhile(ask, "p0/f", "hold", kind=kind, seconds=1.2) as holding:
        seen = set(ask("p1/f", "look", kind=kind)["result"])
    locked = set(holding.result()["result"])
    assert {"/dev/null", "/"} <= locked and len(locked) > 8
    # Only root can make devices: for an ordinary user's node SECURITY.md says what is left.
    assert seen <= (set() if os.geteuid() == 0 else DEVICES)


def test_the_lock_itself_is_one(ask: Ask) -> None:
    """Or the test above would prove nothing: two calls of one function do meet."""
    with meanwhile(ask, "p0/f", "hold", kind="flock", seconds=1.2):
        seen = set(ask("p0/f", "look", kind="flock")["result"])
    assert {"/dev/null", "/"} <= seen


@pytest.mark.parametrize("kind", ["posix", "ofd", "shared"])
def test_locks_on_what_has_no_file_are_none(ask: Ask, kind: str) -> None:
    """Epoll, eventfd and timers are of one inode, of which all that the machine has are.

    200,000 such locks, which took two seconds, had each close of one anywhere take 74 ms.
    """
    with meanwhile(ask, "p0/f", "hold_without_file", kind=kind, seconds=1.2) as holding:
        assert ask("p1/f", "look_without_file", kind=kind) == {"result": []}
    assert holding.result() == {"result": "held"}


@pytest.mark.parametrize("descriptor", [0, 3], ids=["tcp", "the gateway's"])
def test_nobody_waits_to_close_a_socket(ask: Ask, descriptor: int) -> None:
    """Or the gateway would, of one that it was sent with a message, and closes as it reads that."""
    assert ask("p0/f", "linger_on", descriptor=descriptor) == {"result": 0}


def takes_no_descriptors() -> bool:
    """Tell whether a socket can be told to (SO_PASSRIGHTS, Linux 6.16)."""
    one, other = socket.socketpair()
    with one, other:
        try:
            one.setsockopt(socket.SOL_SOCKET, 83, 0)
        except OSError:
            return False
    return True


@pytest.mark.skipif(not takes_no_descriptors(), reason="sockets of this kernel take them")
def test_the_gateway_is_sent_no_descriptor(ask: Ask) -> None:
    """It would close it: an epoll at which 200,000 wait, or a file of all of one's memory."""
    assert ask("p0/f", "give_descriptor") == {"errno": errno.EPERM}


def test_the_process_at_the_other_end_is_not_to_be_had(several: TestNode) -> None:
    """It is the gateway, whose descriptor would be of one inode for all functions."""
    tried = attempt(several, "p0/f", {"attack": "ask_other_end", "option": 77})
    assert tried.errno == errno.EPERM
    assert tried.denied("getsockopt")


@pytest.mark.parametrize("option", [26, 53, 62], ids=["tsc", "speculation", "sched-core"])
def test_how_a_core_is_shared_is_not_a_function_s_to_set(ask: Ask, option: int) -> None:
    assert ask("p0/f", "set_process", option=option) == {"errno": errno.EINVAL}


@pytest.mark.parametrize("option", [29, 35, 37, 63], ids=["us", "ns", "kinds", "new"])
def test_no_socket_has_the_kernel_patch_itself(ask: Ask, option: int) -> None:
    """One that asked for times (SO_TIMESTAMP) and went, 7,000 times a second, interrupted all
    processors 9,000 times a second, and a thread of the kernel took a fifth of one."""
    assert ask("p0/f", "set_socket", level=1, option=option) == {"errno": errno.ENOPROTOOPT}


@pytest.mark.parametrize("request_", [0x8906, 0x8907], ids=["us", "ns"])
def test_nor_by_asking_when_something_came(ask: Ask, request_: int) -> None:
    assert ask("p0/f", "ask_socket", request=request_) == {"errno": errno.ENOTTY}


def test_nobody_chooses_a_processor(ask: Ask) -> None:
    """Four functions that did, again and again, left a neighbour half of its calls."""
    before, after = ask("p0/f", "choose_processors")
    assert before == after


@pytest.mark.parametrize("request_", [0x8982, 0x8983, 0x8940, 0x8941, 0x89A0])
def test_the_host_looks_for_no_module(ask: Ask, request_: int) -> None:
    """SIOCGIFVLAN and SIOCGIFBR have it run modprobe as root, each time that there is none."""
    assert ask("p0/f", "ask_socket", request=request_) == {"errno": errno.ENOTTY}


@pytest.mark.parametrize(
    ("level", "option"), [(6, 38), (6, 14), (1, 73)], ids=["ciphers", "MD5", "memory of TCP"]
)
def test_a_socket_takes_nothing_that_the_machine_has_few_of(
    ask: Ask, level: int, option: int
) -> None:
    found = ask("p0/f", "set_socket", level=level, option=option)
    assert found == {"errno": errno.ENOPROTOOPT}


def test_a_crash_starts_nothing_on_the_host(ask: Ask) -> None:
    """Who is dumpable has the host start what core_pattern names, whatever RLIMIT_CORE says."""
    assert ask("p0/f", "become_dumpable") == {"errno": errno.EPERM, "then": 0}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_tell_not_how_many_zygotes_there_are(several: TestNode, ask: Ask) -> None:
    before = ask("p0/f", "room_for_devices")
    several.deploy(SOURCE.read_text(), project="p1", name="another", limits=LIMITS, unguarded=True)
    assert ask("p1/another", "layout")
    assert before == ask("p0/f", "room_for_devices")
    assert before[:2] == [0, 0]


def test_no_lease_is_had(ask: Ask) -> None:
    had = ask("p0/f", "hold", kind="lease", seconds=0)["result"]
    # Of an ordinary user's node without subordinate ids its bundle is its own: see SECURITY.md.
    assert not [place for place in had if not (default_risks() and place.startswith("/function"))]


@pytest.mark.parametrize("how", ["inotify", "fanotify"])
def test_nothing_is_watched(several: TestNode, how: str) -> None:
    tried = attempt(several, "p0/f", {"attack": "watch", "how": how})
    assert tried.errno == errno.EPERM
    assert tried.denied("inotify_init1" if how == "inotify" else "fanotify_init")


def test_a_folder_tells_nothing_of_other_readers(ask: Ask) -> None:
    """Of another project, nor of other calls of its own function: those have the same inodes."""
    for reader in ("p1/f", "p0/f"):
        with meanwhile(ask, "p0/f", "watch", how="dnotify") as watching:
            for _ in range(5):
                assert ask(reader, "read_library")["result"] > 100
        assert watching.result() == {"result": [], "refused": {"errno": errno.EINVAL}}


def test_the_times_of_devices_stay(ask: Ask) -> None:
    before = ask("p1/f", "times")
    tried = ask("p0/f", "touch")
    for name, attempts in tried.items():
        assert [a.get("errno") for a in attempts[:3]] == [errno.EROFS] * 3, name
        assert attempts[3].get("errno") in {errno.EROFS, errno.EPERM}
    assert ask("p1/f", "times") == before
    assert ask("p1/f", "use_devices") == [4, "", "000000", 16]


def test_nobody_is_told_which_pages_are_in_memory(ask: Ask) -> None:
    """Neither of files nor of memory, in which calls before may have touched some."""
    refused = {"errno": errno.ENOSYS}
    assert ask("p0/f", "residency") == {"cachestat": refused, "mincore": refused}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other machines have no such calls")
def test_the_calls_of_probes_do_nothing(ask: Ask) -> None:
    """`uretprobe` and `uprobe`, which newer kernels let pass every filter.

    Only code that the kernel has placed for a probe of root's may make them. Others are ended, or
    told that there is nothing; where the kernel lacks a call, or filters it, it is unknown.
    """
    for call, told in ask("p0/f", "probe").items():
        if call == "uretprobe":
            assert told in {-signal.SIGILL, 0}
        else:
            assert told in ({"errno": errno.ENXIO}, {"errno": errno.ENOSYS})


def test_pages_are_not_merged_with_those_of_others(ask: Ask) -> None:
    assert ask("p0/f", "merge") == {"errno": errno.EINVAL}
    assert ask("p0/f", "merge_all") == {"errno": errno.EINVAL}


@pytest.mark.parametrize("request_", [0xFF04, 0xFF09, 0xC040FF0B], ids=["net", "user", "info"])
def test_a_process_descriptor_tells_nothing(several: TestNode, request_: int) -> None:
    """Linux 6.11 gives descriptors of namespaces by it, 6.13 the id of a control group."""
    tried = attempt(several, "p0/f", {"attack": "ask_process", "request": request_})
    assert tried.errno == errno.EPERM
    assert tried.denied("ioctl(of a process descriptor)")


def test_a_socket_takes_no_program(several: TestNode) -> None:
    tried = attempt(several, "p0/f", {"attack": "give_program", "option": 26})
    assert tried.errno == errno.EPERM
    assert tried.denied("setsockopt")


def test_no_label_of_a_flow_outlives_its_call(several: TestNode) -> None:
    """One is in the network namespace for up to 150 s, and the machine has 4,096 of them."""
    for _ in range(2):
        tried = attempt(several, "p0/f", {"attack": "label_a_flow", "label": 0x12345})
        assert tried.errno == errno.EPERM
        assert tried.denied("setsockopt")


def test_no_port_is_chosen(several: TestNode) -> None:
    """Which ones the call before had could be found out by that, for a minute."""
    tried = attempt(several, "p0/f", {"attack": "choose_port", "port": 40_000})
    assert tried.errno == errno.EPERM
    assert tried.denied("setsockopt")


# -- user ids ----------------------------------------------------------------------------------


def owners(pid: int) -> set[int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(i) for line in lines if line.startswith(("Uid:", "Gid:")) for i in line.split()[1:]}


@own_ids
def test_each_function_has_a_user_id_of_its_own(several: TestNode) -> None:
    with (
        lingering(several, "p0/f", "one", 0.8) as one,
        lingering(several, "p1/f", "two", 0.8) as two,
    ):
        first, second = owners(one), owners(two)
    for found in (first, second):
        assert not found & {0, os.geteuid(), SANDBOX_UID}
    assert not first & second


def test_an_instance_does_not_learn_its_user_id(ask: Ask) -> None:
    uid, gid, groups, _ = ask("p0/f", "identity")
    assert (uid, gid) == (65534, 65534)
    assert set(groups) <= {65534}


@own_ids
def test_descriptors_in_flight_block_nobody_else(several: TestNode, ask: Ask) -> None:
    """More of them than one may have keep all with that user id from passing one on."""
    with meanwhile(ask, "p0/f", "in_flight", count=20_000, seconds=3.0) as flying:
        several.deploy(SOURCE.read_text(), project="p1", name="late", limits=LIMITS, unguarded=True)
        for _ in range(5):
            assert ask("p1/late", "layout")
    assert flying.result() == {"errno": errno.ETOOMANYREFS, "sent": flying.result()["sent"]}


def test_pending_signals_are_bounded_and_ones_own(ask: Ask) -> None:
    assert ask("p0/f", "limits") == [128, 128]
    with meanwhile(ask, "p0/f", "pending", seconds=1.0) as queued:
        assert ask("p1/f", "pending", seconds=0)["result"] >= 100
    assert 100 <= queued.result()["result"] <= 128


@own_ids
def test_the_memory_of_pipes_is_ones_own(ask: Ask) -> None:
    with meanwhile(ask, "p0/f", "pipes", seconds=1.0) as filled:
        assert ask("p1/f", "pipe_size") == {"result": 65536}
    assert filled.result()["result"] > 1000
    assert filled.result()["then"] < 65536


def test_nobody_makes_the_pipes_of_the_gateway_larger(ask: Ask) -> None:
    """The kernel counts them for its user, and makes all others small once they are too large."""
    assert ask("p0/f", "enlarge_output") == {"errno": errno.EPERM, "size": 65536}


# -- sockets of one function's instances ---------------------------------------------------------

MPTCP, SCTP, UDPLITE, SMC = 262, 132, 136, 256


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize(
    ("kind", "protocol", "expected"),
    [
        (socket.SOCK_DGRAM, 0, errno.EACCES),
        (socket.SOCK_DGRAM, 17, errno.EACCES),
        (socket.SOCK_DGRAM, UDPLITE, errno.EACCES),
        (socket.SOCK_SEQPACKET, SCTP, errno.EACCES),
        (socket.SOCK_STREAM, SCTP, errno.EAFNOSUPPORT),
        (socket.SOCK_STREAM, MPTCP, errno.EAFNOSUPPORT),
        (socket.SOCK_STREAM, SMC, errno.EAFNOSUPPORT),
    ],
)
def test_nothing_but_tcp_is_spoken(
    several: TestNode, family: int, kind: int, protocol: int, expected: int
) -> None:
    event = {"attack": "open_socket", "family": family, "kind": kind, "protocol": protocol}
    tried = attempt(several, "p0/f", event)
    assert tried.errno == expected
    if expected == errno.EAFNOSUPPORT:
        assert tried.denied("socket(another protocol)")


def test_tcp_is_there(ask: Ask) -> None:
    for protocol in (0, 6):
        made = ask("p0/f", "open_socket", family=2, kind=socket.SOCK_STREAM, protocol=protocol)
        assert made == {"result": None}


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_RAW])
def test_no_pair_can_be_named(ask: Ask, kind: int) -> None:
    """The kernel gives a socket of datagrams an abstract name when it is used (unix(7))."""
    assert ask("p0/f", "open_pair", kind=kind) == {"errno": errno.EPERM}
    for connected in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        assert ask("p0/f", "open_pair", kind=connected) == {"result": None}


# -- files of the host ---------------------------------------------------------------------------


def test_what_is_readable_of_the_host(ask: Ask) -> None:
    """An interpreter, shared libraries and what the C library loads, time zones and locales."""
    seen = ask("p0/f", "folders")
    assert set(seen["/"]) <= {
        "dev",
        "function",
        "lib",
        "lib64",
        "tmp",
        "usr",
        "root",
        "opt",
        "home",
    }
    assert set(seen["/usr"]) <= {"lib", "lib64", "local", "share"}
    standard = [name for name in seen["/usr/lib"] if name.startswith("python3.")]
    others = {"x86_64-linux-gnu", "locale", *standard}
    assert set(seen["/usr/lib"]) <= others and len(standard) <= 1
    assert seen["/usr/share"] == ["zoneinfo"]
    loaded = {"gconv", "engines-3", "ossl-modules", "blas", "lapack", "atlas"}
    left = {n for n in seen["libraries"] if not n.startswith(("openblas-", "python3."))}
    assert left <= loaded
    assert not {"site-packages", "dist-packages"} & set(seen["standard"])


def test_what_is_needed_of_the_host_is_there(ask: Ask) -> None:
    assert ask("p0/f", "works") == [9, "Europe/Berlin", True]
