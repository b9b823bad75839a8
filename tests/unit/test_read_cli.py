"""What reads command lines for nodes of tests ends where a process that is started for it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from support import read_cli

SHOWN = """
import json, os, sys

def shown(program, command):
    descriptor = int(command[command.index("casemate.cli.serving") + 1])
    with open(descriptor, closefd=False) as file:
        file.seek(0)
        told = file.read()
    kept = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    print(json.dumps([program, command, told, os.get_inheritable(descriptor), kept]), flush=True)
    os._exit(0)

os.execv = shown
from casemate.cli.main import main
main()
"""


def arguments(data: Path) -> list[str]:
    return [
        *("serve", "--json", "--data", str(data), "--port", "0", "--no-playbooks", "--no-restore"),
        *("--master-key", f"file:{data}.key", "--accept-risk", "cgroups", "--max-memory", "64MB"),
    ]


def test_a_node_goes_on_as_the_process_of_its_command_line_would(tmp_path: Path) -> None:
    given = arguments(tmp_path / "data")
    found = read_cli.read(given)
    assert found is not None
    with os.fdopen(found.options) as file:
        file.seek(0)
        told = file.read()
    environment = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    environment["PATH"] += ":."
    done = subprocess.run(
        [sys.executable, "-c", SHOWN, *given],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    program, command, expected, inherited, kept = json.loads(done.stdout)
    at = command.index("casemate.cli.serving") + 1
    assert found.command[0] == program
    assert found.command[:at] == command[:at]
    assert found.command[at + 1 :] == command[at + 1 :] == given
    assert json.loads(told) == json.loads(expected)
    assert inherited
    assert {k: v for k, v in found.environment.items() if k != "LC_CTYPE"} == kept
    # What goes on here is this process, in which Ctrl-C does not wait for another one.
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_starts_no_node_is_left_to_a_process_that_tells_why(tmp_path: Path) -> None:
    assert read_cli.read([*arguments(tmp_path / "data"), "--nonsense"]) is None
    assert read_cli.read(["--version"]) is None
    assert not (tmp_path / "data").exists()
