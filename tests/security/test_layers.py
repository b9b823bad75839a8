"""With one layer taken away, what only that layer stops succeeds: so the tests test something.

Landlock and control groups are risks that an operator can accept. The filter and the namespaces
are not, so a node runs from a copy of the source in which they do nothing. Each attack is tried
on a whole node first, where it fails.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import casemate
from casemate.drills import ATTACKER
from support.attacks import Attempt, attempt
from support.bystanders import processes_named
from support.lingering import lingering
from support.node import TestNode

LIMITS = 'timeout = "20s"\nprocesses = 64\nopen_files = 64\nmemory = "64MB"'
Start = Callable[..., TestNode]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a node with `t/attack` and `t/victim`, from a copy of the source if it is patched."""
    nodes: list[TestNode] = []

    def run(*arguments: str, patches: tuple[tuple[str, str, str], ...] = ()) -> TestNode:
        folder = tmp_path_factory.mktemp("layer")
        with pytest.MonkeyPatch.context() as environment:
            if patches:
                environment.setenv("PYTHONPATH", str(_patched(folder, patches)))
            node = TestNode(folder / "data", *arguments)
            nodes.append(node)
            node.start()
        for name in ("attack", "victim"):
            node.deploy(ATTACKER.read_text(), name=name, limits=LIMITS, unguarded=True)
        return node

    yield run
    for node in nodes:
        node.close()


def _patched(folder: Path, patches: tuple[tuple[str, str, str], ...]) -> Path:
    """Copy the source and replace texts in files of it, each of which must be there."""
    source = folder / "src"
    shutil.copytree(Path(casemate.__file__).parent, source / "casemate")
    for name, old, new in patches:
        file = source / "casemate" / name
        text = file.read_text()
        assert old in text, (name, old)
        file.write_text(text.replace(old, new))
    return source


@pytest.fixture(scope="module")
def whole(start: Start) -> TestNode:
    return start()


def run(node: TestNode, attack: str, /, **event: object) -> Attempt:
    return attempt(node, "t/attack", {"attack": attack, **event})


# -- the system-call filter --------------------------------------------------------------------

ALLOW_ALL = "_encode([_allow()])"
NO_FILTER = (
    (
        "kernel/seccomp.py",
        "    return _encode(program + _by_number(_refuse(_ENOSYS), actions))\n\n\n"
        "def instance_program",
        f"    return {ALLOW_ALL}\n\n\ndef instance_program",
    ),
    ("kernel/seccomp.py", "    return _encode([*program, _allow()])", f"    return {ALLOW_ALL}"),
)
STOPPED_BY_THE_FILTER = {
    "ptrace-traceme": ("call", {"name": "ptrace-traceme"}),
    "keyctl-session": ("call", {"name": "keyctl-session"}),
    "add-key": ("call", {"name": "add-key"}),
    "personality": ("call", {"name": "personality"}),
    "shmget": ("call", {"name": "shmget"}),
    "semget": ("call", {"name": "semget"}),
    "msgget": ("call", {"name": "msgget"}),
    "kcmp": ("call", {"name": "kcmp"}),
    "memfd-secret": ("call", {"name": "memfd-secret"}),
    "socket-netlink": ("open_socket", {"family": 16, "kind": 3}),
    "socket-unix": ("open_socket", {"family": 1, "kind": 1}),
    "listen-unbound": ("listen", {}),
}


@pytest.fixture(scope="module")
def without_filter(start: Start) -> TestNode:
    return start(patches=NO_FILTER)


@pytest.mark.parametrize("name", list(STOPPED_BY_THE_FILTER))
def test_without_the_filter_the_call_works(
    whole: TestNode, without_filter: TestNode, name: str
) -> None:
    kind, event = STOPPED_BY_THE_FILTER[name]
    assert "errno" in run(whole, kind, **event).answer
    tried = run(without_filter, kind, **event).answer
    # What the kernel or a container around this host does not have at all proves nothing.
    absent = tried.get("errno") in (errno.ENOSYS, errno.EAFNOSUPPORT)
    if absent and name in ("kcmp", "memfd-secret", "keyctl-session", "add-key"):
        pytest.skip("not on this kernel")
    assert "result" in tried, tried


LARGE_SURFACES = frozenset(
    {
        "ptrace",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "io_uring_enter",
        "keyctl",
    }
    | {"process_vm_readv", "mount", "unshare", "setns", "mknod", "clock_settime", "shmget"}
)


def test_without_the_filter_nothing_of_its_calls_is_recorded(
    whole: TestNode, without_filter: TestNode
) -> None:
    """So each test that asks for such a denial fails, also where the kernel refuses the call."""
    tried = run(whole, "all_calls")
    assert {d["action"].partition("(")[0] for d in tried.denied()} >= LARGE_SURFACES
    assert 0 not in tried.answer.values()
    tried = run(without_filter, "all_calls")
    worked = {name for name, number in tried.answer.items() if number == 0}
    # Not to be traced: an instance that is restored is already.
    assert worked >= {"personality", "shmget", "msgget", "semget"}
    assert tried.recorded()
    assert tried.denied(seconds=1.0) == []


