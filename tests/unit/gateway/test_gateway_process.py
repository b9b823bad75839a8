"""The gateway's end when its orderly one takes too long."""

from __future__ import annotations

import subprocess
import sys


def test_it_ends_at_once_and_says_so() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from casemate.gateway import process; process._end_at_once()"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "did not end in its time" in ended.stderr
