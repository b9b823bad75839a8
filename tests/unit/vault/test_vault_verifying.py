"""Whether a stranger knows a secret: signatures and tokens, by the engine and over the wire."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import socket
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vault_samples import VALUE, master_key, open_engine, put

from casemate.child.calls import decode_reply, framed
from casemate.child.frames import FrameBuffer
from casemate.child.protocol import CONNECT
from casemate.model.errors import NotFoundError
from casemate.vault import errors, protocol
from casemate.vault.client import VaultClient
from casemate.vault.interface import Mac
from casemate.vault.server import Server
from casemate.vault.verifying import MAX_SIGNED_BYTES, is_equal, is_hard_to_guess, is_signed


def sign(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


@given(key=st.binary(min_size=1, max_size=200), message=st.binary(max_size=500), data=st.data())
@settings(deadline=None)
def test_only_the_right_signature_of_the_right_message_holds(key, message, data) -> None:
    right = sign(key, message)
    assert is_signed(key, Mac.SHA256, message, right)
    at = data.draw(st.integers(0, 255))
    wrong = bytearray(right)
    wrong[at // 8] ^= 1 << at % 8
    assert not is_signed(key, Mac.SHA256, message, bytes(wrong))
    assert not is_signed(key, Mac.SHA256, message + b"x", right)
    assert not is_signed(key, Mac.SHA256, message, right[: at % 32])
    assert not is_signed(key, Mac.SHA256, message, right + b"\0")
    assert not is_signed(key + b"\1", Mac.SHA256, message, right)


@given(value=st.binary(min_size=6, max_size=100), shown=st.binary(max_size=100))
def test_a_value_equals_itself_alone(value, shown) -> None:
    assert is_equal(value, value)
    assert is_equal(value, shown) is (value == shown)
    assert not is_equal(value, value[:-1])
    assert not is_equal(value, value + b"\n")


def test_a_key_of_standard_webhooks_is_decoded() -> None:
    key = bytes(range(24))
    value = b"whsec_" + base64.b64encode(key)
    assert is_signed(value, Mac.STANDARD, b"m", sign(key, b"m"))
    assert not is_signed(value, Mac.STANDARD, b"m", sign(value, b"m"))
    assert is_signed(value, Mac.SHA256, b"m", sign(value, b"m"))
    assert is_signed(b"no prefix", Mac.STANDARD, b"m", sign(b"no prefix", b"m"))


@pytest.mark.parametrize("value", [b"whsec_", b"whsec_*not base64*", b"whsec_\xff\xfe"])
def test_a_key_that_is_none_signs_nothing(value) -> None:
    """An empty key, above all: everybody could sign with it."""
    for key in (b"", value, value[6:]):
        assert not is_signed(value, Mac.STANDARD, b"m", sign(key, b"m"))
    assert not is_signed(b"", Mac.SHA256, b"m", sign(b"", b"m"))


@pytest.fixture
def engine(tmp_path: Path):
    opened = open_engine(tmp_path / "vault", master_key(), create=True)
    yield opened
    opened.close()


def test_the_newest_version_alone_counts(engine) -> None:
    put(engine)
    assert engine.verify_hmac("shop", "api-key", Mac.SHA256, b"body", sign(VALUE, b"body"))
    assert engine.verify_equal("shop", "api-key", VALUE)
    put(engine, value=b"second value")
    assert not engine.verify_hmac("shop", "api-key", Mac.SHA256, b"body", sign(VALUE, b"body"))
    assert not engine.verify_equal("shop", "api-key", VALUE)
    assert engine.verify_equal("shop", "api-key", b"second value")


@pytest.mark.parametrize(
    ("value", "hard"),
    [
        (b"word of a book", False),
        (b"abcabcabcabcabcabcabcabc", False),
        (b"whsec_" + b"MfKQ9r8GKYqrTwjU", False),
        (b"whsec_" + b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", True),
        (b"3d2f1c0b9a8877665544", True),
    ],
)
def test_what_is_long_and_varied_resists_guessing(engine, value: bytes, hard: bool) -> None:
    put(engine, value=value)
    assert engine.resists_guessing("shop", "api-key") is hard


def test_a_secret_that_is_not_there_verifies_nothing(engine) -> None:
    put(engine)
    for project, name in (("shop", "other"), ("mail", "api-key"), ("", "api-key")):
        with pytest.raises(NotFoundError):
            engine.verify_hmac(project, name, Mac.SHA256, b"", sign(b"", b""))
        with pytest.raises(NotFoundError):
            engine.verify_equal(project, name, VALUE)
        with pytest.raises(NotFoundError):
            engine.resists_guessing(project, name)


class Wire:
    """A vault's server in a thread of this process, and everything that it has sent."""

    def __init__(self, engine) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server = Server(engine, theirs)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.control, [CONNECT], [theirs.fileno()])
        return ours

    def close(self) -> None:
        self.control.close()
        self.thread.join(10)


