"""A function sees its code, its libraries and four devices, and writes to its /tmp alone."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from casemate.build import find_interpreters
from support.node import TestNode

Attack = Callable[..., dict[str, Any]]
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
    assert attack("read", path=path) == {"errno": errno.ENOENT}


def test_the_root_holds_only_what_it_must(attack: Attack) -> None:
    seen = set(eval(attack("entries", path="/")["result"]))
    assert {"dev", "function", "tmp", "usr"} <= seen <= {
        "dev", "function", "tmp", "usr", "lib", "lib64", "opt"
    } | {Path(p).parts[1] for p in _prefixes()}  # fmt: skip
    devices = eval(attack("entries", path="/dev")["result"])
    assert devices == ["null", "random", "shm", "urandom", "zero"]
    assert eval(attack("entries", path="/function")["result"]) in (
        ["bundle.json", "code"],
        ["bundle.json", "code", "deps"],
    )
    assert attack("entries", path="/tmp") == {"result": "[]"}


def _prefixes() -> list[str]:
    """Return where this host's interpreters live, whose libraries can be read."""
    today = datetime.now(UTC).date()
    return [str(i.prefix) for i in find_interpreters(today=today, environ=os.environ)]


def test_the_hosts_tmp_is_not_the_functions(attack: Attack) -> None:
    with tempfile.NamedTemporaryFile(dir="/tmp", prefix="zebra7-host-") as file:
        assert attack("read", path=file.name) == {"errno": errno.ENOENT}


def test_the_nodes_data_is_not_there(attacked: TestNode, attack: Attack) -> None:
    assert attack("entries", path=str(attacked.data)) == {"errno": errno.ENOENT}
    for folder in (attacked.data / "bundles").iterdir():
        assert attack("entries", path=str(folder)) == {"errno": errno.ENOENT}
        assert attack("entries", path=f"/bundles/{folder.name}") == {"errno": errno.ENOENT}


def test_no_path_leads_out(attack: Attack) -> None:
    assert set(attack("climb")["errnos"]) == {errno.ENOENT}


@pytest.mark.parametrize("folder", ["/", "/dev", "/function", "/function/code", "/usr", "/usr/lib"])
def test_nothing_can_be_made_there(attack: Attack, folder: str) -> None:
    assert attack("write", folder=folder)["errno"] in READ_ONLY


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
    assert attack("modify", how=how)["errno"] in READ_ONLY


def test_its_tmp_can_be_written(attack: Attack) -> None:
    """Or the tests above would prove nothing."""
    assert attack("write", folder="/tmp") == {"result": "None"}
    assert attack("write", folder="/dev/shm") == {"result": "None"}


@pytest.mark.parametrize(
    "path", ["/usr/bin/true", "/bin/sh", "/usr/lib/os-release", "/function/code/app.py"]
)
def test_no_program_runs(attack: Attack, path: str) -> None:
    assert attack("execute", path=path)["errno"] in {errno.EACCES, errno.ENOENT}


def test_no_elf_file_runs(attack: Attack) -> None:
    """Neither a copy in /tmp nor the dynamic loader, which could run any file it can read."""
    assert set(attack("execute_copy")["errnos"]) == {errno.EACCES}


@pytest.mark.parametrize("name", ["set_user_id_file", "execute_memory"])
def test_no_made_program_runs(attack: Attack, name: str) -> None:
    assert attack(name) == {"errno": errno.EACCES}


def test_files_of_tmp_are_no_code(attack: Attack) -> None:
    assert attack("map_executable") == {"errno": errno.EPERM}


def test_an_interpreter_of_another_prefix_cannot_be_loaded_from_tmp(attack: Attack) -> None:
    # dlopen reports no errno: what matters is that it fails.
    assert "result" not in attack("load_library")
