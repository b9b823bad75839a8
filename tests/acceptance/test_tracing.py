"""One trace from a caller through queue, bucket, table, topic and call to the last function."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.node import TestNode

pytestmark = pytest.mark.sandbox
SHARES_NODE = True
MANIFEST = """
[project]
name = "shop"
[bucket.files]
[table.rows]
key = "id"
[queue.jobs]
[queue.done]
[topic.news]
[function.first]
handler = "app:first"
[function.first.grants]
queues = ["jobs"]
topics = ["news"]
invoke = ["last", "later"]
buckets = [{ name = "files", actions = ["write"] }]
tables = [{ name = "rows", actions = ["put"] }]
[function.last]
handler = "app:last"
[function.later]
handler = "app:last"
[function.of-queue]
handler = "app:last"
[[function.of-queue.queue]]
queue = "jobs"
[function.of-topic]
handler = "app:last"
[[function.of-topic.topic]]
topic = "news"
[function.of-bucket]
handler = "app:last"
[[function.of-bucket.bucket]]
bucket = "files"
[function.of-table]
handler = "app:last"
[[function.of-table.table]]
table = "rows"
"""
APP = """
import os

def first(event, context):
    context.queue("jobs").send({"n": 1})
    context.topic("news").publish({"n": 1})
    context.bucket("files").put("a", b"x")
    context.table("rows").put({"id": "a"})
    context.invoke("later", {}, wait=False)
    below = context.invoke("last", {})
    trace = context.trace
    return {
        "parent": trace.traceparent, "state": trace.tracestate, "id": trace.trace_id,
        "environ": os.environ.get("TRACEPARENT"), "below": below,
    }

def last(event, context):
    return {"parent": context.trace.traceparent, "environ": os.environ.get("TRACEPARENT")}
"""
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FUNCTIONS = {"first", "last", "later", "of-queue", "of-topic", "of-bucket", "of-table"}


@pytest.fixture(scope="module")
def node(node: TestNode) -> TestNode:
    node.deploy_project(MANIFEST, APP)
    return node


def whole(node: TestNode, wanted: str, functions: set[str]) -> dict[str, Any]:
    """Return a trace by its functions once all of them have ended."""
    until = time.monotonic() + 20
    while True:
        answer = node.client.get(f"{node.url}/api/v1/traces/{wanted}")
        spans = answer.json()["spans"] if answer.status_code == 200 else []
        found = {span["function"]: span for span in spans if span["outcome"]}
        if functions <= set(found):
            return found | {"": spans}
        assert time.monotonic() < until, sorted(found)
        time.sleep(0.1)


def test_a_caller_s_trace_goes_through_everything(node: TestNode) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}
    answer = node.invoke({}, function="shop/first", headers=headers)
    told = answer.json()
    found = whole(node, TRACE, FUNCTIONS)
    first = found["first"]
    assert told["parent"] == told["environ"] == f"00-{TRACE}-{first['id']}-01"
    assert (told["id"], told["state"]) == (TRACE, "vendor=1")
    assert first["parent"] == SPAN
    for name in FUNCTIONS - {"first"}:
        assert found[name]["parent"] == first["id"], name
    assert told["below"]["parent"] == told["below"]["environ"]
    assert told["below"]["parent"] == f"00-{TRACE}-{found['last']['id']}-01"
    parts = [s for s in found[""] if s["parent"] == first["id"] and not s["outcome"]]
    assert {"queue.send", "topic.publish", "bucket.put", "table.put", "function.invoke", "run"} <= {
        part["name"] for part in parts
    }
    assert {part["on"] for part in parts if part["name"] == "queue.send"} == {"queue jobs"}
    delivered = [s for s in found[""] if s["name"] == "delivery"]
    assert {s["function"] for s in delivered} >= {"of-queue", "of-topic", "of-bucket", "later"}


def test_without_one_a_trace_begins_with_the_invocation(node: TestNode) -> None:
    answer = node.invoke({}, function="shop/first")
    identity = answer.headers["x-request-id"]
    trace = answer.json()["id"]
    assert trace.endswith(identity.removeprefix("inv_"))
    by_trace = whole(node, trace, FUNCTIONS)
    by_invocation = whole(node, by_trace["of-queue"]["invocation"], FUNCTIONS)
    assert by_invocation["first"] == by_trace["first"]
    assert by_trace["first"]["parent"] == ""
    assert by_trace["of-table"]["parent"] == by_trace["first"]["id"]


@pytest.mark.parametrize(
    "parent", ["", "rubbish", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-x", "\u00ff" * 40]
)
def test_a_malformed_parent_is_replaced_and_no_error(node: TestNode, parent: str) -> None:
    headers = {"traceparent": parent.encode("latin-1"), "tracestate": b"a=1,a=2,\xff"}
    answer = node.invoke({}, function="shop/last", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["parent"].startswith("00-ca5e3a7e")


def test_what_is_kept_for_later_is_part_of_the_caller_s_trace(node: TestNode) -> None:
    trace = "5" * 32
    headers = {"traceparent": f"00-{trace}-{SPAN}-01", "prefer": "respond-async"}
    assert node.invoke({}, function="shop/last", headers=headers).status_code == 202
    assert whole(node, trace, {"last"})["last"]["parent"] == SPAN


def test_a_cloud_event_brings_its_trace(node: TestNode) -> None:
    trace = "6" * 32
    event = {
        "specversion": "1.0", "id": "1", "source": "/x", "type": "x", "data": {},
        "traceparent": f"00-{trace}-{SPAN}-01",
    }  # fmt: skip
    answer = node.client.post(
        f"{node.url}/invoke/shop/last",
        json=event,
        headers={"content-type": "application/cloudevents+json"},
    )
    assert answer.status_code == 200
    assert answer.json()["parent"].startswith(f"00-{trace}-")


def test_a_reused_instance_is_told_of_each_call_s_own(node: TestNode) -> None:
    node.deploy(APP, name="reused", handler="app:last", settings='isolation = "instance"')
    parents = [node.invoke({}, function="t/reused").json() for _ in range(3)]
    assert len({told["parent"] for told in parents}) == 3
    assert all(told["parent"] == told["environ"] for told in parents)
