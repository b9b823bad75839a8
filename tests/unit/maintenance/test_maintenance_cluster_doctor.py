"""What `casemate doctor` says of a database and a bucket that a node would refuse."""

from __future__ import annotations

import asyncio

import pytest

from casemate.maintenance.cluster_doctor import examine_cluster
from casemate.maintenance.finding import Finding
from casemate.postgresql.settings import Settings
from casemate.store.postgresql.store import PostgresqlStore
from support.blob_places import CLUSTER
from support.database import Server
from support.s3_answers import always, answering, plain

OURS = plain(200, b'{"format":1,"cluster":"%s","bucket":"b"}' % CLUSTER.encode())
THEIRS = plain(200, b'{"format":1,"cluster":"%s","bucket":"b"}' % (b"9" * 32))


@pytest.fixture
def name(postgresql_server: Server) -> str:
    """Return a database that a cluster has."""
    name = postgresql_server.database()
    settings = Settings.of_url(postgresql_server.url(name))
    asyncio.run(PostgresqlStore.open(settings, cluster=CLUSTER).close())
    return name


def examined(server: Server, name: str, answer: bytes) -> dict[str, Finding]:
    with answering(always(answer)) as bucket:
        environ = {
            "CASEMATE_STORE": server.url(name),
            "CASEMATE_OBJECTS": bucket.url,
            "AWS_ACCESS_KEY_ID": "S3RVER",
            "AWS_SECRET_ACCESS_KEY": "S3RVER",
        }
        return {each.name: each for each in examine_cluster(environ)}


def test_what_belongs_together(postgresql_server: Server, name: str) -> None:
    found = examined(postgresql_server, name, OURS)
    assert found["schema"].holds and found["bucket"].holds and found["nodes"].holds
    assert CLUSTER in found["schema"].detail
    assert "is the cluster's" in found["bucket"].detail


def test_a_database_and_a_bucket_of_two_clusters(postgresql_server: Server, name: str) -> None:
    """Before: the one was there, and so was the other."""
    found = examined(postgresql_server, name, THEIRS)
    assert not found["bucket"].holds
    assert "belongs to the cluster" in found["bucket"].detail and found["bucket"].next_step


@pytest.mark.parametrize(
    "answer", [plain(200, b"<html>a login page</html>"), plain(200, OURS[-20:])]
)
def test_a_bucket_that_answers_with_something_else(
    postgresql_server: Server, name: str, answer: bytes
) -> None:
    found = examined(postgresql_server, name, answer)
    assert "cannot be read" in found["bucket"].detail and found["bucket"].next_step


@pytest.mark.parametrize(
    ("change", "holds", "told"),
    [
        ("version = version + 50, least = least + 50", False, "this Casemate knows"),
        ("version = version + 1", True, "this Casemate knows"),
        ("version = 1, least = 1", True, "the next start brings it to"),
        ("kind = 'moved control'", False, "moved"),
    ],
)
def test_schemas_of_other_versions(
    postgresql_server: Server, name: str, change: str, holds: bool, told: str
) -> None:
    """Before: a newer one was met when the node was started."""
    with postgresql_server.connect(name) as connection:
        connection.execute(f"UPDATE casemate_control.casemate_schema SET {change}")  # type: ignore[arg-type]
    found = examined(postgresql_server, name, OURS)["schema"]
    assert found.holds is holds and told in found.detail
    assert holds or found.next_step


def test_an_empty_database(postgresql_server: Server) -> None:
    found = examined(postgresql_server, postgresql_server.database(), OURS)
    assert "is not there yet" in found["schema"].detail
    assert "is a cluster's" in found["bucket"].detail
