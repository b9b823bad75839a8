"""The C library is set up for threads, and none is left of that."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, sys, warnings
warnings.simplefilter("error")
from casemate.runner.first_thread import start_first_thread

def handled():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("SigCgt")).split()[1], 16)

before = handled()
start_first_thread()
assert len(os.listdir("/proc/self/task")) == 1
after = handled()
# The one by which the C library has all threads change their user.
assert after == before | 1 << 32, (hex(before), hex(after))
start_first_thread()
assert handled() == after
import threading
thread = threading.Thread(target=len, args=("",))
thread.start(); thread.join()
assert handled() == after
if os.fork() == 0:
    os._exit(0)
assert os.wait()[1] == 0
"""


def test_it_is_done_once_and_leaves_one_thread() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
