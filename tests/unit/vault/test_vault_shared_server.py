"""The vault's loop where nodes share it: changes are answered once they are made, and what another
node made a moment ago is not missed."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from shared_samples import MASTER, Node, Rows, two
from vault_samples import VALUE, open_engine, put

from casemate.child.protocol import CONNECT, pass_connection
from casemate.gateway.shared_vault import VaultKeeper, vault_part
from casemate.model.errors import NotFoundError
from casemate.vault import errors, protocol, server
from casemate.vault.client import VaultClient
from casemate.vault.interface import Purpose
from casemate.vault.opening import open_vault
from casemate.vault.recorder_client import RecorderVault
from casemate.vault.sealed import seal_value
from casemate.vault.server import Server
from casemate.vault.shared_protocol import KEEPER, KEEPING


class Running:
    """A server in a thread, over a node's folder."""

    def __init__(self, node: Node) -> None:
        node.close()
        self.node = node
        node.open(connect=False)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server = Server(node.engine, theirs, shared=node.shared)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.keeper = VaultKeeper(self.connect(KEEPER), asyncio.get_running_loop(), node.rows)
        self.client = VaultClient(self.connect(CONNECT), asyncio.get_running_loop())

    def connect(self, kind: bytes) -> socket.socket:
        ours, theirs = (KEEPING if kind == KEEPER else protocol.ASKING).pair()
        with theirs:
            pass_connection(self.control, theirs.fileno(), kind)
        return ours

    async def put(self, name: str, value: bytes) -> Any:
        sealed = seal_value(await self.client.public_key(), "shop", name, value)
        return await self.client.put_secret("shop", name, sealed, "user:ada")

    async def delivered(self, name: str) -> bytes:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as file:
            try:
                await self.client.deliver_secret("shop", name, None, writing)
            finally:
                os.close(writing)
            return file.read()

    async def close(self) -> None:
        self.client.close()
        self.keeper.close()
        self.control.close()
        await asyncio.to_thread(self.thread.join, 10)
        assert not self.thread.is_alive()


@asynccontextmanager
async def served(base: Path) -> AsyncIterator[tuple[Running, Node, Rows]]:
    """Yield a node behind its server, another one, and their database."""
    async with two(base) as (one, other, rows):
        running = Running(one)
        try:
            yield running, other, rows
        finally:
            await running.close()


def test_what_another_node_made_a_moment_ago_is_not_missed(tmp_path: Path) -> None:
    async def scene() -> None:
        async with served(tmp_path) as (running, other, rows):
            await running.put("own", VALUE)
            assert await running.client.has_secrets("new") is False
            await other.put("api-key", VALUE)
            assert await running.delivered("api-key") == VALUE
            await other.change("rotate_data_keys", "shop")
            theirs = other.engine.data_key("shop", Purpose.DATA, 2)
            assert await running.client.data_key("shop", Purpose.DATA, 2) == theirs
            await other.change("rotate_data_keys", None)
            wrapped = await other.change("wrap", "totp", b"value")
            assert await running.client.unwrap("totp", wrapped) == b"value"  # type: ignore[arg-type]
            await other.put("to-go", VALUE)
            await running.client.delete_secret("shop", "to-go")
            with pytest.raises(NotFoundError):
                await running.delivered("to-go")
            with pytest.raises(errors.DecryptionError):
                await running.client.unwrap("another use", wrapped)  # type: ignore[arg-type]
            rows.away = True
            with pytest.raises(errors.VaultUnavailableError, match="cannot be reached"):
                await running.delivered("to-go")
            assert await running.delivered("api-key") == VALUE
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(20):
                with pytest.raises(errors.VaultUnavailableError):
                    await running.delivered("to-go")
            assert len(os.listdir("/proc/self/fd")) <= before, "no pipe is kept"

    asyncio.run(scene())


def test_a_secret_that_is_given_is_redacted_from_then_on(tmp_path: Path) -> None:
    async def scene() -> None:
        async with served(tmp_path) as (running, other, _rows):
            assert await running.client.has_secrets("shop") is False
            await other.put("api-key", VALUE)
            assert running.client.known_secrets("shop") is False
            await running.delivered("api-key")
            assert running.client.known_secrets("shop") is True
            assert await running.client.redact("shop", [VALUE]) == (b"[redacted:api-key]",)

    asyncio.run(scene())


