"""The process itself: what the gateway tells it, what it may not do, and when it ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from casemate.child.frames import FrameBuffer, frame
from casemate.egress import EgressClient, protocol
from casemate.egress.config import EgressConfig
from casemate.egress.interface import PROXY_PORT, EgressEvent
from casemate.runner import network
from support.egress import EgressProcess, HttpOrigin, egress, listener, loopback_address, read_all
from support.waiting import until

UID = 64_803 if os.geteuid() == 0 else None


@pytest.fixture
def origin() -> Iterator[HttpOrigin]:
    with HttpOrigin() as server:
        yield server


def request(address: str, host: str) -> bytes:
    with socket.create_connection((address, PROXY_PORT), timeout=10) as sock:
        sock.sendall(
            f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        return read_all(sock)


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_function_gets_out_by_a_process_without_rights(origin: HttpOrigin) -> None:
    async def main() -> None:
        process = EgressProcess(UID)
        events: list[EgressEvent] = []
        client = EgressClient(
            process.gateway_end.dup(), asyncio.get_running_loop(), on_event=events.append
        )
        address = loopback_address()
        host = f"127.0.0.1:{origin.port}"
        with listener(address, PROXY_PORT) as sock:
            client.open(7, {PROXY_PORT: sock.fileno()}, ())
        assert not process.started
        early = await asyncio.to_thread(request, address, host)
        assert b"403 Forbidden: A function reaches the network only once" in early
        client.grant(7, (egress(host, private=True),))
        process.start()
        assert b"200 OK" in await asyncio.to_thread(request, address, host)
        assert b"403" in await asyncio.to_thread(request, address, "evil.com")
        await until(lambda: len(events) == 3)
        assert [(event.zygote, event.allowed, event.reason) for event in events] == [
            (7, False, "connected during import"),
            (7, True, ""),
            (7, False, "not granted"),
        ]
        assert process.pid is not None
        status = status_of(process.pid)
        assert status["CapEff"] == status["CapPrm"] == status["CapAmb"] == "0" * 16
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        if UID is not None:
            assert status["Uid"].split() == [str(UID)] * 4
        client.close(7)
        await until(lambda: not_listening(address))
        client.shut_down()
        await asyncio.to_thread(process.close)
        assert process.poll() == 0

    asyncio.run(main())


def not_listening(address: str) -> bool:
    try:
        socket.create_connection((address, PROXY_PORT), timeout=1).close()
    except OSError:
        return True
    return False


def test_it_ends_with_the_gateway() -> None:
    process = EgressProcess(UID)
    ours = process.gateway_end.dup()
    process.start()
    ours.close()
    process.close()
    assert process.poll() == 0


def test_one_that_was_not_needed_leaves_nothing() -> None:
    process = EgressProcess(UID)
    process.close()
    assert process.poll() is None
    assert not process.started


@pytest.mark.parametrize(
    "packet",
    [b"{}", b"not json", b'{"type":"open","z":1,"ports":[0],"grants":[]}', b'{"type":"run"}'],
)
def test_it_ends_at_what_is_no_request(packet: bytes) -> None:
    process = EgressProcess(UID)
    ours = process.gateway_end.dup()
    ours.send(frame(packet))
    process.start()
    ours.settimeout(10)
    assert ours.recv(100) == b""
    ours.close()
    process.close()


def test_a_hostile_descriptor_ends_nothing() -> None:
    process = EgressProcess(UID)
    ours = process.gateway_end.dup()
    ours.settimeout(10)
    request_ = frame(msgspec.json.encode(protocol.Open(1, (PROXY_PORT,), ())))
    with Path("/etc/passwd").open() as file:
        socket.send_fds(ours, [request_], [file.fileno()])
    socket.send_fds(ours, [request_], [])
    process.start()
    buffer, bodies = FrameBuffer(4096), []
    while len(bodies) < 2:
        bodies += buffer.feed(ours.recv(4096))
    reasons = [msgspec.json.decode(body, type=protocol.Observed).reason for body in bodies]
    assert "not a socket" in reasons[0]
    assert "0 descriptors" in reasons[1]
    ours.close()
    process.close()


CONFINED = """
import codecs, ctypes, os, socket, subprocess, sys
from casemate.child.confinement import confine
from casemate.egress.confinement import EGRESS
os.chdir("/")
codecs.lookup("idna")
confine(EGRESS, uid=int(sys.argv[1]) or None)
def refused(call):
    try:
        call()
    except OSError:
        return True
    return False
libc = ctypes.CDLL(None, use_errno=True)
def unshare():
    if libc.unshare(0x10000000):
        raise OSError
def trace():
    if libc.ptrace(16, os.getppid(), 0, 0) < 0:
        raise OSError
checks = {
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "unshare": unshare,
    "ptrace": trace,
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "bind": lambda: socket.socket().bind(("127.0.0.1", 0)),
    "write": lambda: open("/tmp/casemate-egress-test", "w"),
    "home": lambda: open(sys.argv[2]),
    "signal": lambda: os.kill(os.getppid(), 0),
}
print([name for name, call in checks.items() if not refused(call)])
import threading
thread = threading.Thread(target=print, args=(len(socket.getaddrinfo(b"localhost", None)) > 0,))
thread.start(); thread.join()
socket.create_connection(("127.0.0.1", int(sys.argv[3]))).close()
"""


def test_what_it_may_not_do(origin: HttpOrigin) -> None:
    folder = Path(tempfile.mkdtemp(prefix="casemate-egress-"))
    secret = folder / "secret"
    secret.write_text("x")
    folder.chmod(0o755)  # file modes let everyone read it; the rest must not
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, str(UID or 0), str(secret), str(origin.port)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["[]", "True"]
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["{}"],
        ['{"control":-1}'],
        ['{"control":3,"uid":0}'],
        ['{"control":3,"unknown":1}'],
        ['{"control":3,"limits":{"connections":0}}'],
    ],
)
def test_a_configuration_that_is_none(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "casemate.egress.process", *arguments],
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 2


def test_own_addresses_must_be_addresses() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    config = EgressConfig(control=theirs.fileno(), own_addresses=("example.com",))
    done = subprocess.run(
        [sys.executable, "-m", "casemate.egress.process", msgspec.json.encode(config).decode()],
        pass_fds=(theirs.fileno(),),
        capture_output=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert b"example.com" in done.stderr
    ours.close()
    theirs.close()


def test_both_sides_of_a_namespace_mean_the_same_port() -> None:
    assert PROXY_PORT == network.PROXY_PORT


def test_it_does_not_wait_for_names_that_never_come() -> None:
    process = EgressProcess(UID)
    ours = process.gateway_end.dup()
    process.start()
    ours.close()
    process.close(15.0)
    assert process.poll() == 0, "it ended by itself"
