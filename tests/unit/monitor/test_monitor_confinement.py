"""What a confined monitor can reach: nothing without channels, else the ports of its settings."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.kernel import linux

PROGRAM = """
import os, socket, sys
from casemate.child.confinement import confine
from casemate.monitor.confinement import confinement_of
from casemate.monitor.settings import MonitorSettings
import msgspec
alerts = {} if sys.argv[1] == "none" else {
    "a": {"kind": "syslog", "server": "127.0.0.1:" + sys.argv[1]}
}
settings = msgspec.convert({"alerts": alerts}, MonitorSettings)
folder = os.open(sys.argv[3], os.O_RDONLY | os.O_DIRECTORY)
confine(confinement_of(settings), uid=None, folder=folder)
def tried(do):
    try:
        do()
    except OSError as error:
        return type(error).__name__
    return "done"
def connect(port):
    with socket.socket() as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", int(port)))
def send():
    # As connect does, with no word to Landlock.
    with socket.socket() as sock:
        sock.sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", int(sys.argv[2])))
def write():
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder))
print(
    tried(lambda: connect(sys.argv[1] if sys.argv[1] != "none" else sys.argv[2])),
    tried(lambda: connect(sys.argv[2])),
    tried(lambda: socket.create_server(("127.0.0.1", 0)).close()),
    tried(lambda: open("/etc/passwd", "w")),
    tried(lambda: os.listdir("/")),
    tried(write),
    tried(lambda: os.execv("/bin/true", ["true"])),
    tried(send),
)
"""


def ran(port: str, other: int, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, port, str(other), str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_it_connects_to_the_ports_of_its_settings_and_nowhere_else(tmp_path: Path) -> None:
    if linux.landlock_abi() < 4:
        pytest.skip("this kernel cannot tell ports apart")
    with (
        socket.create_server(("127.0.0.1", 0)) as named,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        found = ran(str(named.getsockname()[1]), other.getsockname()[1], tmp_path)
    assert found[:2] == ["done", "PermissionError"]
    assert "done" not in found[2:5]
    assert found[5] == "done", "its own folder"
    assert "done" not in found[6:]


def test_without_channels_it_has_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        found = ran("none", other.getsockname()[1], tmp_path)
    assert "done" not in (*found[:5], *found[6:])
    assert found[5] == "done"
