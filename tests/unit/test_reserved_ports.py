"""The ports of tests' servers are nobody else's, and a server that ends is told at once."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.servers import reserved_port, serving, wait_for_server

FEW_PORTS = """
import fcntl, pathlib, socket, struct
from support.servers import reserved_port

with socket.socket() as sock:  # loopback of a new network namespace is down
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 1))
pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40009")
port = reserved_port()
held = [socket.create_server(("127.0.0.1", 0))]
try:
    while len(held) < 20:
        held.append(socket.create_connection(held[0].getsockname()))
except OSError:
    pass
print(len(held), port in [one.getsockname()[1] for one in held])
"""


def test_the_kernel_gives_it_to_no_one_else() -> None:
    """Also where it has no other port left."""
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", sys.executable, "-c", FEW_PORTS],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "9 False\n", done.stderr


def test_a_server_gets_it_again_and_again() -> None:
    port = reserved_port()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with (
            socket.create_server(("127.0.0.1", port)) as server,
            socket.create_connection(("127.0.0.1", port)),
        ):
            server.accept()[0].close()


def test_a_server_that_ends_is_told_at_once_with_what_it_said(tmp_path: Path) -> None:
    began = time.monotonic()
    command = [sys.executable, "-c", "raise SystemExit('no such setting')"]
    with (
        pytest.raises(RuntimeError, match=r"has ended \(1\); it said: no such setting"),
        serving(command, reserved_port(), tmp_path),
    ):
        pass
    assert time.monotonic() - began < 10


def test_one_that_listens_where_the_server_has_ended_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("address in use")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(RuntimeError, match="address in use"),
    ):
        wait_for_server(ended, other.getsockname()[1], tmp_path / "log")


def test_a_server_that_never_listens_is_told(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("waiting")
    with subprocess.Popen(["sleep", "60"]) as idle:
        with pytest.raises(RuntimeError, match=r"did not listen within 0\.2 s; it said: waiting"):
            wait_for_server(idle, reserved_port(), tmp_path / "log", 0.2)
        idle.kill()
