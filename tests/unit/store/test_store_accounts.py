"""API keys."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest
from store_samples import KEY, token

from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.store.sqlite import SqliteStore


def test_keys_come_oldest_first_and_whole(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        younger, older = token("a", "x", created_at=2.0), token("b", "y")
        same = token("c", "z", created_at=2.0)
        for one in (younger, older, same):
            await store.add_token(one)
        assert await store.tokens() == (older, younger, same)
        await store.close()

    asyncio.run(run())


def test_revoking_marks_once_and_frees_the_name_but_not_the_id(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        await store.add_token(token())
        with pytest.raises(ConflictError, match="id 'k1'"):
            await store.add_token(token("k1", "other"))
        with pytest.raises(ConflictError, match="name 'first'"):
            await store.add_token(token("k2"))
        before = time.time()
        revoked = await store.revoke_token("k1")
        assert revoked.revoked_at is not None
        assert before <= revoked.revoked_at <= time.time()
        assert await store.revoke_token("k1") == revoked
        assert await store.tokens() == (revoked,)
        await store.add_token(token("k2"))
        with pytest.raises(ConflictError, match="id 'k1'"):
            await store.add_token(token("k1", "third"))
        with pytest.raises(NotFoundError, match="'k9'"):
            await store.revoke_token("k9")
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "changes", [{"sha256": "secret"}, {"sha256": ""}, {"id": ""}, {"created_at": float("nan")}]
)
def test_what_is_no_key_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        with pytest.raises(InvalidInputError):
            await store.add_token(msgspec.structs.replace(token(), **changes))
        assert await store.tokens() == ()
        await store.close()

    asyncio.run(run())
