"""System calls that a function has no use for are refused, each by itself."""

from __future__ import annotations

import errno
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.node import TestNode

SOURCE = Path(__file__).parent.parent / "functions" / "attacks" / "app.py"
APP = runpy.run_path(str(SOURCE))
CALLS = list(APP["CALLS"])
NAMESPACES = list(APP["NAMESPACES"])
REFUSED = {errno.EPERM, errno.ENOSYS, errno.EACCES}
BY_IDENTITY = {
    # The call itself is harmless and allowed; there is no such id to change to.
    "setuid-root": {errno.EINVAL, errno.EPERM},
    "setgid-root": {errno.EINVAL, errno.EPERM},
    "setresuid-root": {errno.EINVAL, errno.EPERM},
    "setresuid-other": {errno.EINVAL, errno.EPERM},
    "chown-root": {errno.EINVAL, errno.EPERM},
}
SIGSYS = 31


@pytest.mark.parametrize("name", CALLS)
def test_the_call_is_refused(attack: Callable[..., dict[str, Any]], name: str) -> None:
    assert attack("call", name=name).get("errno") in BY_IDENTITY.get(name, REFUSED)


@pytest.mark.parametrize("name", NAMESPACES)
def test_clone_makes_no_namespace(attack: Callable[..., dict[str, Any]], name: str) -> None:
    assert attack("clone", name=name) == {"errno": errno.EPERM}


@pytest.mark.parametrize("name", NAMESPACES)
def test_clone3_is_not_there(attack: Callable[..., dict[str, Any]], name: str) -> None:
    """Its flags are in memory, where a filter cannot see them."""
    assert attack("clone3", name=name) == {"errno": errno.ENOSYS}


@pytest.mark.parametrize("name", ["x32_call", "i386_call"])
def test_calls_of_another_architecture_end_the_process(attacked: TestNode, name: str) -> None:
    answer = attacked.invoke({"attack": name}, function="t/attack")
    assert answer.status_code == 500
    assert f"signal {SIGSYS}" in attacked.error(answer)["message"]


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
    attacked.deploy(SOURCE.read_text() + AT_IMPORT, name="at-import")
    results = attacked.invoke({}, function="t/at-import").json()
    assert len(results) == len(CALLS) - 1 + len(NAMESPACES) - 1
    # It is allowed, but there is no detached mount to move, and no right to.
    assert results.pop("move-mount")["errno"] == errno.EPERM
    for name, result in results.items():
        assert result.get("errno") in BY_IDENTITY.get(name, REFUSED), name


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
    os.waitpid(made["result"], 0)
    return eval(text or b"{}")
read_file, write_file = read, globals()["write"]
RESULTS = nested()
def handler(event, context):
    return RESULTS
"""


def test_the_namespaces_that_the_import_can_make_lead_nowhere(attacked: TestNode) -> None:
    """With all capabilities in a user namespace of its own, the filter still holds."""
    attacked.deploy(SOURCE.read_text() + NESTED, name="nested")
    results = attacked.invoke({}, function="t/nested").json()
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
