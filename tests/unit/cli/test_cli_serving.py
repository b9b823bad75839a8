"""How `casemate serve` becomes the supervisor: what it is told, and how its errors are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from casemate.cli import interrupts, serving
from casemate.monitor.on_call import Rotation
from casemate.monitor.settings import MonitorSettings
from casemate.supervisor.options import Bounds, ServeOptions, SharedOptions


def test_the_options_arrive_and_the_words_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rotation = Rotation(people=("ada",), begins=date(2026, 1, 5), at="09:00", rules=b"\0zone")
    options = ServeOptions(
        data=Path("/data/é"),
        host="::1",
        port=0,
        accepted_risks=("landlock",),
        tls_certificate=Path("cert.pem"),
        bounds=Bounds(memory=1 << 30),
        shared=SharedOptions("file:/etc/url", "s3://b"),
        monitor=MonitorSettings(oncall={"all": rotation}),
    )
    became: list[list[str]] = []

    def execv(_path: str, command: list[str]) -> None:
        # Ctrl-C waits until the next program can tell of it.
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        became.append(command)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr(sys, "argv", ["casemate", "serve", "--port", "0"])
    try:
        serving.become_supervisor(options)
    finally:
        interrupts.let_through()
    *start, module, number, word, option, value = became[0]
    assert start == [sys.executable, "-P", "-m", "casemate.child.program"]
    assert (module, word, option, value) == ("casemate.cli.serving", "serve", "--port", "0")
    assert os.get_inheritable(int(number))
    assert serving._told(int(number)) == options
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(int(number))


_INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from casemate.cli import interrupts, serving

class Interrupt:
    def find_spec(self, name, *rest):
        if name == "casemate.supervisor.serve":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
serving._told = lambda _number: None
interrupts.hold()
sys.argv = ["serving", "7"]
serving.main()
"""


def test_ctrl_c_while_the_supervisor_loads_leaves_no_trace() -> None:
    arguments = [sys.executable, "-c", _INTERRUPTED]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "\nInterrupted.\n")


def test_what_keeps_a_node_from_starting_is_told_as_by_any_command(tmp_path: Path) -> None:
    """By the supervisor, which has no command line any more."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "photo.jpg").write_bytes(b"not of a node")
    done = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "serve", "--data", str(other), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Error: " in done.stderr and "Next: " in done.stderr
    assert "Traceback" not in done.stderr