def test_what_is_followed_forgets_what_was_known(tmp_path: Path) -> None:
    async def scene() -> None:
        async with served(tmp_path) as (running, other, _rows):
            assert await running.client.has_secrets("shop") is False
            await other.put("api-key", VALUE)
            used = []

            async def use_keys() -> None:
                used.append(await running.client.has_secrets("shop"))

            await vault_part(running.client, use_keys).reload()
            assert used == [True]
            assert await running.client.has_secrets("shop") is True
            assert (await running.client.status()).generation == other.generation

    asyncio.run(scene())


def test_changes_wait_while_all_else_is_answered(tmp_path: Path) -> None:
    async def scene() -> None:
        async with served(tmp_path) as (running, _other, rows):
            await running.put("api-key", VALUE)
            go = asyncio.Event()
            change = rows.change

            async def slow(asked: Any) -> bool:
                await go.wait()
                return await change(asked)

            rows.change = slow  # type: ignore[method-assign]
            changing = asyncio.ensure_future(running.put("api-key", b"other-value"))
            await asyncio.sleep(0.05)
            assert await running.delivered("api-key") == VALUE
            assert not changing.done()
            go.set()
            assert (await changing).version == 2
            assert await running.delivered("api-key") == b"other-value"

    asyncio.run(scene())


def test_who_may_have_the_vault_follow(tmp_path: Path) -> None:
    async def scene() -> None:
        async with served(tmp_path) as (running, _other, _rows):
            recorder = RecorderVault(running.connect(protocol.RECORDER), asyncio.get_running_loop())
            assert (await recorder.journal_key()).name.startswith("casemate/")
            with pytest.raises(errors.VaultUnavailableError):
                await recorder._ask(int, protocol.FollowDatabase)
            await recorder.lost
            # What answers the vault can ask it nothing.
            keeper = VaultClient(running.connect(KEEPER), asyncio.get_running_loop())
            asking = asyncio.ensure_future(keeper.status())
            await asyncio.wait([asking], timeout=1)
            assert not asking.done() or asking.exception() is not None
            keeper.close()
            await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(scene())


def test_a_vault_of_one_node_follows_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = open_engine(tmp_path / "vault", MASTER, create=True)
        put(engine)
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server = Server(engine, theirs)
        thread = threading.Thread(target=server.run)
        thread.start()
        loop = asyncio.get_running_loop()
        ours, passed = protocol.ASKING.pair()
        pass_connection(control, passed.fileno(), KEEPER)
        passed.close()
        ours.setblocking(False)
        assert await asyncio.wait_for(loop.sock_recv(ours, 1), 5) == b"", "it is not taken"
        ours.close()
        ours, passed = protocol.ASKING.pair()
        pass_connection(control, passed.fileno())
        passed.close()
        client = VaultClient(ours, loop)
        with pytest.raises(errors.VaultConflictError, match="started alone"):
            await client.follow()
        client.close()
        control.close()
        thread.join(10)
        engine.close()

    asyncio.run(scene())


def test_a_node_that_is_started_alone_says_why_it_changes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with two(tmp_path) as (one, _other, _rows):
            await one.put("api-key", VALUE)
            one.close()
            engine, shared = open_vault(
                one.folder.open(one.path, create=False, uid=None), MASTER, memory_locked=False
            )
            assert shared is None
            control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            thread = threading.Thread(target=Server(engine, theirs).run)
            thread.start()
            ours, passed = protocol.ASKING.pair()
            pass_connection(control, passed.fileno())
            passed.close()
            client = VaultClient(ours, asyncio.get_running_loop())
            with pytest.raises(errors.VaultConflictError, match="started alone"):
                await client.rotate_signing_key()
            with pytest.raises(NotFoundError):
                await client.data_key("nothing", Purpose.DATA, 3)
            client.close()
            control.close()
            thread.join(10)
            engine.close()

    asyncio.run(scene())


def test_a_change_that_there_is_no_room_for_is_refused_and_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_AWAITED", 0)

    async def scene() -> None:
        async with served(tmp_path) as (running, _other, _rows):
            with pytest.raises(errors.VaultUnavailableError, match="0 requests wait"):
                await running.put("api-key", VALUE)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(scene())
        gc.collect()
    assert [str(each.message) for each in warned if "never awaited" in str(each.message)] == []
