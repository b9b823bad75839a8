"""What thieves and tamperers of the disk meet: ciphertext, and a refusal."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_samples import (
    KEY,
    OTHER_KEY,
    contents,
    deploy,
    keep_values,
    token,
    user,
)

from casemate.model.errors import CasemateError, InvalidInputError
from casemate.operations.accounts import KeepToken, KeepUser, ReadUsers
from casemate.operations.functions import ListFunctions
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.sqlite.engine import PAGE_BYTES
from casemate.store import StoreCorruptError, StoreError, StoreKeyError
from casemate.store.sqlite.store import SqliteStore

PLANTED = "planted-in-clear-4711"


async def fill(store: SqliteStore) -> None:
    await deploy(store)
    await store.change(
        KeepUser(user=user(PLANTED, password=f"$argon2id${PLANTED}", totp=PLANTED.encode()))
    )
    await store.change(KeepToken(token=token(name=PLANTED)))
    await store.change(KeepNodeValue(name=PLANTED, value=PLANTED.encode()))
    await keep_values(store, 50)


def closed_store(folder: Path, key: bytes = KEY) -> Path:
    async def run() -> None:
        store = SqliteStore.open(folder, key=key)
        await fill(store)
        await store.close()

    asyncio.run(run())
    return folder


def test_nothing_is_in_clear_in_any_file_at_any_time(tmp_path: Path) -> None:
    def look(folder: Path) -> None:
        assert "records.db" in contents(folder)
        for name, data in contents(folder).items():
            for clear in (PLANTED.encode(), b"thumbs", b"SQLite format", b"CREATE TABLE", KEY):
                assert clear not in data, (name, clear)

    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        await fill(store)
        assert (tmp_path / "s" / "records.db-wal").stat().st_size > 10_000
        look(tmp_path / "s")
        await store.snapshot(tmp_path / "copy.db")
        assert PLANTED.encode() not in (tmp_path / "copy.db").read_bytes()
        await store.rekey(OTHER_KEY)
        await fill_again(store)
        look(tmp_path / "s")
        await store.close()
        look(tmp_path / "s")

    async def fill_again(store: SqliteStore) -> None:
        await store.change(KeepNodeValue(name="again", value=PLANTED.encode()))

    asyncio.run(run())


@pytest.mark.parametrize("clean", [True, False])
def test_another_key_is_refused_and_nothing_changes(tmp_path: Path, clean: bool) -> None:
    folder = closed_store(tmp_path / "s")
    if not clean:

        async def leave_a_log() -> None:
            store = SqliteStore.open(folder, key=KEY)
            await deploy(store)
            shutil.copytree(folder, tmp_path / "crashed")
            await store.close()

        asyncio.run(leave_a_log())
        folder = tmp_path / "crashed"
        folder.chmod(0o700)
    before = contents(folder)
    with pytest.raises(StoreKeyError, match="written with another key") as caught:
        SqliteStore.open(folder, key=OTHER_KEY)
    assert not isinstance(caught.value, StoreCorruptError)
    assert OTHER_KEY.hex() not in str(caught.value)
    after = contents(folder)
    before.pop("owner.pid")
    after.pop("owner.pid")
    assert after == before
    asyncio.run(SqliteStore.open(folder, key=KEY).close())


def test_the_database_of_another_node_is_refused(tmp_path: Path) -> None:
    mine, other = closed_store(tmp_path / "a"), closed_store(tmp_path / "b", OTHER_KEY)
    shutil.copy(other / "records.db", mine / "records.db")
    with pytest.raises(StoreKeyError):
        SqliteStore.open(mine, key=KEY)


def test_a_page_of_another_database_with_the_same_key_is_found(tmp_path: Path) -> None:
    mine, other = closed_store(tmp_path / "a"), closed_store(tmp_path / "b")
    page = slice(2 * PAGE_BYTES, 3 * PAGE_BYTES)
    data = bytearray((mine / "records.db").read_bytes())
    data[page] = (other / "records.db").read_bytes()[page]
    (mine / "records.db").write_bytes(data)
    (mine / "owner.pid").write_text("1\n")
    with pytest.raises(StoreCorruptError):
        SqliteStore.open(mine, key=KEY)


def test_a_damaged_first_page_is_told_from_another_key(tmp_path: Path) -> None:
    folder = closed_store(tmp_path / "s")
    data = bytearray((folder / "records.db").read_bytes())
    data[2000] ^= 1
    (folder / "records.db").write_bytes(data)
    with pytest.raises(StoreCorruptError, match="first page"):
        SqliteStore.open(folder, key=KEY)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of a store that was killed with changes in its log."""
    folder = closed_store(tmp_path_factory.mktemp("crashed") / "s")

    async def run() -> dict[str, bytes]:
        store = SqliteStore.open(folder, key=KEY)
        for _ in range(5):
            await deploy(store)
        found = contents(folder)
        await store.close()
        return found

    return asyncio.run(run())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
@pytest.mark.parametrize("name", ["records.db", "records.db-wal"])
def test_flipped_and_missing_bytes_never_give_other_content(
    crashed: dict[str, bytes], name: str, where: float, bit: int, cut: bool
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "s"
        folder.mkdir(mode=0o700)
        for file, data in crashed.items():
            if not file.endswith("-shm"):
                (folder / file).write_bytes(data)
        damaged = bytearray(crashed[name])
        at = int(where * len(damaged))
        if cut:
            del damaged[at:]
        else:
            damaged[at] ^= 1 << bit
        (folder / name).write_bytes(damaged)

        async def run() -> None:
            store = SqliteStore.open(folder, key=KEY)
            try:
                # Damage in the log ends it there (its checksums); what is read was committed.
                (function,) = (await store.read(ListFunctions())).functions
                numbers = [version.number for version in function.versions]
                assert numbers == list(range(1, len(numbers) + 1))
                assert {u.name for u in await store.read(ReadUsers())} == {PLANTED}
                assert await store.read(ReadNodeValue(name=PLANTED)) == PLANTED.encode()
            finally:
                await store.close()

        try:
            asyncio.run(run())
        except StoreError as error:
            assert error.next_step


@pytest.mark.parametrize("key", [b"", b"x" * 31, b"x" * 33, "x" * 32, None, bytearray(32)])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, key: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        SqliteStore.open(tmp_path / "s", key=key)  # type: ignore[arg-type]
    assert "xxx" not in str(caught.value)
    assert not (tmp_path / "s").exists()


def test_the_key_is_in_no_error_of_the_store(tmp_path: Path) -> None:
    folder = closed_store(tmp_path / "s")
    texts: list[str] = []

    async def run() -> None:
        store = SqliteStore.open(folder, key=KEY)
        os.truncate(folder / "records.db", PAGE_BYTES)
        for call in (
            store.read(ReadNodeValue(name="i49")),
            store.rekey(OTHER_KEY),
            store.snapshot(tmp_path / "c"),
        ):
            try:
                await call
            except CasemateError as error:
                chain: BaseException | None = error
                while chain is not None:
                    texts.append(repr(chain) + str(chain))
                    chain = chain.__cause__ or chain.__context__
        texts.append(repr(store))
        await store.close()

    asyncio.run(run())
    assert len(texts) > 1
    for key in (KEY, OTHER_KEY):
        assert not any(key.hex() in text or repr(key) in text for text in texts)
