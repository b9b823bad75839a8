"""API keys."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest
from store_samples import key

from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.store.sqlite import SqliteStore


def test_keys_come_oldest_first_and_whole(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s")
        younger, older = key("a", "x", 2.0), key("b", "y", 1.0)
        same = key("c", "z", 2.0)
        for one in (younger, older, same):
            await store.add_key(one)
        assert await store.keys() == (older, younger, same)
        await store.close()

    asyncio.run(run())


def test_revoking_marks_once_and_frees_the_name_but_not_the_id(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s")
        await store.add_key(key())
        with pytest.raises(ConflictError, match="id 'k1'"):
            await store.add_key(key("k1", "other"))
        with pytest.raises(ConflictError, match="name 'first'"):
            await store.add_key(key("k2"))
        before = time.time()
        revoked = await store.revoke_key("k1")
        assert revoked.revoked_at is not None
        assert before <= revoked.revoked_at <= time.time()
        assert await store.revoke_key("k1") == revoked
        assert await store.keys() == (revoked,)
        await store.add_key(key("k2"))
        with pytest.raises(ConflictError, match="id 'k1'"):
            await store.add_key(key("k1", "third"))
        with pytest.raises(NotFoundError, match="'k9'"):
            await store.revoke_key("k9")
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "changes", [{"sha256": "secret"}, {"sha256": ""}, {"id": ""}, {"created_at": float("nan")}]
)
def test_what_is_no_key_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s")
        with pytest.raises(InvalidInputError):
            await store.add_key(msgspec.structs.replace(key(), **changes))
        assert await store.keys() == ()
        await store.close()

    asyncio.run(run())
