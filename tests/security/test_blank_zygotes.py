"""What a blank zygote is before it is a function's: it has nothing left that none needs."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from support.node import TestNode
from support.processes import zygotes_of

SHARES_NODE = True
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look at zygotes")
NOTHING = "0" * 16
START_SECONDS = 30.0


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _blanks(node: TestNode) -> list[int]:
    """Return the zygotes, once there is nothing that one could gain: none is of a function."""
    assert node.process is not None
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        zygotes = zygotes_of(node.process.pid)
        with contextlib.suppress(OSError):  # one of an earlier function may just end
            if zygotes and all(_status(pid)["CapBnd"] == NOTHING for pid in zygotes):
                return zygotes
        time.sleep(0.05)
    raise AssertionError("no blank zygote has given up what none needs")


def test_nothing_that_a_blank_zygote_runs_could_gain_a_capability(node: TestNode) -> None:
    for blank in _blanks(node):
        assert _status(blank)["NoNewPrivs"] == "1"
        limits = Path(f"/proc/{blank}/limits").read_text().splitlines()
        both = {line[:26].strip(): line[26:].split()[:2] for line in limits}
        assert both["Max core file size"] == both["Max msgqueue size"] == ["0", "0"]
        assert both["Max locked memory"] == ["65536", "65536"]
        assert both["Max pending signals"] == ["128", "128"]
