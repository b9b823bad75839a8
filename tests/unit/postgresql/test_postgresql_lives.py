"""Servers that lost what was acknowledged are refused: promoted, woken, restored, made twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from postgresql_samples import SCHEMA, place

from casemate.postgresql.connections import Connections
from casemate.postgresql.fence import Fence
from casemate.sqlite.transaction import transaction
from casemate.store.errors import StoreCommitUnsureError, StoreMediumError
from casemate.store.postgresql.faults import STORE_SERVER
from support import replicas
from support.database import Server


class Node:
    """Writes numbers, and reads how many there are."""

    def __init__(self, path: Path, *servers: Server, accepted: tuple[str, ...] = ()) -> None:
        self.fence = Fence(path, accepted)
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        known = place(f"postgresql://test@{hosts}/d")
        self.connections = Connections(replace(known, fence=self.fence), STORE_SERVER)
        self.writer = self.connections.open_writer()

    def write(self, number: int) -> None:
        if self.connections.has_ended(self.writer):
            self.writer = self.connections.renew_writer(self.writer)
        with transaction(self.writer, STORE_SERVER):
            self.writer.execute("INSERT INTO t (a) VALUES (?)", (number,))

    def numbers(self) -> set[int]:
        return {
            row[0]
            for row in self.connections.read(lambda c: c.execute("SELECT a FROM t").fetchall())
        }

    def close(self) -> None:
        self.connections.end(self.writer)
        self.connections.close()
        self.fence.close()


@contextmanager
def node(path: Path, *servers: Server, accepted: tuple[str, ...] = ()) -> Iterator[Node]:
    made = Node(path, *servers, accepted=accepted)
    try:
        yield made
    finally:
        made.close()


def test_servers_that_lost_what_was_acknowledged_are_refused(tmp_path: Path) -> None:
    ahead, behind = tmp_path / "ahead", tmp_path / "behind"
    with replicas.pair() as (old, new):
        with old.connect("postgres") as connection:
            connection.execute("CREATE DATABASE d")
        with node(behind, old) as one, node(ahead, old) as two:
            one.write(1)
            replicas.catch_up(new, old)
            replicas.leave(new)
            two.write(2)  # only the old one has it
        replicas.promote(new)

        # A tail is lost: whoever was told of it refuses, also beside the server that has it.
        with pytest.raises(StoreMediumError, match="acknowledged on timeline 1, is") as refused:
            Node(ahead, new)
        assert "--accept-loss engine/" in str(refused.value.next_step)
        # Whoever was told of nothing that is lost goes on, on the newest timeline of both.
        with node(behind, old, new) as one:
            one.write(3)
            assert one.numbers() == {1, 3}
            with pytest.raises(StoreMediumError, match="timeline is 1, and 2 was seen"):
                Node(behind, old)
            # Also now that others have written there.
            with pytest.raises(StoreMediumError, match=r"is (aborted|of another) here"):
                Node(ahead, new)
            with node(tmp_path / "stranger", old) as other:
                assert other.numbers() == {1, 2}, "who knows nothing has nothing to go by"
        with new.connect("d") as connection:
            lives = connection.execute(f"SELECT timeline FROM {SCHEMA}.casemate_life").fetchall()  # type: ignore[arg-type]
        assert lives == [(1,), (2,)]

        # By its name the loss is accepted.
        name = str(refused.value.next_step).split()[-1]
        with node(ahead, new, accepted=(name,)) as two:
            assert two.numbers() == {1, 3}

        # The old one becomes a primary on a timeline 2 of its own.
        replicas.stop(new)
        replicas.stop(old)
        (old.data / "standby.signal").touch()
        old.start()
        replicas.promote(old)
        for path in (ahead, behind):
            with pytest.raises(StoreMediumError, match="knows nothing of timeline 2"):
                Node(path, old)
        with old.connect("d") as connection:
            lives = connection.execute(f"SELECT timeline FROM {SCHEMA}.casemate_life").fetchall()  # type: ignore[arg-type]
            assert lives == [(1,)], "whoever is refused changes nothing"


def test_an_older_backup_is_refused_and_a_restart_is_not(tmp_path: Path) -> None:
    server = Server("fsync=off")
    try:
        server.make()
        server.start()
        with server.connect("postgres") as connection:
            connection.execute("CREATE DATABASE d")
        with node(tmp_path / "fence", server) as one:
            one.write(1)
            replicas.stop(server)
            backup = replicas.backed_up(server)
            server.start()
            one.write(2)  # on a connection of its own, since that one was lost
            assert one.numbers() == {1, 2}
            assert not one.connections.faults()[3:]
            replicas.stop(server)
            replicas.restored(server, backup)
            server.start()
            with pytest.raises(StoreMediumError, match="knows nothing of timeline 1"):
                one.connections.renew_writer(one.writer)
            with pytest.raises(StoreMediumError, match="lacks what was acknowledged"):
                one.numbers()
            assert any("lacks what was acknowledged" in fault for fault in one.connections.faults())
    finally:
        server.end()


def test_a_backup_of_the_same_life_without_the_tail_is_refused(url: str, tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence")
    connections = Connections(replace(place(url), fence=fence), STORE_SERVER)
    writer = connections.open_writer()
    memory = fence.of(SCHEMA)
    assert memory is not None
    with transaction(writer, STORE_SERVER):
        writer.execute("INSERT INTO t (a) VALUES (901)")
    after = fence.of(SCHEMA)
    assert after is not None
    assert after.acknowledged > memory.acknowledged
    # What does not change anything is no transaction to be remembered, and costs no commit.
    with transaction(writer, STORE_SERVER):
        writer.execute("SELECT 1")
    assert fence.of(SCHEMA) == after
    # As if more had been acknowledged than there is.
    assert fence.acknowledged(SCHEMA, after.life, after.acknowledged + 10_000)
    with pytest.raises(StoreMediumError, match=r"acknowledged on timeline 1, is not begun here"):
        connections.renew_writer(writer)
    connections.close()


def test_a_transaction_that_was_undone_here_is_missed(url: str, tmp_path: Path) -> None:
    fence = Fence(tmp_path / "fence")
    connections = Connections(replace(place(url), fence=fence), STORE_SERVER)
    writer = connections.open_writer()
    memory = fence.of(SCHEMA)
    assert memory is not None
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO t (a) VALUES (903)")
    (number,) = writer.execute(
        "SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS INTEGER)"
    ).fetchone()
    writer.execute("ROLLBACK")
    assert fence.acknowledged(SCHEMA, memory.life, int(number))
    with pytest.raises(StoreMediumError, match="is aborted here"):
        connections.renew_writer(writer)
    connections.close()


def test_a_commit_on_a_server_that_was_left_behind_meanwhile_is_unsure(
    url: str, tmp_path: Path
) -> None:
    fence = Fence(tmp_path / "fence")
    connections = Connections(replace(place(url), fence=fence), STORE_SERVER)
    writer = connections.open_writer()
    connections.read(lambda c: c.execute("SELECT 1").fetchall())
    with pytest.raises(StoreCommitUnsureError), transaction(writer, STORE_SERVER):
        writer.execute("INSERT INTO t (a) VALUES (902)")
        known = fence.of(SCHEMA)
        assert known is not None
        fence._highest[known.system] = known.timeline + 1
    # Neither the writer nor a reader is used any more.
    assert connections.has_ended(writer)
    with pytest.raises(StoreMediumError, match="was seen already"):
        connections.read(lambda c: c.execute("SELECT 1").fetchall())
    connections.end(writer)
    connections.close()
