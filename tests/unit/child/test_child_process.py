"""A process's own end: its configuration, its connection, and its end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from casemate.child.process import Supervised
from casemate.child.protocol import CONNECT, ChildConfig, pass_connection, take_connection
from support.descriptors import descriptors_held

PROGRAM = """
import sys
from casemate.child.process import main
from casemate.child.protocol import ChildConfig
def run(config):
    exec(sys.argv[2])
    return 0
main("test", ChildConfig, run)
"""


def ran(config: str, body: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, config, body], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "config", ["", "{}", '{"control":-1}', '{"control":3,"uid":0}', '{"control":3,"more":1}']
)
def test_a_configuration_that_is_none(config: str) -> None:
    code, said = ran(config)
    assert code == 2 and said.endswith("Z test: expected a configuration as JSON\n")


def test_what_keeps_it_from_running_is_said_in_a_line() -> None:
    for raised, told in (('OSError("no seccomp")', "no seccomp"), ('ValueError("bad")', "bad")):
        code, said = ran('{"control":3}', f"raise {raised}")
        assert code == 1 and said.endswith(f"Z test: {told}\n") and said.count("\n") == 1
    assert ran('{"control":3}', "raise EOFError") == (0, "")
    assert ran('{"control":3}') == (0, "")


def test_it_ends_though_a_thread_waits() -> None:
    body = "import threading, time; threading.Thread(target=time.sleep, args=(50,)).start()"
    assert ran('{"control":3}', body) == (0, "")


def ends() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def test_what_is_no_connection_is_closed_and_waited_past() -> None:
    before = descriptors_held()
    supervisor, own = ends()
    with supervisor:
        supervised = Supervised(ChildConfig(control=own.detach()))
        socket.send_fds(supervisor, [b"connect!"], [0])
        socket.send_fds(supervisor, [CONNECT], [0, 1])
        supervisor.send(CONNECT)
        reading, writing = os.pipe()
        pass_connection(supervisor, reading)
        for descriptor in (reading, writing):
            os.close(descriptor)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                pass_connection(supervisor, theirs.fileno())
            with supervised.connection() as sock:
                sock.send(b"x")
                assert ours.recv(1) == b"x"
        supervisor.close()
        with pytest.raises(EOFError):
            supervised.connection()
        supervised.control.close()
    assert descriptors_held() == before


def test_nothing_has_come_yet() -> None:
    supervisor, own = ends()
    with supervisor, own:
        own.setblocking(False)
        with pytest.raises(BlockingIOError):
            take_connection(own)
