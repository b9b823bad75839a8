"""What the first version of the database held is there, and works, after it became the second."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from data_support import Data, FakeVault

from casemate.data import DataVersionError, schema
from casemate.data.faults import DATA
from casemate.model.grant import BucketSpec, QueueSpec, Resources, TableSpec
from casemate.sqlite import engine
from casemate.sqlite.connecting import Room, open_writer
from casemate.sqlite.transaction import transaction
from casemate.vault.interface import Purpose

RESOURCES = Resources(
    buckets=(BucketSpec(name="files"),),
    tables=(TableSpec(name="plain", key="id"),),
    queues=(QueueSpec(name="jobs"), QueueSpec(name="rest")),
)


def open_raw(data: Data) -> engine.Connection:
    key = data.run(data.vault.data_key("p", Purpose.DATA, 1))
    return open_writer(data.folder / "p@1.db", key.key, DATA, Room())


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """A folder as the first version left it; nothing has opened it since."""
    data = Data(tmp_path / "data", FakeVault(), resources=None)
    key = data.run(data.vault.data_key("p", Purpose.DATA, 1))
    path = data.folder / "p@1.db"
    path.touch(mode=0o600)
    connection = open_writer(path, key.key, DATA, Room())
    with monkeypatch.context() as context:
        context.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        schema.migrate(connection)
    now = time.time()
    with transaction(connection, DATA):
        connection.executemany(
            "INSERT INTO resource (id, kind, name, spec, number) VALUES (?, ?, ?, ?, ?)",
            [
                (1, "queue", "jobs", b'{"name":"jobs"}', 3),
                (2, "queue", "rest", b'{"name":"rest"}', 0),
                (3, "table", "plain", b'{"name":"plain","key":"id"}', 0),
            ],
        )
        connection.executemany(
            "INSERT INTO message (id, queue, sent_at, ready, visible_at, attempts, body) "
            "VALUES (?, 1, ?, ?, ?, ?, ?)",
            [
                (4, now, 1, now, 0, b'"ready"'),
                (5, now, 0, now + 1000, 0, b'"delayed"'),
                (6, now, 0, now - 1, 2, b'"its lease is over"'),
                (90, now, 1, now, 0, b'"gone"'),
            ],
        )
        connection.execute("DELETE FROM message WHERE id = 90")
        connection.execute("INSERT INTO deduplication VALUES (1, 'x', 90, ?)", (now,))
        connection.execute(
            "INSERT INTO item (tab, key, sort, revision, modified_at, value) "
            "VALUES (3, 'a', '', 4, ?, ?)",
            (now, b'{"id":"a"}'),
        )
    connection.close()
    return data


def test_everything_is_there(before: Data) -> None:
    found = before.receive("p", "queue", "jobs", limit=9)
    assert [(m.body, m.attempts) for m in found] == [(b'"ready"', 1), (b'"its lease is over"', 3)]
    assert before.queue_info("p", "queue", "jobs").waiting == 3
    item = before.get_item("p", "plain", "a")
    assert (item.value, item.revision, item.labels) == ({"id": "a"}, 4, b"")
    before.put_item("p", "plain", {"id": "a"}, if_revision=4)
    before.finish()


def test_no_id_is_used_twice(before: Data) -> None:
    assert before.send("p", "queue", "jobs", b"1", deduplication="x") == f"{90:016x}"
    assert before.send("p", "queue", "jobs", b"1") == f"{91:016x}"
    before.finish()


def test_of_an_empty_queue_too(before: Data) -> None:
    connection = open_raw(before)
    with transaction(connection, DATA):
        connection.execute("DELETE FROM message")
        connection.execute("UPDATE resource SET number = 0")
    connection.close()
    assert before.send("p", "queue", "rest", b"1") == f"{91:016x}"
    before.finish()


def test_a_failure_on_the_way_leaves_the_first_version(before: Data, monkeypatch) -> None:
    broken = (*schema.MIGRATIONS[1], "CREATE TABLE nonsense (")
    with monkeypatch.context() as context:
        context.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0], broken))
        with pytest.raises(Exception, match="medium"):
            before.queue_info("p", "queue", "jobs")
    connection = open_raw(before)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert connection.execute("SELECT count(ready) FROM message").fetchone() == (3,)
    connection.close()
    assert before.queue_info("p", "queue", "jobs").waiting == 3
    before.finish()


def test_the_first_version_refuses_the_second(before: Data, monkeypatch) -> None:
    before.queue_info("p", "queue", "jobs")
    before.run(before.port.close())
    before.open()
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
    with pytest.raises(DataVersionError):
        before.queue_info("p", "queue", "jobs")
    before.finish()


def test_a_new_database_is_the_same_as_an_old_one(before: Data, tmp_path: Path) -> None:
    def schema_of(data: Data) -> set[str]:
        async def ask() -> set[str]:
            return await data.opened().read(
                lambda c: {
                    " ".join(row[0].replace('"', "").split())
                    for row in c.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
                }
            )

        return data.run(ask())

    before.ensure("p", RESOURCES)
    new = Data(tmp_path / "new", resources=RESOURCES)
    assert schema_of(before) == schema_of(new)
    before.finish()
    new.finish()
