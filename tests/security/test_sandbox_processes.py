"""A function's processes: whom they can signal, what they hold, what they are on the host."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from casemate.drills import ATTACKER
from casemate.model.processes import GATEWAY_UID, SANDBOX_UID
from support.attacks import Attack, attempt
from support.lingering import lingering
from support.node import TestNode, default_risks
from support.processes import bases_of, gateway_of, zygotes_of

NOTHING = "0000000000000000"


def status(pid: int) -> dict[str, str]:
    """Return /proc/<pid>/status as the host sees it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def nice(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16])


@pytest.fixture(scope="module")
def pids(attacked: TestNode) -> list[int]:
    """The supervisor, the gateway, the base zygotes, every zygote, this process, and init."""
    assert attacked.process is not None
    supervisor = attacked.process.pid
    gateway = gateway_of(supervisor)
    assert gateway is not None
    for function in ("t/attack", "t/victim"):
        attacked.invoke({"attack": "look"}, function=function)
    zygotes = zygotes_of(supervisor)
    assert len(zygotes) >= 2
    return [supervisor, gateway, *bases_of(supervisor), *zygotes, os.getpid()]


# -- signals -----------------------------------------------------------------------------------


def test_processes_of_the_host_are_not_there(attack: Attack, pids: list[int]) -> None:
    tried = attack("kill", pids=pids)
    assert tried.answer["errnos"] == [errno.ESRCH]
    assert tried.recorded()


def test_its_zygote_has_no_number(attack: Attack) -> None:
    tried = attack("kill_parent")
    assert tried.answer["parent"] == 0
    assert tried.recorded()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
@pytest.mark.parametrize("how", ["kill_all", "kill_group"])
def test_a_signal_to_everybody_reaches_nobody(
    attacked: TestNode, pids: list[int], how: str, number: int
) -> None:
    """`kill(-1)` and `kill(0)`: neither another instance nor a zygote is hit."""
    with (
        lingering(attacked, "t/attack", "same", 0.5),
        lingering(attacked, "t/victim", "other", 0.5),
    ):
        tried = attempt(attacked, "t/attack", {"attack": how, "number": int(number)})
    assert tried.recorded("ok" if tried.response.status_code == 200 else "crashed")
    assert not [pid for pid in pids if status(pid)["State"][0] in "TtZX"]


@pytest.mark.parametrize("number", [signal.SIGKILL])
def test_a_signal_to_the_group_reaches_nobody_on_older_kernels(
    without_landlock: TestNode, number: int
) -> None:
    node = without_landlock
    assert node.process is not None
    before = [*bases_of(node.process.pid), *zygotes_of(node.process.pid)]
    with lingering(node, "t/victim", "older", 0.5):
        node.invoke({"attack": "kill_group", "number": int(number)}, function="t/attack")
    assert [p for p in before if not Path(f"/proc/{p}").exists()] == []


def test_the_priority_of_others_is_not_its_to_set(
    attacked: TestNode, attack: Attack, pids: list[int]
) -> None:
    before = [nice(pid) for pid in pids]
    tried = [attack("renice_group"), attack("renice_user")]
    assert [nice(pid) for pid in pids] == before
    assert all(each.recorded() for each in tried)


# -- what it is on the host --------------------------------------------------------------------


def test_an_instance_has_no_right_on_the_host(attacked: TestNode) -> None:
    with lingering(attacked, "t/attack", "seen", 0.5) as pid:
        seen = status(pid)
        parent = status(int(seen["PPid"]))
        namespaces = {
            name: os.readlink(f"/proc/{pid}/ns/{name}") for name in os.listdir(f"/proc/{pid}/ns")
        }
        limits = Path(f"/proc/{pid}/limits").read_text()
        dumpable_owner = Path(f"/proc/{pid}/environ").stat().st_uid
    uid = int(seen["Uid"].split()[0])
    if not default_risks():
        # Neither the node's nor the one that base zygotes have.
        assert uid not in {0, os.geteuid(), SANDBOX_UID}
    for what in (seen, parent):
        assert set(what["Uid"].split()) == {str(uid)} != {"0"}
        assert set(what["Gid"].split()) != {"0"}
        for capabilities in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert what[capabilities] == NOTHING
        assert what["NoNewPrivs"] == "1"
        assert what["Seccomp"] == "2"
    assert parent["CapBnd"] == NOTHING
    # One that is restored after a call has one more, by which its calls are flagged.
    own = int(seen["Seccomp_filters"]) - int(parent["Seccomp_filters"])
    assert own in (1, 1 + attacked.restores)
    for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
        assert namespaces[name] != os.readlink(f"/proc/self/ns/{name}"), name
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    # Not dumpable: what is in its /proc belongs to root, not to its uid.
    assert dumpable_owner != uid


