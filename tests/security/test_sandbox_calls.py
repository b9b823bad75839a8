"""System calls that a function has no use for are refused, each by itself, and recorded."""

from __future__ import annotations

import errno
import runpy

import pytest

from casemate.drills import ATTACKER
from casemate.kernel.system_calls import name_of
from support.attacks import FILTER_KILL, SYSTEM_CALL, Attack, attempt, denials
from support.node import TestNode

SHARES_NODE = True
APP = runpy.run_path(str(ATTACKER))
REFUSED = {errno.EPERM, errno.ENOSYS, errno.EACCES}
BY_IDENTITY = {
    # The call itself is harmless and allowed; there is no such id to change to.
    "setuid-root": {errno.EINVAL, errno.EPERM},
    "setgid-root": {errno.EINVAL, errno.EPERM},
    "setresuid-root": {errno.EINVAL, errno.EPERM},
    "setresuid-other": {errno.EINVAL, errno.EPERM},
    "chown-root": {errno.EINVAL, errno.EPERM},
}
BY_THE_KERNEL = {*BY_IDENTITY, "capset", "prctl-ambient", "prctl-securebits", "prctl-mm"} | {
    "sched-fifo", "setpriority-higher",
}  # fmt: skip
"""Let through by the filter, since honest code makes them; refused for want of a right."""
TRIED_BY_LIBRARIES = {
    "personality", "process-madvise", "memfd-secret", "vmsplice", "setxattr-capability",
    "lookup-dcookie", "ioprio-set",
}  # fmt: skip
UNKNOWN = {"setgroups"}
"""In no table of the filter: ENOSYS, as every call that a later kernel may bring."""
SILENT = BY_THE_KERNEL | TRIED_BY_LIBRARIES | UNKNOWN
"""No denial tells of these, only the invocation's record (ADR 15)."""
ENDING = ["move-mount", "move-mount-descriptor"]
CALLS = [name for name in APP["CALLS"] if name not in ENDING]
NAMESPACES = list(APP["NAMESPACES"])
SIGSYS = 31


@pytest.mark.parametrize("name", CALLS)
def test_the_call_is_refused(attack: Attack, name: str) -> None:
    tried = attack("call", name=name)
    assert tried.errno in BY_IDENTITY.get(name, REFUSED)
    if name in SILENT:
        assert tried.recorded()
        return
    (denial,) = tried.denied()
    assert denial["action"].partition("(")[0] == name_of(APP["CALLS"][name][0])
    assert denial["principal"] == "function:t/attack"


@pytest.mark.parametrize("name", [name for name in NAMESPACES if name != "instance"])
def test_clone_makes_no_namespace(attack: Attack, name: str) -> None:
    tried = attack("clone", name=name)
    assert tried.answer == {"errno": errno.EPERM}
    (denial,) = tried.denied()
    assert denial["action"].startswith("clone(CLONE_NEW")


@pytest.mark.parametrize("name", NAMESPACES)
def test_clone3_is_not_there(attack: Attack, name: str) -> None:
    """Its flags are in memory, where a filter cannot see them. The C library tries it always."""
    tried = attack("clone3", name=name)
    assert tried.answer == {"errno": errno.ENOSYS}
    assert tried.recorded()


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        # Of another architecture.
        ("x32_call", {}),
        ("i386_call", {}),
        # What only the zygote needs, to make an instance.
        ("call", {"name": "move-mount"}),
        ("call", {"name": "move-mount-descriptor"}),
        ("clone", {"name": "instance"}),
        ("unshare_thread", {}),
    ],
    ids=["x32", "i386", *ENDING, "clone-instance", "unshare-thread"],
)
def test_the_call_ends_the_process(attack: Attack, kind: str, event: dict[str, str]) -> None:
    tried = attack(kind, **event)
    assert tried.response.status_code == 500
    assert f"signal {SIGSYS}" in tried.error["message"]
    assert tried.recorded("crashed")
    (denial,) = tried.denied(FILTER_KILL)
    assert denial["reason"] == "the instance was ended by its system-call filter"


AT_IMPORT = """
RESULTS = {name: call(name) for name in CALLS if name not in ("move-mount-descriptor",)}
RESULTS |= {
    f"clone-{name}": clone(name) for name in NAMESPACES if name != "instance"
}
def handler(event, context):
    return RESULTS
"""


def test_the_import_is_refused_them_as_well(attacked: TestNode) -> None:
    """Code that runs at import has two calls more: the ones that make an instance."""
    attacked.deploy(ATTACKER.read_text() + AT_IMPORT, name="at-import")
    results = attempt(attacked, "t/at-import", {}).answer
    assert len(results) == len(APP["CALLS"]) - 1 + len(NAMESPACES) - 1
    # It is allowed, but there is no detached mount to move, and no right to.
    assert results.pop("move-mount")["errno"] == errno.EPERM
    for name, result in results.items():
        assert result.get("errno") in BY_IDENTITY.get(name, REFUSED), name
    told = denials(attacked, kind=SYSTEM_CALL, project="t", function="at-import")
    assert {d["action"].partition("(")[0] for d in told} == {
        name_of(call[0]) for name, call in APP["CALLS"].items() if name not in {*SILENT, *ENDING}
    } | {"clone"}
    # No invocation made them.
    assert {d["invocation"] for d in told} == {""}


NESTED = """
import os
def nested():
    read, write = os.pipe()
    made = syscall(56, NAMESPACES["instance"] | 17, None, None, SCRATCH, None)
    if made.get("result") == 0:
        results = {name: call(name) for name in CALLS}
        results |= {f"clone-{name}": clone(name) for name in NAMESPACES
                    if name != "instance"}
        results |= {"read": read_file("/etc/passwd"), "made": write_file("/function/code")}
        os.write(write, repr(results).encode())
        os._exit(0)
    os.close(write)
    text = b""
    while data := os.read(read, 65536):
        text += data
    os.close(read)  # or the import would be refused
    os.waitpid(made["result"], 0)
    return eval(text or b"{}")
read_file, write_file = read, globals()["write"]
RESULTS = nested()
def handler(event, context):
    return RESULTS
"""


def test_the_namespaces_that_the_import_can_make_lead_nowhere(attacked: TestNode) -> None:
    """With all capabilities in a user namespace of its own, the filter still holds."""
    attacked.deploy(ATTACKER.read_text() + NESTED, name="nested")
    results = attempt(attacked, "t/nested", {}).answer
    assert results.pop("read")["errno"] == errno.ENOENT
    assert results.pop("made")["errno"] in {errno.EROFS, errno.EACCES}
    # Mounts that came from outside are locked in place (mount_namespaces(7)).
    assert results.pop("move-mount")["errno"] in {errno.EINVAL, errno.EPERM}
    gained = {
        name
        for name, result in results.items()
        if result.get("errno") not in BY_IDENTITY.get(name, REFUSED)
    }
    # Rights over itself within that namespace, which give it nothing outside.
    harmless = {"prctl-ambient", "prctl-securebits", "capset", "move-mount-descriptor", "prctl-mm"}
    assert gained <= harmless, {name: results[name] for name in gained - harmless}
    told = denials(attacked, kind=SYSTEM_CALL, project="t", function="nested")
    assert {"ptrace", "mount", "bpf", "keyctl"} <= {d["action"] for d in told}


def test_a_denial_names_its_invocation_right_after_another(attack: Attack) -> None:
    named = 0
    for _ in range(5):
        attack("identity")
        (denial,) = attack("call", name="ptrace-attach").denied("ptrace")
        named += denial["invocation"] != ""
    assert named == 5
