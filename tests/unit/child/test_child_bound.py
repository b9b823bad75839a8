"""A process that is bound ends with its parent, also while it still imports what it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import os, subprocess, sys, time
bound = [sys.executable, "-m", "casemate.child.bound", str(os.getpid())]
child = subprocess.Popen([*bound, "slow_to_import", "x"])
print(child.pid, flush=True)
time.sleep(60)
"""
SLOW = """
import pathlib, sys, time
pathlib.Path(__file__).with_name("begun").write_text(" ".join([__name__, *sys.argv[1:]]))
time.sleep(60)
"""


def test_it_ends_with_its_parent_while_it_imports(tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environ
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 20
        begun = tmp_path / "begun"
        while not (begun.exists() and begun.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert begun.read_text() == "__main__ x"
        parent.send_signal(signal.SIGKILL)
    while _lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_does_not_begin_without_its_parent(tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    done = subprocess.run(
        [sys.executable, "-m", "casemate.child.bound", "1", "slow_to_import", "x"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 1 and not (tmp_path / "begun").exists()


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
