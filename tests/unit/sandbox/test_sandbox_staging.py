"""Folders in memory: what a killed command left there is removed by the next one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.sandbox import staging
from casemate.sandbox.staging import Staging

_MAKE = """
import sys
from pathlib import Path
from casemate.sandbox import staging
staging._MEMORY = Path(sys.argv[1])
kept = staging.Staging(None, None, sys.argv[2])
(Path(kept.bundles) / "probe.py").write_text("x")
print("made", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(staging, "_MEMORY", tmp_path)
    return tmp_path


def left_by(memory: Path, name: str, *, killed: bool) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _MAKE, str(memory), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdout.readline() == b"made\n"
    if killed:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return process


def test_what_a_killed_command_left_is_removed(memory: Path) -> None:
    user = f"casemate-{os.geteuid()}"
    living = left_by(memory, "check-4712", killed=False)
    left_by(memory, "d1b6dbc6b6d7c7f8", killed=True)
    left_by(memory, "doctor-4711", killed=True)
    (memory / f"{user}-told-0-a").write_text("the recorder's")
    assert (memory / f"{user}-doctor-4711" / "probe.py").is_file()

    own = Staging(None, None, "doctor-4713")
    try:
        assert sorted(each.name for each in memory.iterdir()) == [
            f"{user}-check-4712",  # it is still at work
            f"{user}-d1b6dbc6b6d7c7f8",  # a node's, which it removes itself
            f"{user}-doctor-4713",
            f"{user}-told-0-a",
        ]
        assert (memory / f"{user}-check-4712" / "probe.py").is_file()
    finally:
        own.close()
        living.kill()
        living.communicate()
    assert not (memory / f"{user}-doctor-4713").exists()


def test_a_link_of_such_a_name_leads_nowhere(memory: Path, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "kept").write_text("x")
    (memory / f"casemate-{os.geteuid()}-doctor-1").symlink_to(outside)
    Staging(None, None, "doctor-2").close()
    assert (outside / "kept").is_file()
