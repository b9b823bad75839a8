"""A restorer as a process, asked as a supervisor and a gateway ask it."""

from __future__ import annotations

import os
import select
import socket
from typing import NamedTuple

from casemate.kernel import linux
from casemate.kernel.process_files import open_process
from casemate.restorer.protocol import (
    ASKED,
    GATEWAY,
    HOLD,
    REQUEST,
    TOLD,
    UNKNOWN_CPU,
    Report,
    read_report,
)
from casemate.restorer.start import KEEPS, start_restorer
from support.restored import RestoredChild

NAME = (3, 7)
CPU_BEFORE, CPU_TOLD = 4321, 700


class Restorer:
    """A restorer, asked by a supervisor and a gateway."""

    def __init__(self) -> None:
        self.process = start_restorer()
        self.control = self.process.control
        self.control.settimeout(30)
        held = self.process.receive_ready().held
        assert held.capabilities == KEEPS and held.filtered and not held.dumpable
        self.gateway = self.another_gateway()
        self.cpu = os.memfd_create("cpu.stat")
        usage = CPU_BEFORE + CPU_TOLD
        os.write(self.cpu, f"usage_usec {usage}\nuser_usec 1\nsystem_usec 2\n".encode())

    def another_gateway(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setblocking(False)
            request = REQUEST.pack(GATEWAY, 0, 0, 0, 0, 0, 0)
            socket.send_fds(self.control, [request], [theirs.fileno()])
        ours.settimeout(30)
        return ours

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        self.gateway.close()
        self.process.close()
        os.close(self.cpu)


class Ready(NamedTuple):
    """What the gateway is told."""

    ready: bool
    pages: int
    cpu_us: int = CPU_TOLD


def hold(restorer: Restorer, child: RestoredChild, number: int = 1, filters: int = 2) -> Report:
    tmp = linux.new_tmpfs(1 << 20, 64)
    files = open_process(child.pid)
    descriptors = [*files, child.uffd, tmp, restorer.cpu]
    request = REQUEST.pack(HOLD, number, child.pid, filters, *NAME, CPU_BEFORE)
    socket.send_fds(restorer.control, [request], descriptors)
    for descriptor in (*files, tmp):
        os.close(descriptor)
    return report(restorer)


def report(restorer: Restorer) -> Report:
    return read_report(restorer.control.recv(100))


def ask(restorer: Restorer, name: tuple[int, int] = NAME) -> None:
    restorer.gateway.sendall(ASKED.pack(*name))


def told(restorer: Restorer, name: tuple[int, int] = NAME) -> Ready:
    data = restorer.gateway.recv(TOLD.size, socket.MSG_WAITALL)
    if not data:
        raise EOFError
    *told_of, ready, pages, cpu_us = TOLD.unpack(data)
    assert tuple(told_of) == name
    assert cpu_us == (CPU_TOLD if ready else UNKNOWN_CPU)
    return Ready(ready == 1, pages)


def make_ready(restorer: Restorer) -> Ready | Report:
    """Ask for it; return what the gateway is told, or else the supervisor."""
    ask(restorer)
    [some, *_], _, _ = select.select([restorer.gateway, restorer.control], [], [], 30)
    return told(restorer) if some is restorer.gateway else report(restorer)