@pytest.fixture
def wire(engine):
    put(engine)
    running = Wire(engine)
    yield running
    running.close()


def test_a_gateway_can_verify(wire) -> None:
    async def body() -> None:
        client = VaultClient(wire.connect(), asyncio.get_running_loop())
        try:
            message = bytes(MAX_SIGNED_BYTES)
            right = sign(VALUE, message)
            assert await client.verify_hmac("shop", "api-key", Mac.SHA256, message, right)
            assert not await client.verify_hmac("shop", "api-key", Mac.SHA256, b"", right)
            assert await client.verify_equal("shop", "api-key", VALUE)
            assert not await client.verify_equal("shop", "api-key", VALUE[:-1])
            assert await client.resists_guessing("shop", "api-key") == is_hard_to_guess(VALUE)
            with pytest.raises(NotFoundError):
                await client.verify_equal("shop", "none", VALUE)
        finally:
            client.close()

    asyncio.run(body())


def test_an_answer_is_yes_or_no_and_holds_neither_key_nor_signature(wire) -> None:
    """A gateway that was taken over learns by it what it could find out anyway: yes or no."""
    with wire.connect() as sock:
        sock.settimeout(10)
        right = sign(VALUE, b"body")
        for signature, expected in ((right, True), (bytes(32), False), (b"", False)):
            request = protocol.VerifyHmac(7, "shop", "api-key", Mac.SHA256, b"body", signature)
            sock.sendall(framed(request))
            (answer,) = FrameBuffer(protocol.MAX_FRAME).feed(sock.recv(65536))
            reply = decode_reply(answer)
            assert msgspec.msgpack.decode(reply.result) is expected
            assert VALUE not in answer
            assert right not in answer


@pytest.mark.parametrize(
    "message",
    [
        [19, 1, "shop", "api-key", "hmac-sha1", b"", b""],
        [19, 1, "shop", "api-key", "hmac-sha256", bytes(MAX_SIGNED_BYTES + 1), b""],
        [19, 1, "shop", "api-key", "hmac-sha256", b"", bytes(65)],
        [19, 1, "shop", "api-key", "hmac-sha256", b""],
        [20, 1, "shop", "api-key", "text, not bytes"],
        [20, 1, "shop", "api-key", bytes(64 * 1024 + 1)],
    ],
)
def test_a_message_that_is_none_ends_its_connection_and_no_other(wire, message) -> None:
    body = msgspec.msgpack.encode(message)
    with wire.connect() as sock, wire.connect() as other:
        sock.settimeout(10)
        other.settimeout(10)
        with pytest.raises((ConnectionError, EOFError)):
            sock.sendall(len(body).to_bytes(4, "big") + body)
            if not sock.recv(1):
                raise EOFError
        other.sendall(framed(protocol.VerifyEqual(1, "shop", "api-key", VALUE)))
        assert other.recv(65536)


def test_what_is_too_large_is_refused_before_it_costs_the_connection(wire) -> None:
    async def body() -> None:
        client = VaultClient(wire.connect(), asyncio.get_running_loop())
        try:
            for asked in (
                client.verify_hmac("shop", "k", Mac.SHA256, bytes(MAX_SIGNED_BYTES + 1), b""),
                client.verify_hmac("shop", "k", Mac.SHA256, bytes(protocol.MAX_FRAME), b""),
                client.verify_hmac("shop", "k", Mac.SHA256, b"", bytes(65)),
                client.verify_equal("shop", "k", bytes(64 * 1024 + 1)),
            ):
                with pytest.raises(errors.VaultInputError):
                    await asked
            assert await client.verify_equal("shop", "api-key", VALUE), "it is still there"
        finally:
            client.close()

    asyncio.run(body())
