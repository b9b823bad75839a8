"""The bounding set of capabilities is emptied, or it is said that it is not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

EMPTIED = """
from pathlib import Path
from casemate.kernel import linux
linux.drop_bounding_capabilities()
status = Path("/proc/self/status").read_text()
print(int(status.partition("CapBnd:")[2].split()[0], 16))
"""
WITHOUT_THE_RIGHT = """
from casemate.kernel import linux
linux.drop_capabilities(bounding=False)
try:
    linux.drop_bounding_capabilities()
except PermissionError as error:
    print(error.strerror)
"""
MAY_NOT = "prctl(CAPBSET_DROP): Operation not permitted"


def output(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_who_may_not_empty_it_is_told() -> None:
    """A loop that ended with any error left all of them there without a word."""
    assert output(WITHOUT_THE_RIGHT) == MAY_NOT


@pytest.mark.skipif(os.geteuid() != 0, reason="needs CAP_SETPCAP")
def test_it_is_emptied() -> None:
    assert output(EMPTIED) == "0"
