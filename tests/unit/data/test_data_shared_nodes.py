"""Two nodes with one database and one bucket: each reads what the other wrote, nothing stays."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_support import RESOURCES, SharedData

from casemate.blobs import S3Store
from casemate.data.files import FileWriter, ObjectFiles
from casemate.model.errors import NotFoundError
from support.blob_places import CLUSTER, client
from support.database import Server
from support.s3 import S3Server

SIZE = 150_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[S3Store]:
    server = S3Server(tmp_path / "s3")
    opened = S3Store(client(server, secrets.token_hex(8)), CLUSTER)
    yield opened
    opened.close()
    server.close()


def test_two_nodes_with_one_bucket(
    postgresql_server: Server, store: S3Store, tmp_path: Path
) -> None:
    url = postgresql_server.url(postgresql_server.database())
    blobs = {"p": store.blobs("objects/p")}

    def node(name: str, **more) -> SharedData:
        return SharedData(
            tmp_path / name, url=url, node=name, blobs=lambda project: blobs[project], **more
        )

    one = node("one")
    two = node("two", resources=None, vault=one.vault)
    one.put_object("p", "files", "k", b"1" * SIZE)
    assert two.get_object("p", "files", "k")[1] == b"1" * SIZE
    two.put_object("p", "files", "k", b"2" * SIZE)
    assert one.get_object("p", "files", "k")[1] == b"2" * SIZE
    # One was killed between a blob and its row; the other writes on while it is swept.
    orphan = FileWriter(ObjectFiles(blobs["p"]))
    orphan.write(b"x" * SIZE)
    orphan.finish()
    blobs["p"].grace = 0.0
    two.run(two.port._projects._orphans.sweep(two.opened()))
    store._deleting.submit(int).result(10)
    assert len(list(blobs["p"].listed())) == 1
    two.delete_object("p", "files", "k")
    with pytest.raises(NotFoundError):
        one.get_object("p", "files", "k")
    store._deleting.submit(int).result(10)
    assert list(blobs["p"].listed()) == []
    one.finish()
    two.finish()


def test_what_one_node_drops_and_makes_anew_is_so_on_the_other_at_once(
    postgresql_server: Server, store: S3Store, tmp_path: Path
) -> None:
    url = postgresql_server.url(postgresql_server.database())
    blobs = {"p": store.blobs("objects/p")}

    def node(name: str, **more) -> SharedData:
        return SharedData(
            tmp_path / name, url=url, node=name, blobs=lambda project: blobs[project], **more
        )

    one = node("one")
    two = node("two", resources=None, vault=one.vault)

    def look() -> None:
        """Each of what reads: nothing of it is a change, by which a node learns anyway."""
        two.get_object("p", "files", "k")
        two.head_object("p", "files", "k")
        assert two.list_objects("p", "files").objects
        assert two.object_revisions("p", "files", "k")
        two.get_item("p", "plain", "k")
        assert two.query_items("p", "plain").items
        two.queue_info("p", "queue", "jobs")

    one.put_object("p", "files", "k", b"old")
    one.put_item("p", "plain", {"id": "k", "of": "old"})
    look()
    for kind, name in (("bucket", "files"), ("table", "plain"), ("queue", "jobs")):
        one.drop("p", kind, name)
    for name, arguments in (
        ("get_object", ("files", "k")),
        ("head_object", ("files", "k")),
        ("list_objects", ("files",)),
        ("object_revisions", ("files", "k")),
        ("get_item", ("plain", "k")),
        ("query_items", ("plain",)),
        ("queue_info", ("queue", "jobs")),
    ):
        with pytest.raises(NotFoundError, match="has no"):
            getattr(two, name)("p", *arguments)
    assert "files" not in [one.name for one in two.resources("p").buckets]
    one.ensure("p", RESOURCES)
    one.put_object("p", "files", "k", b"new")
    one.put_item("p", "plain", {"id": "k", "of": "new"})
    look()
    assert two.get_object("p", "files", "k")[1] == b"new"
    assert two.get_item("p", "plain", "k").value["of"] == "new"
    one.finish()
    two.finish()


def test_the_slower_of_two_that_learn_does_not_bring_back_what_was(
    postgresql_server: Server, store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql_server.url(postgresql_server.database())
    blobs = {"p": store.blobs("objects/p")}
    one = SharedData(tmp_path / "one", url=url, node="one", blobs=lambda project: blobs[project])
    one.list_objects("p", "files")
    project = one.opened()
    read, reads = project.read_present, []

    def slow(connection):
        found = read(connection)
        reads.append(found)
        if len(reads) == 1:
            # Another reader learns meanwhile what came after.
            project.connections.read(lambda faster: project._take(faster, later, known))
            project.registry = {}
        return found

    known = project.revision = project.revision - 1
    later = known + 2
    monkeypatch.setattr(project, "read_present", slow)
    project.connections.read(project.learn)
    assert len(reads) == 2
    assert (project.revision, project.registry) == (later, {})
    one.finish()
