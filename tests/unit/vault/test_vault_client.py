"""The client when the vault is slow, gone, overloaded, or talks nonsense."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from casemate.child import calls
from casemate.child.failure import Failure
from casemate.child.frames import FrameBuffer, FrameError, frame
from casemate.model.errors import NotFoundError
from casemate.vault import asking, errors, protocol
from casemate.vault import client as client_module
from casemate.vault.client import VaultClient
from casemate.vault.protocol import MAX_FRAME


def framed_reply(number: int, result: object) -> bytes:
    return frame(calls.reply(number, result))


class Peer:
    """The vault's end of a connection, played by the test."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.frames = FrameBuffer(MAX_FRAME)
        self.waiting: list[protocol.Request] = []

    async def request(self) -> protocol.Request:
        loop = asyncio.get_running_loop()
        while not self.waiting:
            data = await loop.sock_recv(self.sock, 65536)
            self.waiting += map(protocol.decode_request, self.frames.feed(data))
        return self.waiting.pop(0)

    async def answer(self, result: object) -> None:
        number = (await self.request()).n
        await asyncio.get_running_loop().sock_sendall(self.sock, framed_reply(number, result))


def using(body: Callable[[VaultClient, Peer], Awaitable[None]]) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        client = VaultClient(ours, asyncio.get_running_loop())
        try:
            await asyncio.wait_for(body(client, Peer(theirs)), 10)
        finally:
            client.close()
            theirs.close()

    uvloop.run(run())


def test_answers_may_come_in_any_order() -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        first = asyncio.ensure_future(client.wrap("a", b"1"))
        second = asyncio.ensure_future(client.wrap("b", b"2"))
        one, two = await peer.request(), await peer.request()
        peer.sock.sendall(framed_reply(two.n, b"second") + framed_reply(one.n, b"first"))
        assert (await first, await second) == (b"first", b"second")

    using(body)


def test_a_cancelled_request_disturbs_no_other() -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        first = asyncio.ensure_future(client.public_key())
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.ensure_future(client.public_key())
        await peer.answer(b"late")
        await peer.answer(b"right")
        assert await second == b"right"

    using(body)


@pytest.mark.parametrize("nonsense", [b"", bytes(4), b"\xff" * 8, b"\0\0\0\2\xc1\xc1"])
def test_a_vault_that_ends_or_talks_nonsense_is_lost(nonsense) -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        waiting = asyncio.ensure_future(client.public_key())
        await peer.request()
        if nonsense:
            peer.sock.sendall(nonsense)
        else:
            peer.sock.shutdown(socket.SHUT_RDWR)
        with pytest.raises(errors.VaultUnavailableError) as caught:
            await waiting
        assert caught.value.retryable
        await client.lost
        with pytest.raises(errors.VaultUnavailableError):
            await client.public_key()
        client.close()

    using(body)


def test_a_vault_that_does_not_answer_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.1)

    async def body(client: VaultClient, peer: Peer) -> None:
        with pytest.raises(errors.VaultUnavailableError):
            await client.public_key()

    using(body)


def test_a_slow_but_steady_vault_is_not_given_up(monkeypatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 2.0)

    async def body(client: VaultClient, peer: Peer) -> None:
        for _ in range(4):
            waiting = asyncio.ensure_future(client.public_key())
            await asyncio.sleep(0.7)
            await peer.answer(b"k")
            assert await waiting == b"k"

    using(body)