def test_two_functions_share_no_namespace(attacked: TestNode) -> None:
    with (
        lingering(attacked, "t/attack", "one", 5) as one,
        lingering(attacked, "t/victim", "two", 2) as two,
    ):
        for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
            links = {os.readlink(f"/proc/{pid}/ns/{name}") for pid in (one, two)}
            assert len(links) == 2, name


def test_it_sees_itself_as_nobody(attack: Attack) -> None:
    identity = attack("identity").answer["result"]
    assert identity["pid"] == 1
    assert set(identity["uid"]) == set(identity["gid"]) == {65534}
    assert set(identity["groups"]) <= {65534}
    assert identity["host"] == "function"


def test_it_holds_its_own_descriptors_only(attack: Attack) -> None:
    found = {int(number): kind for number, kind in attack("descriptors").answer["result"].items()}
    sockets = [number for number, kind in found.items() if kind == 0o140000]
    assert len(sockets) == 1
    assert set(found) == {0, 1, 2, *sockets}


def test_the_import_reaches_no_other_bundle(attacked: TestNode) -> None:
    """Landlock comes with the instance: at import a folder left open would be a way out."""
    source = ATTACKER.read_text() + (
        "\nFOLDERS = folders()\ndef handler(event, context):\n    return FOLDERS\n"
    )
    attacked.deploy(source, name="import-folders")
    seen = attacked.invoke({}, function="t/import-folders").json()["result"]
    assert not set(seen) & {"bundles", "casemate", "bin", "pts"}


def test_its_socket_has_a_fixed_number(attack: Attack) -> None:
    assert set(attack("descriptors").answer["result"]) == {"0", "1", "2", "3"}


def test_the_environment_is_not_the_hosts(attack: Attack) -> None:
    given = attack("environment").answer["result"]
    expected = {
        "HOME", "TMPDIR", "PATH", "LANG", "TZ", "CASEMATE_PROJECT", "CASEMATE_FUNCTION",
        "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS",
        "LC_CTYPE", "TRACEPARENT",
    }  # fmt: skip
    decoys = {f"CASEMATE_BACKUP_{what}" for what in ("HOST", "SECRET", "TABLE", "TOKEN")}
    assert set(given) <= expected | decoys
    assert given["HOME"] == "/tmp"


@pytest.mark.parametrize(
    "name", ["CORE", "NOFILE", "NPROC", "MEMLOCK", "MSGQUEUE", "RTPRIO", "STACK"]
)
def test_no_limit_can_be_raised(attack: Attack, name: str) -> None:
    tried = attack("raise_limit", name=name)
    assert tried.errno == errno.EPERM
    if name in ("CORE", "MSGQUEUE", "RTPRIO"):
        assert tried.answer["hard"] == 0
    assert tried.recorded()


def test_no_memory_can_be_locked(attack: Attack) -> None:
    tried = attack("lock_memory")
    assert tried.errno in {errno.ENOMEM, errno.EPERM}
    assert tried.recorded()


# -- the gateway -------------------------------------------------------------------------------


def test_the_gateway_is_confined(attacked: TestNode, pids: list[int]) -> None:
    supervisor, gateway = pids[:2]
    seen = status(gateway)
    assert seen["NoNewPrivs"] == "1"
    assert seen["Seccomp"] == "2"
    for capabilities in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert seen[capabilities] == NOTHING
    if os.geteuid() == 0:
        assert set(seen["Uid"].split()) == set(seen["Gid"].split()) == {str(GATEWAY_UID)}
        assert seen["Groups"] == ""
    assert status(supervisor)["Uid"].split()[0] == str(os.geteuid())


def _as_user(uid: int, path: Path) -> int:
    """Open a file as a uid without rights; return the errno, 0 if it worked."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.listdir(path) if path.is_dir() else os.close(os.open(path, os.O_RDONLY))
        except OSError as error:
            code = error.errno or 255
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="uids can be changed by root only")


@needs_root
@pytest.mark.parametrize("file", ["mem", "environ", "maps", "fd"])
@pytest.mark.parametrize("uid", [GATEWAY_UID, SANDBOX_UID])
def test_nobody_reads_the_supervisor_or_the_gateway(pids: list[int], file: str, uid: int) -> None:
    for pid in pids[:2]:
        refused = _as_user(uid, Path(f"/proc/{pid}/{file}"))
        assert refused in {errno.EACCES, errno.EPERM}, (pid, file)


@needs_root
@pytest.mark.parametrize("folder", ["", "store", "spool"])
def test_the_sandboxes_uid_cannot_read_the_data(attacked: TestNode, folder: str) -> None:
    inside = attacked.data / folder
    # Reached through a descriptor, so that folders above it do not decide.
    descriptor = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    try:
        path = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
        assert _as_user(SANDBOX_UID, path) == errno.EACCES
    finally:
        os.close(descriptor)
    assert inside.stat().st_mode & 0o077 == 0
