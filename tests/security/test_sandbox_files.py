"""A function sees its code, its libraries and four devices, and writes to its /tmp alone.

What the kernel refuses for a file that is not there, or not to be written, it tells nobody: there
the record of the invocation is all there is. What starts a program is denied by the filter.
"""

from __future__ import annotations

import errno
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from casemate.build import find_interpreters
from support.attacks import Attack
from support.node import TestNode

SHARES_NODE = True
ABSENT = [
    "/etc/passwd",
    "/etc/shadow",
    "/root/.bashrc",
    "/home",
    "/var/log",
    "/run",
    "/proc/self/status",
    "/proc/1/environ",
    "/proc/sys/kernel/core_pattern",
    "/sys/kernel",
    "/sys/fs/cgroup",
    "/bin/sh",
    "/usr/bin/env",
    "/usr/local",
    "/bundles",
    "/casemate",
    "/run/casemate",
    "/dev/mem",
    "/dev/kmsg",
    "/dev/kvm",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/fd",
]
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM, errno.EXDEV, errno.EBUSY}


@pytest.mark.parametrize("path", ABSENT)
def test_it_is_not_there(attack: Attack, path: str) -> None:
    tried = attack("read", path=path)
    assert tried.answer == {"errno": errno.ENOENT}
    assert tried.recorded()


def test_the_root_holds_only_what_it_must(attack: Attack) -> None:
    seen = set(eval(attack("entries", path="/").answer["result"]))
    assert {"dev", "function", "tmp", "usr"} <= seen <= {
        "dev", "function", "tmp", "usr", "lib", "lib64", "opt"
    } | {Path(p).parts[1] for p in _prefixes()}  # fmt: skip
    devices = eval(attack("entries", path="/dev").answer["result"])
    assert devices == ["null", "random", "shm", "urandom", "zero"]
    assert eval(attack("entries", path="/function").answer["result"]) in (
        ["bundle.json", "code"],
        ["bundle.json", "code", "deps"],
    )
    assert attack("entries", path="/tmp").answer == {"result": "[]"}


def _prefixes() -> list[str]:
    """Return where this host's interpreters live, whose libraries can be read."""
    today = datetime.now(UTC).date()
    return [str(i.prefix) for i in find_interpreters(today=today, environ=os.environ)]


def test_the_hosts_tmp_is_not_the_functions(attack: Attack) -> None:
    with tempfile.NamedTemporaryFile(dir="/tmp", prefix="zebra7-host-") as file:
        tried = attack("read", path=file.name)
    assert tried.answer == {"errno": errno.ENOENT}
    assert tried.recorded()


def test_the_nodes_data_is_not_there(attacked: TestNode, attack: Attack) -> None:
    stored = list((attacked.data / "bundles").iterdir())
    assert stored
    for path in (attacked.data, *stored, *(Path("/bundles", each.name) for each in stored)):
        tried = attack("entries", path=str(path))
        assert tried.answer == {"errno": errno.ENOENT}
        assert tried.recorded()


def test_no_path_leads_out(attack: Attack) -> None:
    tried = attack("climb")
    assert set(tried.answer["errnos"]) == {errno.ENOENT}
    assert tried.recorded()


@pytest.mark.parametrize("folder", ["/", "/dev", "/function", "/function/code", "/usr", "/usr/lib"])
def test_nothing_can_be_made_there(attack: Attack, folder: str) -> None:
    tried = attack("write", folder=folder)
    assert tried.errno in READ_ONLY
    assert tried.recorded()


@pytest.mark.parametrize(
    "how",
    [
        "open",
        "truncate",
        "unlink",
        "rename",
        "chmod",
        "utime",
        "link",
        "mkdir",
        "symlink",
        "root",
        "library",
        "rename-root",
        "chmod-device",
        "unlink-device",
    ],
)
def test_nothing_can_be_changed(attack: Attack, how: str) -> None:
    tried = attack("modify", how=how)
    assert tried.errno in READ_ONLY
    assert tried.recorded()


def test_its_tmp_can_be_written(attack: Attack) -> None:
    """Or the tests above would prove nothing."""
    assert attack("write", folder="/tmp").answer == {"result": "None"}
    assert attack("write", folder="/dev/shm").answer == {"result": "None"}


@pytest.mark.parametrize(
    "path", ["/usr/bin/true", "/bin/sh", "/usr/lib/os-release", "/function/code/app.py"]
)
def test_no_program_runs(attack: Attack, path: str) -> None:
    tried = attack("execute", path=path)
    assert tried.errno in {errno.EACCES, errno.ENOENT}
    assert tried.denied("execve")


def test_no_elf_file_runs(attack: Attack) -> None:
    """Neither a copy in /tmp nor the dynamic loader, which could run any file it can read."""
    tried = attack("execute_copy")
    assert set(tried.answer["errnos"]) == {errno.EACCES}
    assert tried.denied("execve")


@pytest.mark.parametrize(
    ("name", "call"), [("set_user_id_file", "execve"), ("execute_memory", "execveat")]
)
def test_no_made_program_runs(attack: Attack, name: str, call: str) -> None:
    tried = attack(name)
    assert tried.answer == {"errno": errno.EACCES}
    assert tried.denied(call)


def test_files_of_tmp_are_no_code(attack: Attack) -> None:
    tried = attack("map_executable")
    assert tried.answer == {"errno": errno.EPERM}
    assert tried.recorded()


def test_an_interpreter_of_another_prefix_cannot_be_loaded_from_tmp(attack: Attack) -> None:
    # dlopen reports no errno: what matters is that it fails.
    tried = attack("load_library")
    assert "result" not in tried.answer
    assert tried.recorded()
