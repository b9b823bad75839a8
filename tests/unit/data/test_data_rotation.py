"""New data keys while calls go on, and copies for backups."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from data_support import RESOURCES, Data

from casemate.data import DataCorruptError, DataError, DataFullError
from casemate.data import rotation as rotation_module
from casemate.model.errors import CasemateError
from casemate.sqlite import engine


def fill(data: Data, project: str = "p") -> None:
    data.put_object(project, "files", "small", b"small")
    data.put_object(project, "files", "large", b"large" * 20_000)
    for number in range(3):
        data.put_object(project, "kept", "k", b"%d" % number * 40_000)
    data.put_item(project, "sorted", {"id": "a", "at": 1, "colour": "red"})
    data.send(project, "queue", "jobs", b"1")


def check(data: Data, project: str = "p") -> None:
    assert data.get_object(project, "files", "small")[1] == b"small"
    assert data.get_object(project, "files", "large")[1] == b"large" * 20_000
    for number in range(3):
        found = data.get_object(project, "kept", "k", revision=number + 1)[1]
        assert found == b"%d" % number * 40_000
    found = data.query_items(project, "sorted", index="by-colour", key="red")
    assert len(found.items) == 1
    assert data.queue_info(project, "queue", "jobs").waiting == 1


def versions(data: Data) -> set[int]:
    async def ask() -> set[int]:
        return await data.opened().read(
            lambda c: {row[0] for row in c.execute("SELECT DISTINCT key_version FROM object")}
        )

    data.list_objects("p", "files")
    return data.run(ask())


def test_rekey(data: Data) -> None:
    fill(data)
    before = {file.name: file.read_bytes() for file in data.files()}
    data.vault.newest = 2
    data.rekey("p")
    check(data)
    assert versions(data) == {2}
    assert {file.name: file.read_bytes() for file in data.files()} == before
    assert [path.name for path in data.folder.glob("p@*.db")] == ["p@2.db"]
    assert not list(data.folder.glob("*.draft*"))
    data.put_object("p", "files", "new", b"n" * 50_000)
    data.reopen()
    check(data)
    old = data.run(data.vault.data_key("p", "data", 1)).key
    with pytest.raises(engine.DatabaseError):
        engine.connect(data.folder / "p@2.db", old)
    data.rekey("p")
    check(data)


def test_old_content_stays_readable_without_rekey(data: Data) -> None:
    fill(data)
    data.vault.newest = 2
    data.reopen()
    check(data)
    data.put_object("p", "files", "new", b"n")
    assert versions(data) == {1, 2}
    data.reopen()
    data.rekey("p")
    assert versions(data) == {2}
    check(data)


def test_calls_go_on(data: Data) -> None:
    fill(data)
    for number in range(200):
        data.put_object("p", "files", f"x{number}", b"x" * 2000)
    data.vault.newest = 2

    async def race() -> None:
        done = asyncio.Event()
        written = []

        async def write() -> None:
            number = 0
            while not done.is_set():
                number += 1
                await data.port.put_object("p", "other", f"w{number}", b"w" * 100)
                written.append(number)

        async def read() -> None:
            while not done.is_set():
                assert (await data.port.get_object("p", "files", "small"))[1] == b"small"
                info, content = await data.port.get_object("p", "files", "large")
                assert hashlib.sha256(content).hexdigest() == info.sha256
                if written:
                    await data.port.head_object("p", "other", f"w{written[-1]}")

        tasks = [asyncio.ensure_future(work) for work in (write(), read(), read())]
        await data.port.rekey("p")
        await asyncio.sleep(0.02)
        done.set()
        await asyncio.gather(*tasks)
        for number in written:
            await data.port.head_object("p", "other", f"w{number}")

    data.run(race())
    data.reopen()
    check(data)


@pytest.mark.parametrize("step", ["_copy", "sync_file", "open_writer"])
def test_a_failure_leaves_it_as_it_was(data: Data, monkeypatch, step: str) -> None:
    fill(data)
    data.vault.newest = 2

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(rotation_module, step, fail)
        with pytest.raises(DataFullError):
            data.rekey("p")
    data.put_object("p", "files", "after", b"x")
    data.reopen()
    check(data)
    assert data.get_object("p", "files", "after")[1] == b"x"
    assert [path.name for path in data.folder.glob("p@*.db")] == ["p@1.db"]
    data.rekey("p")
    check(data)


def test_an_interrupted_change_of_objects_goes_on(data: Data, monkeypatch) -> None:
    fill(data)
    data.vault.newest = 2
    monkeypatch.setattr(rotation_module, "_BATCH", 2)
    real, calls = rotation_module._renew, []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise DataError("stopped")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(rotation_module, "_renew", stop)
        with pytest.raises(DataError):
            data.rekey("p")
    assert versions(data) == {1, 2}
    data.reopen()
    check(data)
    data.rekey("p")
    assert versions(data) == {2}
    check(data)


def test_an_older_file_beside_the_newer_one_goes(data: Data) -> None:
    fill(data)
    old = (data.folder / "p@1.db").read_bytes()
    data.vault.newest = 2
    data.rekey("p")
    data.close()
    (data.folder / "p@1.db").write_bytes(old)
    data.open()
    check(data)
    assert [path.name for path in data.folder.glob("p@*.db")] == ["p@2.db"]


def test_a_vault_with_older_keys_is_refused(data: Data) -> None:
    fill(data)
    data.vault.newest = 2
    data.rekey("p")
    data.vault.newest = 1
    with pytest.raises(DataError):
        data.rekey("p")
    data.vault.newest = 2
    check(data)


def test_a_snapshot_opens_as_it_was(data: Data, tmp_path) -> None:
    data.ensure("q", RESOURCES)
    fill(data)
    fill(data, "q")
    copy = tmp_path / "copy"
    data.snapshot(copy)
    data.delete_object("p", "files", "large")
    data.put_object("p", "files", "small", b"changed")
    restored = Data(copy, data.vault, resources=None)
    check(restored)
    check(restored, "q")
    restored.finish()


def test_a_snapshot_while_everything_is_replaced(data: Data, tmp_path) -> None:
    async def race() -> list[str]:
        for number in range(20):
            await data.port.put_object("p", "files", f"k{number}", b"0" * 40_000)
        done = asyncio.Event()

        async def churn(number: int) -> None:
            turn = 0
            while not done.is_set():
                turn += 1
                await data.port.put_object("p", "files", f"k{number}", b"%d" % (turn % 10) * 40_000)
                if turn % 5 == 0:
                    await data.port.delete_object("p", "files", f"k{number}")

        tasks = [asyncio.ensure_future(churn(number)) for number in range(4)]
        await asyncio.sleep(0.02)
        for number in range(3):
            await data.port.snapshot(tmp_path / f"copy{number}")
        done.set()
        await asyncio.gather(*tasks)
        return [f"copy{number}" for number in range(3)]

    for name in data.run(race()):
        restored = Data(tmp_path / name, data.vault, resources=None)
        found = restored.list_objects("p", "files").objects
        assert len(found) >= 16
        for info in found:
            content = restored.get_object("p", "files", info.key)[1]
            assert hashlib.sha256(content).hexdigest() == info.sha256
        restored.finish()
    listed = data.list_objects("p", "files").objects
    assert len(data.files()) == len(listed)


def test_a_snapshot_into_something_else(data: Data, tmp_path) -> None:
    fill(data)
    data.snapshot(tmp_path / "copy")
    with pytest.raises(CasemateError):
        data.snapshot(tmp_path / "copy")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError):
        data.snapshot(tmp_path / "file")
    check(data)


def test_a_new_database_is_not_given_the_log_of_one_that_never_counted(data: Data) -> None:
    """A kill while a rotation is given up, or while a project is deleted, can leave a log alone.

    Before: the engine played it into the database that got its name, which was damaged by it.
    """
    fill(data)
    data.vault.newest = 2
    data.rekey("p")
    data.put_object("p", "files", "more", b"m" * 50_000)
    left = {end: (data.folder / f"p@2.db{end}").read_bytes() for end in ("-wal", "-shm", "-count")}
    assert left["-wal"]
    for end, content in left.items():
        (data.folder / f"p@3.db{end}").write_bytes(content)
    data.vault.newest = 3
    data.rekey("p")
    check(data)
    data.reopen()
    check(data)
    assert data.get_object("p", "files", "more")[1] == b"m" * 50_000


def test_a_project_whose_database_is_gone_is_not_begun_beside_its_log(data: Data) -> None:
    data.put_item("p", "plain", {"id": "k"})
    log = (data.folder / "p@1.db-wal").read_bytes()
    assert log
    data.run(data.port.close())
    (data.folder / "p@1.db").unlink()
    (data.folder / "p@1.db-wal").write_bytes(log)
    data.reopen()
    with pytest.raises(DataCorruptError, match="its log") as caught:
        data.ensure("p", RESOURCES)
    assert "--accept-loss data/p" in str(caught.value)
    # Before: the objects alone were moved away, and the new database was damaged by the log.
    data.port.set_aside("p")
    data.ensure("p", RESOURCES)
    data.put_item("p", "plain", {"id": "new"})
    data.reopen()
    assert data.get_item("p", "plain", "new")
    (aside,) = data.folder.glob("p@1.db-wal.lost-*")
    assert aside.read_bytes() == log
