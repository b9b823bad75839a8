"""What a node that is to share its state is not started with, or does not use, by real nodes.

The same is tried by parts in the tests of `postgresql`, `blobs` and `store`, in the default run.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import replicas
from support.cluster import Cluster
from support.database import Server
from support.faulty_bucket import FaultyBucket
from support.node import default_risks
from support.s3 import S3Server
from support.s3_answers import always, answering, plain
from support.servers import POSTGRES, reserved_port, serving

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(600)]

ECHO = "def handler(event, context):\n    return {'said': 'WORD'}\n"
FAULTS = Path(__file__).parents[1] / "cluster/faults.c"
HOUR = 3600
LONGER = 90
"""More seconds than a node waits for the object store."""


class Places:
    """One server of each kind, a cluster whose node runs, and another cluster's database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Server("fsync=off")
        self.database.make()
        self.database.start()
        self.objects = S3Server(folder / "s3")
        self.bucket = FaultyBucket(self.objects.url)
        self.ours, self.other = (self._cluster(name) for name in ("ours", "other"))
        for cluster in (self.ours, self.other):
            cluster.node("one").start()
        self.other.nodes[0].stop()
        self.two = self.ours.node("two").start()
        self.two.stop()

    def _cluster(self, name: str) -> Cluster:
        (self.folder / name).mkdir()
        return Cluster(self.folder / name, self.database, self.objects)

    def through(self) -> str:
        """Return the bucket of ours, by the way that can fail."""
        return f"{self.ours.objects.partition('?')[0]}?endpoint={self.bucket.endpoint}"

    def refusal(self, name: str, *arguments: str, **environment: str) -> str:
        """Return what the start of a node of ours says, which is refused within a minute or two."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "casemate.cli.main", "serve", "--port", "0"),
                *("--data", str(self.folder / "ours" / name), *default_risks()),
                *("--no-playbooks", "--encrypted-disks"),
                *("--master-key", f"file:{self.ours.master_key}", *arguments),
            ],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, **self.ours.environment(), **environment},
            check=False,
        )
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        return done.stderr

    def close(self) -> None:
        for cluster in (self.ours, self.other):
            cluster.close()
        self.bucket.close()
        self.objects.close()
        self.database.end()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    made = Places(tmp_path_factory.mktemp("refused"))
    yield made
    made.close()


def versions(places: Places) -> Any:
    with places.database.connect(places.ours.store.rpartition("/")[2]) as connection:
        found = connection.execute("SELECT version, least FROM casemate_control.casemate_schema")
        return found.fetchone()


def test_a_newer_schema(places: Places) -> None:
    before = versions(places)
    name = places.ours.store.rpartition("/")[2]
    table = "casemate_control.casemate_schema"
    step = f"UPDATE {table} SET version = version + {{0}}, least = least + {{0}}"
    with places.database.connect(name) as connection:
        connection.execute(step.format(50))  # type: ignore[arg-type]
    try:
        said = places.refusal("three")
        assert "The schema casemate_control has version" in said
        assert "nothing was changed" in said
    finally:
        with places.database.connect(name) as connection:
            connection.execute(step.format(-50))  # type: ignore[arg-type]
    assert versions(places) == before


@pytest.mark.parametrize("version", [-1, 9])
def test_a_schema_that_is_not_the_version_that_it_says(places: Places, version: int) -> None:
    before = versions(places)
    name = places.ours.store.rpartition("/")[2]
    table = "casemate_control.casemate_schema"
    with places.database.connect(name) as connection:
        connection.execute(f"UPDATE {table} SET version = {version}, least = {version}")  # type: ignore[arg-type]
        try:
            said = places.refusal("two")
            now = versions(places)
        finally:
            connection.execute(
                f"UPDATE {table} SET version = {before[0]}, least = {before[1]}"  # type: ignore[arg-type]
            )
    assert f"says that it has version {version}, and is not like that version" in said
    assert now == (version, version)


@pytest.mark.parametrize(
    ("user", "told"),
    [
        ("nobody-here", "Look at the user and the database in the URL"),
        ("poor", "its role has to own the database"),
        ("poor:PASSWORD", "leave the password out"),
        ("crowded", "Let it have more: max_connections"),
    ],
)
def test_a_role_that_will_not_do(places: Places, user: str, told: str) -> None:
    with places.database.connect("postgres") as connection:
        for role in ("poor", "crowded CONNECTION LIMIT 0"):
            try:
                connection.execute(f"CREATE ROLE {role} LOGIN")  # type: ignore[arg-type]
            except psycopg.errors.DuplicateObject:
                continue
    said = places.refusal("two", CASEMATE_STORE=places.ours.store.replace("test@", f"{user}@"))
    assert told in said
    assert "PASSWORD@" not in said.replace("USER:PASSWORD@", "")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("postgresql://", "postgersql://"), "does not begin with postgresql://"),
        (("127.0.0.1", "127.0.0.1:1,[::1]"), "Connection refused"),
        (("127.0.0.1", "db.invalid"), "failed to resolve host"),
        (("test@", "test@/"), "The URL of the database is not valid"),
    ],
)
def test_a_url_with_a_slip(places: Places, wrong: tuple[str, str], told: str) -> None:
    url = places.ours.store.replace(*wrong)
    if "," in url:
        url = url.replace(f"]:{places.database.port}", "]:1")
    if "invalid" in url:
        url += "?sslmode=verify-full"
    assert told in places.refusal("two", CASEMATE_STORE=url)


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="there is no PgBouncer")
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions(places: Places, mode: str, tmp_path_factory: Any) -> None:
    port = reserved_port()
    folder = places.database.folder
    users = places.database.give("users.txt", b'"test" ""')
    settings = places.database.give(
        f"{mode}.ini",
        f"""[databases]
