"""What runs command lines for other tests does it as a process of its own would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import forked_cli

NO_NODE = {"HOME": "/nowhere", "PATH": os.environ["PATH"], "NO_COLOR": "1"}


def test_it_says_what_a_command_says_and_how_it_ended() -> None:
    assert forked_cli.run(["--help"], env=NO_NODE).stdout.lstrip().startswith("Usage: casemate")
    refused = forked_cli.run(["no-such"], env=NO_NODE)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no-such" in refused.stderr


def test_folder_environment_and_input_are_its_own(tmp_path: Path) -> None:
    here = Path.cwd()
    made = forked_cli.run(["init", "shop"], cwd=tmp_path, env=NO_NODE)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "shop" / "casemate.toml").exists()
    assert Path.cwd() == here
    # A key that is not one is told from none at all: both come from the environment.
    given = {**NO_NODE, "CASEMATE_URL": "http://127.0.0.1:1", "CASEMATE_KEY": "not-a-key"}
    assert "expected `cm_`" in forked_cli.run(["whoami"], env=given).stderr
    assert "expected `cm_`" not in forked_cli.run(["whoami"], env=NO_NODE).stderr
    typed = forked_cli.run(["login", "http://192.0.2.1:1"], env=NO_NODE, stdin="not-a-key\n")
    assert "not encrypted" in typed.stderr


def test_many_at_once_get_each_their_own() -> None:
    names = [f"no-such-{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda name: forked_cli.run([name], env=NO_NODE), names))
    for name, one in zip(names, done, strict=True):
        assert f"'{name}'" in one.stderr


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        forked_cli.run(["--help"], env=NO_NODE, timeout=0.0001)


def test_one_that_has_ended_is_started_anew() -> None:
    forked_cli.run(["--version"], env=NO_NODE)
    process = forked_cli._FORKER._process
    assert process is not None
    process.kill()
    process.wait()
    assert forked_cli.run(["--version"], env=NO_NODE).returncode == 0


def test_nothing_is_left_of_who_is_killed(tmp_path: Path) -> None:
    killed = (
        "import os, signal; from support import forked_cli; forked_cli.run(['--version'])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", killed], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while left := list(tmp_path.iterdir()):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
