"""The vault's loop: what fails in it ends it, and is told without its text."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from pathlib import Path

import pytest
from vault_samples import master_key, open_engine

from casemate.child.calls import decode_reply, framed
from casemate.child.frames import FrameBuffer, frame
from casemate.child.protocol import pass_connection
from casemate.vault import protocol
from casemate.vault.server import MAX_CONNECTIONS, Server
from support.waiting import wait_for

SECRET = "correct horse battery"


class Running:
    """A server in a thread of this process."""

    def __init__(self, engine) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server = Server(engine, theirs)
        self.thread = threading.Thread(target=self.server.run)

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            pass_connection(self.control, theirs.fileno())
        ours.settimeout(10)
        return ours

    def close(self) -> None:
        self.control.close()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def running(tmp_path: Path):
    engine = open_engine(tmp_path / "vault", master_key(), create=True)
    server = Running(engine)
    yield server
    server.close()
    engine.close()


def status(sock: socket.socket) -> bool:
    sock.sendall(framed(protocol.GetStatus(7)))
    (answer,) = FrameBuffer(protocol.MAX_FRAME).feed(sock.recv(65536))
    reply = decode_reply(answer)
    return (reply.n, reply.failure) == (7, None)


def test_a_fault_outside_a_request_ends_the_vault_without_its_text(running, caplog, capfd) -> None:
    def failing(*_: object) -> None:
        raise ValueError(SECRET)

    running.server._accept = failing
    running.thread.start()
    with caplog.at_level(logging.DEBUG), running.connect():
        running.thread.join(10)
    assert not running.thread.is_alive()
    assert "a fault of the vault ends it: ValueError" in caplog.text
    assert SECRET not in caplog.text + "".join(capfd.readouterr())


def test_a_fault_in_a_request_is_answered_without_its_text(running, caplog, capfd) -> None:
    def failing() -> None:
        raise ValueError(SECRET)

    running.server.engine.status = failing
    running.thread.start()
    with caplog.at_level(logging.DEBUG), running.connect() as sock:
        sock.sendall(framed(protocol.GetStatus(1)))
        answer = sock.recv(65536)
        assert b"ValueError" in answer
        sock.sendall(framed(protocol.HasSecrets(2, "shop")))
        assert sock.recv(65536), "it goes on"
    assert SECRET not in caplog.text + "".join(capfd.readouterr()) + repr(answer)


def test_what_is_no_message_ends_its_connection_and_says_no_more_than_its_type(
    running, caplog
) -> None:
    running.thread.start()
    with running.connect() as sock, running.connect() as other, caplog.at_level(logging.WARNING):
        sock.sendall(frame(SECRET.encode()))
        assert sock.recv(1) == b""
        assert status(other)
    assert "a connection to the vault is closed" in caplog.text
    assert SECRET not in caplog.text


def test_a_descriptor_for_nothing_is_not_kept_for_a_later_delivery(running) -> None:
    """It would get the value that somebody else asked for."""
    running.thread.start()
    reading, writing = os.pipe()
    with running.connect() as sock:
        socket.send_fds(sock, [framed(protocol.HasSecrets(1, "shop"))], [writing])
        with contextlib.suppress(OSError):
            sock.sendall(framed(protocol.DeliverSecret(2, "shop", "key", None)))
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while data := sock.recv(65536):
                got += data
    os.close(writing)
    assert os.read(reading, 1) == b"", "no copy is left anywhere"
    os.close(reading)
    assert all(decode_reply(body).n == 1 for body in FrameBuffer(1 << 20).feed(got))


def test_no_more_connections_than_are_meant_and_their_room_comes_back(running) -> None:
    running.thread.start()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(running.connect()) for _ in range(MAX_CONNECTIONS)]
        assert all(map(status, socks))
        with running.connect() as further:
            assert further.recv(1) == b""
        socks[0].close()
        wait_for(lambda: len(running.server.connections) < MAX_CONNECTIONS)
        with running.connect() as again:
            assert status(again)
