"""The node of `casemate dev` ends with the command, whatever ends that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from casemate.cli.commands import dev

_READY = 'print(\'{"url": "http://127.0.0.1:1", "key": "k"}\', flush=True)'
_PROGRAM = f"import time; {_READY}; time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_closes_leaves_no_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    real, started = subprocess.Popen, []

    def start(_: list[str], **options: Any) -> subprocess.Popen[str]:
        started.append(real([sys.executable, "-I", "-c", _PROGRAM], **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    before = [signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM)]
    with (
        pytest.raises(SystemExit) as ended,
        dev._node(tmp_path / "data", "127.0.0.1", 0, [], learn=False),
    ):
        os.kill(os.getpid(), number)
        signal.pause()
    assert ended.value.code == 128 + number
    assert started[0].returncode == -signal.SIGTERM
    assert [signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM)] == before
