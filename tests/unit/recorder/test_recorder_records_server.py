"""Which records the recorder opens: with which key, those that are missed, those that are new."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

import msgspec
import pytest
from records_samples import Filled, denial, invocation, line

from casemate.operations.records import ListDenials, ReadLogs, ShowInvocation
from casemate.recorder import protocol
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.records.errors import RecordsKeyError, RecordsMissingError
from casemate.recorder.records_server import RecordsServer
from casemate.vault.interface import DataKey


class Vault:
    """The recorder's way to a vault, in memory."""

    def __init__(self) -> None:
        self.newest = 1
        self.kept = False
        self.fails = False
        self.secret = b""

    async def records_key(self, version: int | None = None) -> DataKey:
        number = version or self.newest
        text = self.secret + str(number).encode()
        return DataKey(version=number, key=hashlib.sha256(text).digest())

    async def records_kept(self) -> bool:
        return self.kept

    async def keep_records(self) -> None:
        if self.fails:
            raise RuntimeError("killed")
        self.kept = True


async def opened(home: Path, vault: Vault, *, accept_loss: bool = False) -> RecordsServer:
    return await RecordsServer.open(home, vault, accept_loss=accept_loss)  # type: ignore[arg-type]


async def texts(server: RecordsServer) -> list[str]:
    body = msgspec.msgpack.encode(ReadLogs())
    page = await server.page(protocol.Ask(1, "ReadLogs", body))
    return [row["text"] for row in msgspec.msgpack.decode(page.rows)]


async def fill(server: RecordsServer, text: str = "kept") -> None:
    await Filled(server._database).record(invocation(), None, [line(text)])


def test_the_first_start_makes_them_and_any_later_one_misses_them(tmp_path: Path) -> None:
    async def run() -> None:
        vault = Vault()
        await (await opened(tmp_path, vault)).close()
        assert vault.kept
        shutil.rmtree(tmp_path / "records")
        with pytest.raises(RecordsMissingError):
            await opened(tmp_path, vault)
        assert not (tmp_path / "records" / "records.db").exists()
        await (await opened(tmp_path, vault, accept_loss=True)).close()
        await (await opened(tmp_path, vault)).close()

    asyncio.run(run())


def test_a_first_start_that_is_killed_before_the_vault_knows_is_no_loss(tmp_path: Path) -> None:
    async def run() -> None:
        vault = Vault()
        vault.fails = True
        with pytest.raises(RuntimeError):
            await opened(tmp_path, vault)
        vault.fails = False
        server = await opened(tmp_path, vault)
        await fill(server)
        await server.close()
        vault.kept = False  # as in a backup of the vault from before
        server = await opened(tmp_path, vault)
        assert await texts(server) == ["kept"]
        await server.close()

    asyncio.run(run())


def test_rotated_keys_are_taken_up_when_told_and_at_a_start(tmp_path: Path) -> None:
    async def run() -> None:
        vault = Vault()
        server = await opened(tmp_path, vault)
        await fill(server)
        vault.newest = 2
        await server.result(protocol.RekeyRecords(1))
        assert await texts(server) == ["kept"]
        await server.close()
        vault.newest = 5
        server = await opened(tmp_path, vault)
        assert await texts(server) == ["kept"]
        await server.close()
        vault.newest = 4
        with pytest.raises(RecordsKeyError):
            await opened(tmp_path, vault)

    asyncio.run(run())


def test_records_of_another_vault_are_refused_and_kept_aside_when_told_to(tmp_path: Path) -> None:
    async def run() -> None:
        server = await opened(tmp_path, Vault())
        await fill(server)
        await server.close()
        other = Vault()
        other.secret, other.newest = b"other", 3
        with pytest.raises(RecordsKeyError):
            await opened(tmp_path, other)
        server = await opened(tmp_path, other, accept_loss=True)
        assert await texts(server) == []
        await server.close()
        assert len(list((tmp_path / "records").glob("damaged-*-records.db"))) == 1

    asyncio.run(run())


def test_a_loss_is_accepted_only_where_there_is_one(tmp_path: Path) -> None:
    async def run() -> None:
        vault = Vault()
        server = await opened(tmp_path, vault)
        await fill(server)
        await server.close()
        server = await opened(tmp_path, vault, accept_loss=True)
        assert await texts(server) == ["kept"]
        assert await server.result(protocol.CheckRecords(1, 0)) == []
        await server.close()

    asyncio.run(run())


def test_what_is_not_of_records_is_not_answered_here(tmp_path: Path) -> None:
    async def run() -> None:
        server = await opened(tmp_path, Vault())
        with pytest.raises(RecorderInputError):
            await server.result(protocol.GetHead(1))
        for name in ("ShowInvocation", "ForgetFunction"):
            with pytest.raises(RecorderInputError, match="no question"):
                await server.page(protocol.Ask(1, name, b"\x80"))
        body = msgspec.msgpack.encode(ListDenials())
        await Filled(server._database).tell(denial())
        page = await server.page(protocol.Ask(1, ListDenials.__name__, body))
        assert len(msgspec.msgpack.decode(page.rows)) == 1
        assert ShowInvocation.__name__ == "ShowInvocation"
        await server.close()

    asyncio.run(run())
