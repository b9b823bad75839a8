"""An older store is told by the vault too; killed at any line of its start, a node starts again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from casemate.folder.folders import Folders
from casemate.gateway import own_state, seen_starts
from casemate.gateway.own_state import open_own
from casemate.nodes import Self, identity, membership
from casemate.operations.nodes import BeginNode
from casemate.store.errors import StoreGoneError
from casemate.store.sqlite.store import SqliteStore
from casemate.vault import counts, folder, open_state
from casemate.vault.engine import VaultEngine
from casemate.vault.envelope import new_key
from casemate.vault.folder import VaultFolder
from casemate.vault.interface import Purpose
from casemate.vault.open_state import MasterKey
from casemate.vault.opening import open_vault
from casemate.vault.sources import KeyParameters

MASTER = MasterKey(source="file:/key", key=new_key(), parameters=KeyParameters())
OWN = Self(host="one", address="https://one:1", version="1")
WATCHED = {
    each.__file__ for each in (own_state, seen_starts, membership, identity, counts, open_state)
} | {folder.__file__}


class InProcess:
    """A vault whose engine runs here."""

    def __init__(self, engine: VaultEngine) -> None:
        self.engine = engine

    async def data_key(self, project: str, purpose: Any, version: int | None = None) -> Any:
        return self.engine.data_key(project, purpose, version)

    async def status(self) -> Any:
        return self.engine.status()

    async def starts(self) -> int:
        return self.engine.counts.starts()

    async def keep_starts(self, starts: int) -> None:
        self.engine.counts.keep_starts(starts)


def start(data: Path, *losses: str) -> int:
    """Start and end what a node does with its own state; return which start it was."""
    folders = Folders(data)
    folders.make(None, None, None)
    opened = VaultFolder.open(folders.vault, create=True, uid=None)
    engine, _ = open_vault(opened, MASTER, memory_locked=False)
    config: Any = SimpleNamespace(accepted_losses=losses)

    async def run() -> int:
        state = await open_own(config, folders, InProcess(engine), OWN)  # type: ignore[arg-type]
        number = state.nodes.membership.incarnation
        assert state.own is not None
        if state.own.seen_vault is not None:
            await state.own.seen_vault.close()
        await state.data.close()
        await state.store.close()
        return number

    try:
        return asyncio.run(run())
    finally:
        engine.close()


def kept(data: Path) -> int:
    opened = VaultFolder.open(Folders(data).vault, create=False, uid=None)
    engine, _ = open_vault(opened, MASTER, memory_locked=False)
    try:
        return engine.counts.starts()
    finally:
        engine.close()


def test_an_older_store_with_its_own_identity_is_refused(tmp_path: Path) -> None:
    """Before: it was started with, as if nothing had been revoked since."""
    data, older = tmp_path / "data", tmp_path / "older"
    assert start(data) == 1
    shutil.copytree(data / "store", older / "store")
    shutil.copy(data / "node.json", older)
    assert [start(data), start(data)] == [2, 3]
    assert kept(data) == 3

    def put_back() -> None:
        shutil.rmtree(data / "store")
        shutil.copytree(older / "store", data / "store")
        shutil.copy(older / "node.json", data)

    put_back()
    for _ in range(2):
        with pytest.raises(StoreGoneError, match="seen 1 starts, and this node 3") as caught:
            start(data)
        assert "--accept-loss store" in str(caught.value.next_step)
    assert start(data, "store") == 4
    assert start(data) == 5, "it is accepted once"
    put_back()
    (data / "node.json").unlink()
    with pytest.raises(StoreGoneError, match="this node 5"):
        start(data)


def test_a_new_store_in_the_place_of_a_lost_one_counts_on(tmp_path: Path) -> None:
    """Else the vault would find it older at the next start, and after a kill at once."""
    data = tmp_path / "data"
    assert [start(data) for _ in range(3)] == [1, 2, 3]
    shutil.rmtree(data / "store")
    (data / "node.json").unlink()
    assert start(data, "store") == 4
    assert start(data) == 5


def test_an_older_vault_beside_its_store_is_no_older_store(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert [start(data) for _ in range(2)] == [1, 2]
    shutil.copytree(data / "vault", tmp_path / "vault")
    assert start(data) == 3
    shutil.rmtree(data / "vault")
    shutil.copytree(tmp_path / "vault", data / "vault")
    (data / "vault").chmod(0o700)
    assert start(data, "vault") == 4
    assert kept(data) == 4


def test_a_store_that_was_shared_meanwhile_has_seen_more_than_the_vault(tmp_path: Path) -> None:
    """As after `store migrate` there and back: nodes that share it count starts in it alone."""
    data = tmp_path / "data"
    assert start(data) == 1
    opened = VaultFolder.open(Folders(data).vault, create=False, uid=None)
    engine, _ = open_vault(opened, MASTER, memory_locked=False)
    key = engine.data_key("", Purpose.STORE, None).key
    engine.close()

    async def shared() -> None:
        store = SqliteStore.open(Folders(data).store, key=key)
        for number in range(5):
            about = {"id": str(number), "name": f"n{number}", "address": "https://o:1", "had": 0}
            await store.change(BeginNode(version="1", clock=time.time(), **about))  # type: ignore[arg-type]
        await store.close()

    asyncio.run(shared())
    assert [start(data), kept(data), start(data)] == [7, 7, 8]


def killed_at(line: int, work: Callable[[], object]) -> bool:
    """Do it in another process, which is killed before the n-th line; tell if it came so far."""
    pid = os.fork()
    if pid == 0:
        left = line

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename not in WATCHED:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        code = 1
        try:
            sys.settrace(trace)
            work()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("every", [23, pytest.param(3, marks=pytest.mark.storm)])
@pytest.mark.parametrize("how", ["again", "first", "store lost", "store older"])
def test_a_start_killed_at_each_line_blocks_no_later_one(
    tmp_path: Path, every: int, how: str
) -> None:
    whole = tmp_path / "whole"
    if how != "first":
        start(whole)
        shutil.copytree(whole, tmp_path / "older")
        start(whole)
        start(whole)
    if how == "store lost":
        shutil.rmtree(whole / "store")
    if how == "store older":
        shutil.rmtree(whole / "store")
        shutil.copytree(tmp_path / "older/store", whole / "store")
        shutil.copy(tmp_path / "older/node.json", whole)
    losses = ("store",) if how.startswith("store") else ()
    for line in range(0, 2000, every):
        data = tmp_path / f"killed-{line}"
        shutil.copytree(whole, data) if whole.exists() else data.mkdir()
        killed = killed_at(line, lambda data=data: start(data, *losses))  # type: ignore[misc]
        # Who has accepted it does so again, if the kill came before it was taken.
        number = start(data, *losses)
        assert number == kept(data)
        assert start(data) == number + 1
        shutil.rmtree(data)
        if not killed:
            break
    assert not killed and line > 30
