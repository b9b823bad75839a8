"""A node that really runs as an ordinary user, which root starts: it serves, and forks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import TestNode
from support.processes import gateway_of

USER = 64_999
"""Of nobody, without subordinate ids and without a control group of its own."""
RISKS = ("--accept-risk", "shared-uid", "--accept-risk", "cgroups")
CODE = """
import ctypes, os
state = []
libc = ctypes.CDLL(None, use_errno=True)

def handler(event, context):
    found, uid = list(state), os.getuid()
    state.append(event["who"])
    open("/tmp/left", "w").write(event["who"])
    tried = {}
    for name, number in event["calls"].items():
        tried[name] = libc.syscall(number, 0, 0, 0, 0, 0, 0) < 0 and ctypes.get_errno()
    readable = [path for path in event["paths"] if os.path.exists(path)]
    return {"found": found, "uid": uid, "tried": tried, "readable": readable}
"""
CALLS = {"ptrace": 101, "mount": 165, "unshare": 272, "bpf": 321, "userfaultfd": 323, "keyctl": 250}
EPERM = 1


def _as_user(*words: str) -> list[str]:
    who = ("--reuid", str(USER), "--regid", str(USER), "--clear-groups")
    return ["setpriv", *who, "env", f"HOME=/nonexistent-{USER}", *words]


def _missing() -> str:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return "takes root and setpriv"
    able = subprocess.run(_as_user(sys.executable, "-c", "import casemate"), capture_output=True)
    return "" if able.returncode == 0 else "the checkout is not readable to other users"


@pytest.fixture(scope="module")
def node() -> Iterator[TestNode]:
    if missing := _missing():
        pytest.skip(missing)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chown(folder, USER, USER)
        running = TestNode(Path(folder) / "data", *RISKS)
        running.launcher = (*_as_user(sys.executable), "-m", "casemate.cli.main")
        running.start()
        running.deploy(CODE, unguarded=True)
        yield running
        running.close()


def test_all_of_it_is_that_user(node: TestNode) -> None:
    assert node.process is not None
    gateway = gateway_of(node.process.pid)
    for pid in (node.process.pid, gateway):
        status = Path(f"/proc/{pid}/status").read_text()
        assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status


def test_each_call_has_a_process_of_its_own_and_no_right(node: TestNode) -> None:
    paths = ["/proc/1", "/etc/passwd", str(node.data), "/sys/kernel", "/var/tmp"]
    for number in range(4):
        answer = node.invoke({"who": f"caller {number}", "calls": CALLS, "paths": paths})
        assert answer.status_code == 200, node.error(answer)
        told = answer.json()
        assert told["found"] == [] and told["readable"] == []
        assert told["tried"] == dict.fromkeys(CALLS, EPERM)
        assert told["uid"] not in (0, USER)


def test_it_says_that_it_forks_and_why(node: TestNode) -> None:
    said = node.errors.read_text()
    assert "fork" in said, said
    told = node.get("/functions/t/f/restoring")
    assert told["restored"] == 0 and told["forks"] > 0