* = host=127.0.0.1 port={places.database.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {mode}
logfile = {folder}/pgbouncer.log
""".encode(),
    )
    as_user = {"user": "nobody"} if places.database.is_root else {}
    with serving(["pgbouncer", settings], port, folder, **as_user):
        url = places.ours.store.replace(f":{places.database.port}/", f":{port}/")
        said = places.refusal("two", CASEMATE_STORE=url)
    assert "shares connections between transactions" in said
    assert "pool_mode = session" in said


def test_a_copy_of_the_folder_of_a_node_that_runs(places: Places) -> None:
    one = places.ours.nodes[0]
    copy = places.folder / "ours" / "copy"
    subprocess.run(["cp", "-a", one.data, copy], check=True)
    try:
        assert "which is there" in places.refusal("copy")
        assert one.client.get(f"{one.url}/api/v1/ready").status_code == 200
    finally:
        shutil.rmtree(copy)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (plain(403, b"<Code>AccessDenied</Code>"), "Check the bucket, its policy"),
        (plain(403, b"<Code>RequestTimeTooSkewed</Code>"), "Set the clock of this node"),
        (plain(400, b"<Code>AuthorizationHeaderMalformed</Code>"), "s3://BUCKET?region=REGION"),
        (plain(404, b"<Code>NoSuchBucket</Code>"), "Check the bucket"),
        (plain(500, b"<Code>InternalError</Code>"), "cannot be used at the moment"),
        (plain(301, b"", location="http://127.0.0.1:9/"), "which is not followed"),
        (plain(206, b"{}", content_range="bytes 0-1/900"), "is not an S3 store"),
        (plain(200, b"<html>a login page</html>"), "Check what is at the endpoint"),
        (plain(200, b'{"format":1,"cluster":"x"}'), "belongs to the cluster"),
    ],
)
def test_a_bucket_that_answers_otherwise(places: Places, answer: bytes, told: str) -> None:
    with answering(always(answer)) as server:
        where = f"{places.ours.objects.partition('?')[0]}?endpoint=http://127.0.0.1:{server.port}"
        assert told in places.refusal("two", CASEMATE_OBJECTS=where)


@pytest.mark.parametrize("bucket_too", [False, True])
def test_the_database_of_another_cluster(places: Places, bucket_too: bool) -> None:
    taken = {"CASEMATE_OBJECTS": places.other.objects} if bucket_too else {}
    said = places.refusal("two", CASEMATE_STORE=places.other.store, **taken)
    assert "they are of different clusters. Nothing was changed." in said


@pytest.mark.parametrize(
    ("node", "told"), [("two", "lacks what was acknowledged"), ("new", "belongs to the cluster")]
)
def test_an_empty_database_in_the_place_of_the_clusters(
    places: Places, node: str, told: str
) -> None:
    name = places.database.database()
    empty = f"{places.ours.store.rpartition('/')[0]}/{name}"
    assert told in places.refusal(node, CASEMATE_STORE=empty)
    with places.database.connect(name) as connection:
        found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname ~ '^(casemate|p_)'")
        assert found.fetchone() is None


def test_the_bucket_of_another_cluster(places: Places) -> None:
    said = places.refusal("two", CASEMATE_OBJECTS=places.other.objects)
    assert "belongs to the cluster" in said


def test_an_empty_bucket_in_the_place_of_the_clusters(places: Places) -> None:
    empty = places.ours.objects.replace("uploads/", "uploads/slip-")
    for name in ("two", "three"):  # the one was there, the other is new
        said = places.refusal(name, CASEMATE_OBJECTS=empty)
        assert "is not claimed, and this cluster has another one" in said


def test_another_master_key_on_a_node_that_was_there(places: Places) -> None:
    key = places.folder / "wrong.key"
    key.write_text(os.urandom(32).hex())
    key.chmod(0o600)
    assert "master key" in places.refusal("two", "--master-key", f"file:{key}")


def test_a_standby(places: Places) -> None:
    standby = Server("fsync=off")
    try:
        subprocess.run(
            [
                *(POSTGRES / "pg_basebackup", "-D", standby.data, "-h", places.database.folder),
                *("-p", str(places.database.port), "-U", "test", "-c", "fast"),
            ],
            check=True,
            cwd=standby.folder,
            **({"user": "nobody"} if standby.is_root else {}),
        )
        replicas.follow(standby, places.database)
        url = places.ours.store.replace(f":{places.database.port}/", f":{standby.port}/")
        for name in ("two", "three"):
            assert "is a standby, or read-only" in places.refusal(name, CASEMATE_STORE=url)
    finally:
        standby.end()


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("off", [HOUR, -HOUR])
def test_a_clock_that_is_an_hour_off(places: Places, off: int, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("clock")
    library, said = folder / "faults.so", folder / "faults"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, FAULTS], check=True)
    said.write_bytes(struct.pack("<qq", off * 10**9, 0))
    refused = places.refusal("two", LD_PRELOAD=str(library), CLUSTER_FAULTS=str(said))
    assert "clock" in refused


def test_a_bucket_that_answers_half(places: Places) -> None:
    places.bucket.cut = True
    try:
        said = places.refusal("two", CASEMATE_OBJECTS=places.through())
    finally:
        places.bucket.cut = False
    assert "The object store's answer was cut" in said


def test_a_bucket_that_answers_too_late(places: Places) -> None:
    places.bucket.late = LONGER
    try:
        said = places.refusal("two", CASEMATE_OBJECTS=places.through())
    finally:
        places.bucket.late = 0.0
    assert "cannot be used at the moment" in said


@pytest.mark.parametrize("fault", ["cut", "mixed"])
def test_a_bundle_that_comes_cut_or_is_another_is_not_run(places: Places, fault: str) -> None:
    """And once it comes as it is, it is."""
    one, two = places.ours.nodes[0], places.two
    two.stop()
    two.key = one.key
    two._environment["CASEMATE_OBJECTS"] = places.through()  # type: ignore[attr-defined]
    two.start()
    one.deploy(ECHO.replace("WORD", "long" * 500), name=f"before-{fault}")
    two.wait_until(lambda: two.invoke(1, function=f"t/before-{fault}").status_code == 200, 60)
    setattr(places.bucket, fault, True)
    try:
        one.deploy(ECHO.replace("WORD", fault), name=fault)
        two.wait_until(lambda: two.invoke(1, function=f"t/{fault}").status_code >= 500, 30)
    finally:
        setattr(places.bucket, fault, False)
    two.wait_until(lambda: two.invoke(1, function=f"t/{fault}").status_code == 200, 60)
    assert two.invoke(1, function=f"t/{fault}").json() == {"said": fault}
    two.stop()


def test_a_deploy_while_the_bucket_is_silent(places: Places) -> None:
    """It is told soon, by name, and nothing of it is there. Before: after a minute."""
    one, two = places.ours.nodes[0], places.two
    two.key = one.key
    two._environment["CASEMATE_OBJECTS"] = places.through()  # type: ignore[attr-defined]
    two.start()
    places.bucket.late = LONGER
    try:
        began = time.monotonic()
        with pytest.raises(AssertionError, match="The object store") as caught:
            two.deploy(ECHO.replace("WORD", "late"), name="late")
        assert time.monotonic() - began < 30
        assert "does not answer in time" in str(caught.value)
        assert '"status":503' in str(caught.value)
        assert not [one for one in two.get("/functions")["functions"] if one["name"] == "late"]
        two.wait_until(lambda: "object store" in bucket_of(two), 60)
        assert two.client.get(f"{two.url}/api/v1/ready").status_code == 200
    finally:
        places.bucket.late = 0.0
    two.wait_until(lambda: not bucket_of(two), 60)
    deadline = time.monotonic() + 30
    while True:
        try:
            two.deploy(ECHO.replace("WORD", "late"), name="late")
            break
        except AssertionError as error:  # whoever asked before has to be answered first
            if "being asked" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(1)
    one.wait_until(lambda: one.invoke(1, function="t/late").status_code == 200, 30)
    two.stop()


def bucket_of(node: Any) -> str:
    """Return what a node's health says of its bucket."""
    parts = node.get("/node/health")["parts"]
    return next(part["detail"] for part in parts if part["name"] == "bucket")
