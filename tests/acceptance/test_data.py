"""Buckets, tables, queues and topics end to end: by a function, the API and the command line."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import forked_cli
from support.node import TestNode
from support.shared_node import empty

SHARES_NODE = True
USER = """
def handler(event, context):
    bucket, table = context.bucket("uploads"), context.table("users")
    if event == "fill":
        bucket.put("in/small", b"planted-small-content", content_type="text/plain")
        with bucket.create("in/large") as writer:
            for _ in range(40):
                writer.write(b"planted-large-content" * 5000)
        for number in range(5):
            table.put({"id": "ada", "at": number, "state": "open" if number % 2 else "done"})
        table.put({"id": "planted-key", "at": 2**53 + 1, "state": "planted-value"})
        context.queue("jobs").send({"n": 1, "mark": "planted-message"})
        context.topic("news").publish({"n": 2})
        return "filled"
    if event == "read":
        with bucket.open("in/large") as reader:
            reader.seek(1_000_000)
            piece = reader.read(21)
        return {
            "small": bucket.get("in/small").decode(),
            "piece": piece.decode(),
            "keys": [info.key for info in bucket.list("in/")],
            "open": [i.value["at"] for i in table.query("open", index="by-state")],
            "late": [i.value["at"] for i in table.query("ada", at_least=3)],
        }
    try:
        bucket.put("out/forbidden", b"x")
    except Exception as error:
        return type(error).__name__
