"""What the service manager is told, and that nobody else can tell it."""

from __future__ import annotations

import os
import socket
import time

import pytest

from casemate.supervisor.systemd import Systemd


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        yield sock


def told(sock: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(sock.recv(4096).decode())
        except BlockingIOError:
            return found


def test_states_and_the_watchdog(manager, monkeypatch) -> None:
    environ = {
        "NOTIFY_SOCKET": manager.getsockname(),
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "HOME": "/",
    }
    systemd = Systemd(environ)
    assert environ == {"HOME": "/"}
    systemd.tell("READY=1")
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(84):
        now += 0.25
        systemd.works()
    assert told(manager) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    systemd.close()


def test_another_processs_watchdog_is_not_ours(manager) -> None:
    systemd = Systemd(
        {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
    )
    systemd.works()
    assert told(manager) == []
    systemd.close()


@pytest.mark.parametrize("address", ["", "relative", "/nobody/listens", "@nobody"])
def test_without_a_manager_nothing_is_told(address) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": address} if address else {})
    systemd.tell("READY=1")
    systemd.works()
    systemd.close()
    systemd.close()


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0casemate-test-{os.getpid()}")
        sock.setblocking(False)
        systemd = Systemd({"NOTIFY_SOCKET": f"@casemate-test-{os.getpid()}"})
        systemd.tell("READY=1")
        assert told(sock) == ["READY=1"]
        systemd.close()