# -- namespaces --------------------------------------------------------------------------------

NO_PID = (
    ("kernel/linux.py", "INSTANCE_NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID",
     "INSTANCE_NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS"),
)  # fmt: skip
NO_NAMESPACE = {
    name: (("runner/zygote.py", f"    | linux.CLONE_NEW{flag}\n", ""),)
    for name, flag in {"net": "NET", "ipc": "IPC", "uts": "UTS", "cgroup": "CGROUP"}.items()
}
# A name for the host can be set in a namespace of its own alone.
NO_NAMESPACE["uts"] += (("runner/base.py", 'linux.sethostname("function")', "pass"),)
NO_MOUNT = (("runner/zygote.py", "    | linux.CLONE_NEWNS\n", ""),)


def test_without_a_pid_namespace_it_sees_its_zygote(whole: TestNode, start: Start) -> None:
    bare = start(patches=NO_PID)
    assert run(whole, "kill_parent").answer["parent"] == 0
    assert run(bare, "kill_parent").answer["parent"] != 0
    assert run(whole, "identity").answer["result"]["pid"] == 1
    assert run(bare, "identity").answer["result"]["pid"] != 1


def _shared(node: TestNode) -> set[str]:
    """Return the namespaces that an instance of one function shares with one of another."""
    with (
        lingering(node, "t/attack", "ns-one", 6.0) as one,
        lingering(node, "t/victim", "ns-two", 2.0) as two,
    ):
        return {
            name
            for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
            if os.readlink(f"/proc/{one}/ns/{name}") == os.readlink(f"/proc/{two}/ns/{name}")
        }


@pytest.fixture(scope="module")
def whole_shares(whole: TestNode) -> set[str]:
    return _shared(whole)


@pytest.mark.storm
@pytest.mark.parametrize("name", ["net", "ipc", "uts", "cgroup"])
def test_without_a_namespace_two_functions_share_it(
    whole_shares: set[str], start: Start, name: str
) -> None:
    assert whole_shares == set()
    assert _shared(start(patches=NO_NAMESPACE[name])) == {name}


def test_without_a_mount_namespace_of_its_own_no_function_starts(start: Start) -> None:
    """The root could not be made without being everybody's: it fails closed."""
    refusals = "a blank zygote did not start|The function cannot be started"
    with pytest.raises((RuntimeError, AssertionError), match=refusals):
        start(patches=NO_MOUNT)


# -- Landlock ----------------------------------------------------------------------------------


def test_without_landlock_only_the_namespaces_hold(whole: TestNode, start: Start) -> None:
    """It is a second layer: what it stops, the empty network namespace does not let out either."""
    bare = start("--accept-risk", "landlock")
    where = {"address": "192.0.2.1", "port": 9}
    assert run(whole, "connect", **where).errno == errno.EACCES
    assert run(bare, "connect", **where).errno == errno.ENETUNREACH
    # A request that no device knows gets as far as the device.
    assert run(whole, "device_request", path="/dev/zero").errno == errno.EACCES
    assert run(bare, "device_request", path="/dev/zero").errno == errno.ENOTTY


# -- control groups ----------------------------------------------------------------------------


@pytest.mark.storm
def test_without_control_groups_memory_has_no_limit(whole: TestNode, start: Start) -> None:
    """Of all processes together: each of four takes less than the limit of 64 MB."""
    bare = start("--accept-risk", "cgroups")
    hungry = {"attack": "take_memory", "processes": 4, "megabytes": 40}
    limited = attempt(whole, "t/attack", hungry)
    assert limited.response.status_code == 500 or limited.answer["alive"] < 4
    assert limited.recorded("ok" if limited.response.status_code == 200 else "out-of-memory")
    assert attempt(bare, "t/attack", hungry).answer == {"alive": 4}


def test_a_process_in_another_session_is_still_in_its_group(whole: TestNode) -> None:
    """Forks, sessions and double forks do not leave the control group, and die with it."""
    tried = run(whole, "start", how="daemon", name="escapee")
    assert tried.answer == {"result": "started"}
    assert tried.recorded()
    whole.wait_until(lambda: not processes_named("escapee"))


def test_the_groups_cannot_be_reached(whole: TestNode) -> None:
    for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs", "/proc/self/cgroup"):
        tried = run(whole, "read", path=path)
        assert tried.errno == errno.ENOENT
        assert tried.recorded()
    for name in ("mount-tmpfs", "unshare-cgroup"):
        tried = run(whole, "call", name=name)
        assert tried.errno == errno.EPERM
        assert tried.denied()
