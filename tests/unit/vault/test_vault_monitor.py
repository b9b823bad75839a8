"""What the monitor's kind of connection may ask of the vault: its key, and secrets of alerts."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from vault_samples import master_key, open_engine, put

from casemate.child.calls import framed
from casemate.child.protocol import CONNECT, pass_connection
from casemate.model.errors import NotFoundError
from casemate.vault import protocol
from casemate.vault.errors import VaultError
from casemate.vault.interface import Mac, Purpose
from casemate.vault.monitor_client import MAX_PASSWORD_BYTES, MonitorVault
from casemate.vault.server import Server

NAMED = frozenset({"ops/key", "ops/smtp", "ops/empty"})


class Running:
    """A server in a thread of this process."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_engine(folder, master_key(), create=True)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server = Server(self.engine, theirs, monitors=NAMED)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def connect(self, kind: bytes) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            pass_connection(self.control, theirs.fileno(), kind)
        ours.settimeout(10)
        return ours


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path / "vault")
    for name, value in (
        ("key", b"a long key"),
        ("smtp", b"correct horse"),
        ("other", b"not yours"),
    ):
        put(found.engine, name, value, project="ops")
    yield found
    found.control.close()
    found.thread.join(10)
    found.engine.close()


def test_it_signs_and_signs_in_with_the_secrets_that_are_named(running: Running) -> None:
    async def run() -> None:
        vault = MonitorVault(running.connect(protocol.MONITOR), asyncio.get_running_loop())
        key = await vault.key()
        assert len(key.key) == 32
        assert (await vault.key(key.version)).key == key.key
        right = hmac.digest(b"a long key", b"message", hashlib.sha256)
        assert await vault.sign_hmac("ops/key", b"message") == right
        assert await vault.password("ops/smtp") == "correct horse"
        with pytest.raises(NotFoundError, match="ops"):
            await vault.sign_hmac("ops/empty", b"message")
        vault.close()

    asyncio.run(run())


def test_a_key_of_standard_webhooks_is_decoded(running: Running) -> None:
    raw = bytes(range(32))
    put(running.engine, "key", b"whsec_" + base64.b64encode(raw), project="ops")
    assert running.engine.sign_hmac("ops", "key", b"m") == hmac.digest(raw, b"m", hashlib.sha256)
    put(running.engine, "key", b"whsec_!!!!", project="ops")
    with pytest.raises(VaultError, match="not a signing key"):
        running.engine.sign_hmac("ops", "key", b"m")


def test_what_is_no_password_is_refused(running: Running) -> None:
    async def run() -> None:
        vault = MonitorVault(running.connect(protocol.MONITOR), asyncio.get_running_loop())
        for value in (b"x" * (MAX_PASSWORD_BYTES + 1), b"\xff\xfe" * 8):
            put(running.engine, "smtp", value, project="ops")
            with pytest.raises(VaultError) as caught:
                await vault.password("ops/smtp")
            assert "xxx" not in str(caught.value)
        vault.close()

    asyncio.run(run())


MONITOR_S = [
    protocol.SignHmac(1, "ops", "key", b"m"),
    protocol.GetDataKey(1, "", Purpose.MONITOR, None),
]
NOT_MONITOR_S = [
    protocol.SignHmac(1, "ops", "other", b"m"),
    protocol.SignHmac(1, "ops/key", "", b"m"),
    protocol.DeliverSecret(1, "ops", "other", None),
    protocol.GetDataKey(1, "", Purpose.STORE, None),
    protocol.GetDataKey(1, "", Purpose.JOURNAL, None),
    protocol.GetDataKey(1, "shop", Purpose.MONITOR, None),
    protocol.GetJournalKey(1),
    protocol.SignHead(1, "head"),
    protocol.SignToken(1, b"{}"),
    protocol.ListSecrets(1, None),
    protocol.VerifyHmac(1, "ops", "key", Mac.SHA256, b"m", b"s"),
    protocol.Unwrap(1, "use", b"x"),
    protocol.RotateMaster(1, b"x"),
    protocol.DeleteSecret(1, "ops", "key"),
    protocol.GetStatus(1),
]


@pytest.mark.parametrize("request_", NOT_MONITOR_S, ids=lambda each: type(each).__name__)
def test_all_else_ends_its_connection(running: Running, request_: protocol.Message) -> None:
    with running.connect(protocol.MONITOR) as sock:
        sock.sendall(framed(request_))
        assert sock.recv(10) == b""


@pytest.mark.parametrize("kind", [CONNECT, protocol.RECORDER])
@pytest.mark.parametrize("request_", MONITOR_S, ids=lambda each: type(each).__name__)
def test_nobody_else_may_ask_for_what_is_the_monitor_s(
    running: Running, kind: bytes, request_: protocol.Message
) -> None:
    with running.connect(kind) as sock:
        sock.sendall(framed(request_))
        assert sock.recv(10) == b""
