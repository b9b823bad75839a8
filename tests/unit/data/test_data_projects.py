"""Projects: apart from each other, opened and closed, one process at a time."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys

import pytest
from data_support import RESOURCES, Data, FakeVault

from casemate.data import (
    DataBusyError,
    DataClosedError,
    DataCorruptError,
    DataError,
    DataForeignError,
    DataKeyError,
    DataLockedError,
    DataOptions,
    DataVersionError,
    SqliteProjectData,
)
from casemate.model.errors import CasemateError, InvalidInputError, NotFoundError
from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableIndex, TableSpec
from casemate.sqlite import engine


def test_nothing_of_one_project_is_another_s(data: Data) -> None:
    data.ensure("q", RESOURCES)
    data.put_object("p", "files", "k", b"mine")
    data.put_item("p", "plain", {"id": "k"})
    data.send("p", "queue", "jobs", b"1")
    with pytest.raises(NotFoundError):
        data.get_object("q", "files", "k")
    with pytest.raises(NotFoundError):
        data.get_item("q", "plain", "k")
    assert data.list_objects("q", "files").objects == ()
    assert data.receive("q", "queue", "jobs") == ()
    data.drop("q", "bucket", "files")
    assert data.get_object("p", "files", "k")[1] == b"mine"


@pytest.mark.parametrize(
    "name", ["../p", "P", "p\n", "p@1", "", ".", "p/q", "p\0", "x" * 64, "\uff50", None, b"p"]
)
def test_names_that_are_no_projects(data: Data, name) -> None:
    before = sorted(path.name for path in data.folder.iterdir())
    for call in (
        lambda: data.ensure(name, RESOURCES),
        lambda: data.resources(name),
        lambda: data.get_object(name, "files", "k"),
        lambda: data.put_item(name, "plain", {"id": 1}),
        lambda: data.send(name, "queue", "jobs", b"1"),
        lambda: data.rekey(name),
    ):
        with pytest.raises(InvalidInputError):
            call()
    assert sorted(path.name for path in data.folder.iterdir()) == before


@pytest.mark.parametrize(
    "name", ["../files", "Files", "files\n", "", "files' OR '1'='1", "é", None]
)
def test_names_that_are_no_resources(data: Data, name) -> None:
    for call in (
        lambda: data.get_object("p", name, "k"),
        lambda: data.put_object("p", name, "k", b""),
        lambda: data.get_item("p", name, 1),
        lambda: data.queue_info("p", "queue", name),
        lambda: data.drop("p", "bucket", name),
    ):
        with pytest.raises(InvalidInputError):
            call()


def test_a_project_without_data(data: Data) -> None:
    assert data.resources("nobody") == Resources()
    data.ensure("nobody", Resources())
    with pytest.raises(NotFoundError):
        data.get_object("nobody", "files", "k")
    with pytest.raises(NotFoundError):
        data.drop("nobody", "bucket", "files")
    assert not list(data.folder.glob("nobody*"))
    assert not any(project == "nobody" for project, _, _ in data.vault.asked)


BAD = [
    Resources(buckets=(BucketSpec(name="B"),)),
    Resources(buckets=(BucketSpec(name="b", versions=0),)),
    Resources(buckets=(BucketSpec(name="b", max_total=0),)),
    Resources(buckets=(BucketSpec(name="b"), BucketSpec(name="b"))),
    Resources(tables=(TableSpec(name="t", key=""),)),
    Resources(tables=(TableSpec(name="t", key="a", sort="a"),)),
    Resources(tables=(TableSpec(name="t", key="a\0"),)),
    Resources(tables=(TableSpec(name="t", key="a", max_item=1 << 40),)),
    Resources(tables=(TableSpec(name="t", key="a", indexes=(TableIndex(name="i", key="x"),) * 2),)),
    Resources(queues=(QueueSpec(name="q", max_message=0),)),
    Resources(topics=(QueueSpec(name="q", retention=float("nan")),)),
    Resources(queues=tuple(QueueSpec(name=f"q{n}") for n in range(201))),
]


@pytest.mark.parametrize("declared", BAD)
def test_declarations_that_cannot_be_kept(data: Data, declared: Resources) -> None:
    before = data.resources("p")
    with pytest.raises(InvalidInputError):
        data.ensure("p", declared)
    assert data.resources("p") == before


def test_a_declaration_is_made_whole_or_not_at_all(data: Data) -> None:
    before = data.resources("p")
    wrong = TableSpec(name="plain", key="other")
    with pytest.raises(CasemateError):
        data.ensure("p", Resources(buckets=(BucketSpec(name="new"),), tables=(wrong,)))
    assert data.resources("p") == before


def test_drop_is_at_once_and_for_good(data: Data) -> None:
    for number in range(3):
        data.put_object("p", "files", f"k{number}", b"x" * 50_000)
        data.put_item("p", "sorted", {"id": number, "at": 1, "colour": "red"})
        data.send("p", "queue", "jobs", b"1", deduplication=f"d{number}")
    for kind, name in (("bucket", "files"), ("table", "sorted"), ("queue", "jobs")):
        data.drop("p", kind, name)
        with pytest.raises(NotFoundError):
            data.drop("p", kind, name)
    data.ensure("p", RESOURCES)
    assert data.list_objects("p", "files").objects == ()
    assert data.query_items("p", "sorted", index="by-colour", key="red").items == ()
    assert data.queue_info("p", "queue", "jobs").waiting == 0
    data.sweep()
    assert data.files() == []

    async def count() -> list[int]:
        names = ("object", "item", "entry", "message", "deduplication", "dropped")
        return await data.opened().read(
            lambda c: [c.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names]
        )

    data.list_objects("p", "files")
    assert data.run(count()) == [0] * 6
    data.put_item("p", "sorted", {"id": 1, "at": 1, "colour": "red"})


def test_few_are_open_at_once(tmp_path) -> None:
    data = Data(tmp_path / "d", options=DataOptions(max_open=3), resources=None)
    names = [f"p{number}" for number in range(8)]
    for name in names:
        data.ensure(name, RESOURCES)
        data.put_object(name, "files", "k", name.encode())

    async def read_all() -> list[bytes]:
        found = []
        for _ in range(3):
            results = await asyncio.gather(
                *(data.port.get_object(name, "files", "k") for name in names)
            )
            assert len(data.port._projects.opened) <= 3
            found = [content for _, content in results]
        return found

    assert data.run(read_all()) == [name.encode() for name in names]
    data.finish()


def test_all_in_use(tmp_path, monkeypatch) -> None:
    data = Data(tmp_path / "d", options=DataOptions(max_open=1))
    monkeypatch.setattr("casemate.data.projects._WAIT_FOR_ROOM", 0.05)

    async def hold() -> None:
        async with data.port._projects.use("p"):
            with pytest.raises(DataBusyError) as caught:
                await data.port.ensure("q", RESOURCES)
            assert caught.value.retryable
        await data.port.ensure("q", RESOURCES)

    data.run(hold())
    data.finish()


def test_idle_projects_are_closed(tmp_path) -> None:
    data = Data(tmp_path / "d", options=DataOptions(idle_seconds=0.1))

    async def idle() -> None:
        for _ in range(100):
            await asyncio.sleep(0.05)
            if not data.port._projects.opened:
                break

    data.put_object("p", "files", "k", b"x")
    data.run(idle())
    assert not data.port._projects.opened
    assert data.get_object("p", "files", "k")[1] == b"x"
    data.finish()


def test_another_process_is_refused(data: Data) -> None:
    code = (
        "import sys; from pathlib import Path; from casemate.data import *\n"
        "try: SqliteProjectData(Path(sys.argv[1]), None)\n"
        "except DataLockedError as error: print('locked', error.next_step)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(data.folder)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("locked Stop that node")
    with pytest.raises(DataLockedError):
        SqliteProjectData(data.folder, data.vault.data_key)


def test_closed_is_closed(tmp_path) -> None:
    data = Data(tmp_path / "d")
    data.close()
    data.close()
    with pytest.raises(DataClosedError):
        data.get_object("p", "files", "k")
    data.finish()


def test_rights(data: Data) -> None:
    data.put_object("p", "files", "k", b"x" * 50_000)
    assert data.folder.stat().st_mode & 0o777 == 0o700
    for path in data.folder.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def damaged(tmp_path, damage) -> type[Exception]:
    """Open a project after `damage` was done to its file; return what is raised."""
    data = Data(tmp_path / "d")
    data.put_object("p", "files", "k", b"x")
    data.close()
    database = data.folder / "p@1.db"
    damage(database)
    content = database.read_bytes() if database.is_file() else b""
    data.open()
    with pytest.raises(CasemateError) as caught:
        data.get_object("p", "files", "k")
    assert caught.value.next_step
    if database.is_file() and not database.is_symlink():
        assert database.read_bytes() == content
    data.finish()
    return type(caught.value)


def test_another_key(tmp_path) -> None:
    data = Data(tmp_path / "d")
    data.close()
    data.vault.seed = "another"
    data.open()
    with pytest.raises(DataKeyError) as caught:
        data.list_objects("p", "files")
    assert "vault" in str(caught.value)
    data.vault.seed = "seed"
    assert data.list_objects("p", "files").objects == ()
    data.finish()


def test_damage(tmp_path) -> None:
    def flip(database) -> None:
        content = bytearray(database.read_bytes())
        content[100] ^= 1
        database.write_bytes(content)

    assert damaged(tmp_path / "a", flip) is DataCorruptError, "its other pages are of this key"
    assert damaged(tmp_path / "b", lambda d: os.truncate(d, 100)) is DataKeyError
    assert damaged(tmp_path / "c", lambda d: d.write_bytes(b"plain text" * 1000)) is DataKeyError


def test_a_link_in_the_place_of_a_database(tmp_path) -> None:
    def link(database) -> None:
        database.rename(tmp_path / "moved")
        database.symlink_to(tmp_path / "moved")

    assert damaged(tmp_path / "a", link) is DataForeignError


def test_another_project_s_database(tmp_path) -> None:
    data = Data(tmp_path / "d")
    data.ensure("q", RESOURCES)
    data.close()
    shutil.copyfile(data.folder / "q@1.db", data.folder / "p@1.db")
    data.open()
    with pytest.raises(DataKeyError):
        data.list_objects("p", "files")
    data.finish()


@pytest.mark.parametrize(
    ("pragma", "kind"),
    [("user_version = 99", DataVersionError), ("application_id = 7", DataForeignError)],
)
def test_a_database_that_is_not_ours_to_read(tmp_path, pragma: str, kind) -> None:
    data = Data(tmp_path / "d")
    data.close()
    key = data.run(FakeVault().data_key("p", "data")).key
    connection = engine.connect(data.folder / "p@1.db", key)
    connection.execute(f"PRAGMA {pragma}")
    connection.close()
    data.open()
    with pytest.raises(kind):
        data.list_objects("p", "files")
    data.finish()


def test_folders_that_cannot_be_used(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (tmp_path / "file", tmp_path / "link", tmp_path / "file" / "below"):
        with pytest.raises(DataError):
            SqliteProjectData(path, FakeVault().data_key)


def test_a_vault_that_fails_opens_nothing(tmp_path) -> None:
    data = Data(tmp_path / "d")
    data.close()
    real = data.vault.data_key

    async def fail(*_: object) -> None:
        raise DataBusyError("the vault is gone")

    data.vault.data_key = fail
    data.open()
    with pytest.raises(DataBusyError):
        data.list_objects("p", "files")
    assert not data.port._projects.opened
    data.port._projects.keys = real
    assert data.list_objects("p", "files").objects == ()
    data.finish()