"""
DECLARED = """
[function.f.grants]
buckets = [{ name = "uploads", actions = ["read", "write", "list"], prefixes = ["in/"] }]
tables = [{ name = "users", actions = ["get", "put", "query"] }]
queues = ["jobs"]
topics = ["news"]
[bucket.uploads]
versions = 2
[table.users]
key = "id"
sort = "at"
indexes = [{ name = "by-state", key = "state", sort = "at" }]
[queue.jobs]
[topic.news]
"""
PIECE = (b"planted-large-content" * 60_000)[1_000_000:1_000_021].decode()


def run(node: TestNode, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
    return forked_cli.run_bytes(arguments, stdin=stdin, env=env, timeout=60)


def printed(node: TestNode, *arguments: str, stdin: bytes = b"") -> object:
    done = run(node, *arguments, "--json", stdin=stdin)
    assert done.returncode == 0, (arguments, done)
    return json.loads(done.stdout)


def fill(node: TestNode) -> None:
    node.deploy(USER, routes=DECLARED, approve=True)
    assert node.invoke("fill").json() == "filled"


@pytest.fixture
def filled(node: TestNode) -> Iterator[TestNode]:
    """The node with data that is as nobody has used it yet."""
    fill(node)
    yield node
    empty(node)


@pytest.fixture
def own(fresh_node: TestNode) -> TestNode:
    """A node with the same data that may be killed."""
    fill(fresh_node)
    return fresh_node


def check(node: TestNode) -> None:
    assert node.invoke("read").json() == {
        "small": "planted-small-content",
        "piece": PIECE,
        "keys": ["in/large", "in/small"],
        "open": [1, 3],
        "late": [3, 4],
    }
    assert printed(node, "queues", "show", "t/jobs")["waiting"] == 1
    assert printed(node, "queues", "show", "t/news", "--topic")["waiting"] == 1


def test_a_function_keeps_data_over_a_kill(own: TestNode) -> None:
    check(own)
    own.stop(9)
    own.start()
    check(own)
    assert own.invoke("forbidden").json() == "DeniedError"
    keys = [o["key"] for o in printed(own, "buckets", "objects", "t/uploads")["objects"]]
    assert keys == ["in/large", "in/small"]


def test_objects_by_the_command_line(filled: TestNode, tmp_path: Path) -> None:
    content = os.urandom(5_000_000)
    (tmp_path / "in.bin").write_bytes(content)
    key = "../in/ä b?&#"
    put = printed(filled, "buckets", "put", "t/uploads", key, str(tmp_path / "in.bin"))
    assert (put["revision"], put["size"]) == (1, len(content))
    out = str(tmp_path / "out.bin")
    assert run(filled, "buckets", "get", "t/uploads", key, "-o", out).returncode == 0
    assert Path(out).read_bytes() == content
    condition = ("buckets", "put", "t/uploads", key, "-", "--if-revision", "0")
    assert run(filled, *condition, stdin=b"x").returncode == 1
    assert run(filled, "buckets", "rm", "t/uploads", key, "--yes").returncode == 0
    assert run(filled, "buckets", "get", "t/uploads", key).returncode == 3
    assert printed(filled, "buckets", "ls", "t")["buckets"][0]["versions"] == 2
    assert not list(filled.data.rglob("*in.bin*"))


def test_tables_and_queues_by_the_command_line(filled: TestNode) -> None:
    item = printed(filled, "tables", "get", "t/users", "planted-key", str(2**53 + 1))
    assert item["value"]["at"] == 2**53 + 1
    page = printed(filled, "tables", "query", "t/users", "--key", "ada", "--limit", "2")
    assert [i["value"]["at"] for i in page["items"]] == [0, 1]
    forged = page["after"][:-2] + ("AA" if page["after"][-2:] != "AA" else "BB")
    for after, code in ((page["after"], 0), (forged, 1)):
        done = run(filled, "tables", "query", "t/users", "--key", "ada", "--after", after)
        assert done.returncode == code
    assert printed(filled, "queues", "purge", "t/jobs", "--yes") == {"deleted": 1}
    assert printed(filled, "queues", "show", "t/jobs")["waiting"] == 0
    assert run(filled, "tables", "rm", "t/users", "--all", "--yes").returncode == 0
    assert run(filled, "tables", "query", "t/users").returncode == 3


def test_without_a_right(filled: TestNode) -> None:
    for method, path in (
        ("GET", "/buckets/t/uploads/objects"),
        ("GET", "/buckets/t/uploads/object?key=in/small"),
        ("PUT", "/buckets/t/uploads/object?key=in/small"),
        ("DELETE", "/buckets/t/uploads"),
        ("POST", "/tables/t/users/query"),
        ("POST", "/queues/t/jobs/purge"),
    ):
        answer = filled.client.request(
            method, f"{filled.url}/api/v1{path}", headers={"authorization": ""}
        )
        assert answer.status_code == 401, path
    check(filled)


@pytest.mark.storm
def test_new_keys(own: TestNode) -> None:
    done = run(own, "vault", "rotate-keys", "--project", "t")
    assert done.returncode == 0, done.stderr
    check(own)
    names = [path.name for path in own.data.rglob("t@*.db")]
    assert names == ["t@2.db"]
    own.stop(9)
    own.start()
    check(own)


def test_nothing_is_on_the_disk_in_clear(filled: TestNode) -> None:
    marks = (b"planted-small", b"planted-large", b"planted-key", b"planted-value", b"planted-mess")
    contents = read_whole(filled.data)
    assert any("objects" in path.parts for path in contents)
    for file, content in contents.items():
        assert not any(mark in content for mark in marks), file


def read_whole(folder: Path) -> dict[Path, bytes]:
    """Read every file. What is replaced meanwhile, as ends of the journal are, is read anew."""
    for _ in range(50):
        with contextlib.suppress(FileNotFoundError):
            return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    raise AssertionError(f"files of {folder} are replaced all the time")


def test_an_item_and_a_page_may_be_large(node: TestNode) -> None:
    source = """
def handler(event, context):
    big = context.table("big")
    for name in "abc":
        big.put({"id": name, "text": name * 300_000})
    return [len(big.get("a").value["text"]), [len(i.value["text"]) for i in big.query()]]
"""
    node.deploy(
        source,
        grants='tables = [{ name = "big", actions = ["get", "put", "query"] }]',
        resources='[table.big]\nkey = "id"\n',
        approve=True,
    )
    assert node.invoke({}).json() == [300_000, [300_000] * 3]
