"""One handler, run on a node and with `casemate.testing`: it sees the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from casemate.testing import TestProject
from support.node import TestNode

SHARES_NODE = True
MANIFEST = """
[project]
name = "agrees"

[function.f]
handler = "app:handler"

[function.f.grants]
buckets = [
  { name = "open", actions = ["read", "write", "delete", "list"] },
  { name = "narrow", actions = ["write"], prefixes = ["in/"] },
]
tables = [{ name = "rows", actions = ["get", "put", "delete", "query"] }]
queues = ["jobs"]
topics = ["news"]
invoke = ["other"]

[function.other]
handler = "app:other"

[bucket.open]
[bucket.narrow]
[queue.jobs]
[queue.closed]
[topic.news]
[table.rows]
key = "id"
sort = "at"
indexes = [{ name = "by-kind", key = "kind", sort = "at" }]
"""
SOURCE = """
import casemate

def attempt(call, *arguments, **named):
    try:
        return call(*arguments, **named)
    except casemate.CapabilityError as error:
        return type(error).__name__

def other(event, context):
    return {"got": event}

def handler(event, context):
    seen = []
    def note(call, *arguments, show=lambda found: found, **named):
        found = attempt(call, *arguments, **named)
        seen.append(found if isinstance(found, str) else show(found))

    bucket, rows = context.bucket("open"), context.table("rows")
    info = lambda o: [o.key, o.revision, o.size, o.content_type, o.metadata, o.sha256]
    note(bucket.put, "a/1", b"one", content_type="text/plain", metadata={"m": "x"}, show=info)
    note(bucket.put, "a/1", b"two", if_revision=0, show=info)
    note(bucket.put, "a/1", b"three", if_revision=1, show=info)
    note(bucket.get, "a/1", show=bytes.decode)
    note(bucket.head, "a/1", show=info)
    note(bucket.get, "absent")
    note(bucket.exists, "absent", show=str)
    note(bucket.put, "b", "text", show=info)
    note(lambda: [o.key for o in bucket.list("a/")], show=list)
    note(lambda: [o.key for o in bucket.list()], show=list)
    note(bucket.delete, "a/1", if_revision=9)
    note(bucket.delete, "a/1", show=str)
    note(bucket.put, "a/1", b"again", show=lambda o: o.size)
    def write():
        with bucket.create("big", content_type="x/y") as file:
            file.write(b"part one, ")
            file.write(b"part two")
        with bucket.open("big") as file:
            file.seek(5)
            return file.read(8).decode()
    note(write)
    narrow = context.bucket("narrow")
    note(narrow.put, "in/x", b"1", show=info)
    note(narrow.put, "out/x", b"1")
    note(narrow.get, "in/x")
    note(context.bucket("unknown").get, "x")

    item = lambda i: [i.value, i.revision]
    for number, kind in ((3, "a"), (1, "b"), (2, "a"), (10, "a")):
        note(rows.put, {"id": "k", "at": number, "kind": kind}, show=lambda i: i.revision)
    note(rows.put, {"id": "k", "at": "text", "kind": "a"}, show=lambda i: i.revision)
    note(rows.put, {"id": "k", "at": 3, "kind": "a", "more": [1]}, if_revision=1,
         show=lambda i: i.revision)
    note(rows.put, {"id": "k", "at": 3}, if_revision=1)
    note(rows.put, {"id": "k"})
    note(rows.put, {"id": True, "at": 1})
    note(rows.get, "k", 3, show=item)
    note(rows.get, "k", 4)
    note(rows.get, "k")
    sorts = lambda found: [i.value["at"] for i in found]
    query = lambda *a, **n: list(rows.query(*a, **n))
    note(query, "k", show=sorts)
    note(query, "k", descending=True, limit=2, show=sorts)
    note(query, "k", at_least=2, less_than=10, show=sorts)
    note(query, "k", equals=2, show=sorts)
    note(query, "k", begins_with="te", show=sorts)
    note(query, "none", show=sorts)
    note(query, "a", index="by-kind", show=sorts)
    note(query, "a", index="absent")
    note(rows.delete, "k", 3, if_revision=9)
    note(rows.delete, "k", 3, show=str)
    note(query, "k", show=sorts)

    known = lambda identity: len(identity) > 0
    note(lambda: known(context.queue("jobs").send({"n": 1}, attributes={"a": "b"})), show=str)
    note(lambda: context.queue("jobs").send({"n": 2}, deduplication="x")
         == context.queue("jobs").send({"n": 3}, deduplication="x"), show=str)
    note(lambda: context.queue("closed").send({}))
    note(lambda: context.queue("jobs").send(object()))
    note(lambda: known(context.topic("news").publish({"n": 1})), show=str)
    note(lambda: context.topic("absent").publish({}))
    note(context.secret, "absent")
    note(context.invoke, "other", {"x": 1})
    note(context.invoke, "f", {})
    return seen
"""


def in_memory(folder: Path) -> Any:
    (folder / "casemate.toml").write_text(MANIFEST)
    (folder / "app.py").write_text(SOURCE)
    project = TestProject(folder / "casemate.toml")
    project.answer("other", lambda event: {"got": event})
    spec = importlib.util.spec_from_file_location("agreeing_app", folder / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler({}, project.context("f"))


def test_the_same_handler_sees_the_same(node: TestNode, tmp_path: Path) -> None:
    node.deploy_project(MANIFEST, SOURCE)
    answer = node.invoke({}, function="agrees/f")
    assert answer.status_code == 200, node.error(answer)
    on_node, in_test = answer.json(), in_memory(tmp_path)
    assert len(on_node) > 40
    differing = {n: (a, b) for n, (a, b) in enumerate(zip(on_node, in_test, strict=True)) if a != b}
    assert not differing