def test_only_so_many_requests_wait(monkeypatch) -> None:
    monkeypatch.setattr(client_module, "MAX_PENDING", 3)

    async def body(client: VaultClient, peer: Peer) -> None:
        waiting = [asyncio.ensure_future(client.public_key()) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(errors.VaultUnavailableError):
            await client.public_key()
        for task in waiting:
            await peer.answer(b"k")
            assert await task == b"k"

    using(body)


def test_large_requests_are_sent_in_parts_and_descriptors_with_their_request() -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        big = os.urandom(4 << 20)
        reading, writing = os.pipe()
        redacted = asyncio.ensure_future(client.redact("shop", [big]))
        await asyncio.sleep(0)
        delivered = asyncio.ensure_future(client.deliver_secret("shop", "key", None, writing))
        await asyncio.sleep(0)
        os.close(writing)  # the client keeps a copy until it is sent
        received: list[int] = []
        frames = FrameBuffer(MAX_FRAME)
        requests: list[protocol.Request] = []
        while len(requests) < 2:
            await asyncio.sleep(0)
            try:
                data, descriptors, _, _ = socket.recv_fds(peer.sock, 1 << 18, 4)
            except BlockingIOError:
                continue
            received += descriptors
            requests += map(protocol.decode_request, frames.feed(data))
        assert requests[0].texts == (big,)
        os.write(received[0], b"value")
        for descriptor in received:
            os.close(descriptor)
        assert len(received) == 1
        assert os.read(reading, 10) == b"value"
        assert os.read(reading, 10) == b"", "no copy of the writing end is left"
        os.close(reading)
        failure = protocol.ERRORS.failure(NotFoundError("none", next_step="set it"))
        peer.sock.sendall(frame(calls.refusal(requests[1].n, failure)))
        with pytest.raises(NotFoundError) as caught:
            await delivered
        assert caught.value.next_step == "set it"
        redacted.cancel()

    using(body)


def test_a_text_that_is_too_large_is_refused_here() -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        with pytest.raises(errors.VaultInputError):
            await client.redact("shop", [bytes(protocol.MAX_FRAME)])
        assert not client._calls.pending

    using(body)


def test_a_playbook_s_signature_by_a_key_that_is_not_there_is_none() -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        assert not await client.verify_playbook(bytes(protocol.MAX_STATEMENT + 1), b"")
        assert not await client.verify_playbook(b"", bytes(protocol.MAX_SIGNATURE + 1))
        with pytest.raises(errors.VaultInputError):
            await client.sign_playbook(bytes(protocol.MAX_STATEMENT + 1))
        asked = asyncio.ensure_future(client.verify_playbook(b"s", b"g"))
        request = await peer.request()
        failure = protocol.ERRORS.failure(NotFoundError("There is no key 9."))
        peer.sock.sendall(frame(calls.refusal(request.n, failure)))
        assert await asked is False

    using(body)


def test_texts_are_redacted_in_batches() -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        texts = [bytes([number]) * 600_000 for number in range(3)]
        task = asyncio.ensure_future(client.redact("shop", texts))
        for number in range(3):
            await peer.answer((b"%d" % number,))
        assert await task == (b"0", b"1", b"2")

    using(body)


def test_whether_there_are_secrets_is_remembered_until_they_change() -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        for changed in (None, client.delete_secret("shop", "key")):
            if changed is not None:
                task = asyncio.ensure_future(changed)
                await peer.answer(None)
                await task
            asked = asyncio.ensure_future(client.has_secrets("shop"))
            await peer.answer(changed is None)
            assert await asked is (changed is None)
            assert await client.has_secrets("shop") is (changed is None)

    using(body)


def test_an_answer_from_before_a_change_is_not_remembered() -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        asked = asyncio.ensure_future(client.has_secrets("shop"))
        question = await peer.request()
        put = asyncio.ensure_future(client.delete_secret("shop", "key"))
        await peer.answer(None)
        await put
        peer.sock.sendall(framed_reply(question.n, True))
        assert await asked
        again = asyncio.ensure_future(client.has_secrets("shop"))
        await peer.answer(False)
        assert not await again

    using(body)


def test_an_export_starts_again_when_a_file_goes(monkeypatch) -> None:
    async def body(client: VaultClient, peer: Peer) -> None:
        task = asyncio.ensure_future(client.export())
        await peer.answer((b"old", ("gone", "kept")))
        await peer.answer(())
        await peer.answer((b"new", ("kept",)))
        await peer.answer((b"data",))
        assert await task == {"vault.sealed": b"new", "kept": b"data"}
        task = asyncio.ensure_future(client.export())
        for _ in range(5):
            await peer.answer((b"old", ("gone",)))
            await peer.answer(())
        with pytest.raises(errors.VaultUnavailableError):
            await task

    using(body)


@pytest.mark.parametrize("length", [0, 101, 1 << 31])
def test_frames_of_no_or_too_much_length(length) -> None:
    with pytest.raises(FrameError):
        FrameBuffer(100).feed(length.to_bytes(4, "big"))


def test_frames_in_any_pieces() -> None:
    data = b"".join(calls.framed(protocol.HasSecrets(n, "shop")) for n in range(20))
    for size in (1, 3, 7, len(data)):
        buffer, found = FrameBuffer(MAX_FRAME), []
        for at in range(0, len(data), size):
            found += buffer.feed(data[at : at + size])
        assert [protocol.decode_request(body).n for body in found] == list(range(20))


def test_an_error_of_an_unknown_kind_is_still_one_of_ours() -> None:
    unknown = Failure("ValueError", "m", None)
    assert type(protocol.ERRORS.error(unknown)) is errors.VaultError
    for kind in (errors.WrongMasterKeyError, errors.DecryptionError, NotFoundError):
        assert type(protocol.ERRORS.error(protocol.ERRORS.failure(kind("m")))) is kind
