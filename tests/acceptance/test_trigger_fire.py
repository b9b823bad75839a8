"""Triggers are fired on a node: what arrives is in the shape of what really happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from support.node import TestNode

SHARES_NODE = True
MANIFEST = """
[project]
name = "fired"

[function.note]
handler = "app:note"

[function.note.grants]
tables = [{ name = "seen", actions = ["put"] }]

[[function.note.schedule]]
name = "nightly"
cron = "0 3 1 1 *"
data = { job = "x" }

[[function.note.bucket]]
name = "objects"
bucket = "in"
prefix = "photos/"
suffix = ".jpg"

[[function.note.table]]
name = "rows"
table = "items"

[[function.note.topic]]
name = "news"
topic = "news"
filter = { kind = ["a"] }

[[function.note.queue]]
name = "jobs"
queue = "jobs"

[[function.note.repository]]
name = "code"
provider = "github"
secret = "hook"
branches = ["release/*"]

[[function.note.s3]]
name = "storage"
secret = "hook"

[[function.note.result]]
name = "ended"
function = "other"

[function.other]
handler = "app:other"

[function.other.grants]
buckets = [{ name = "in", actions = ["write"] }]
tables = [{ name = "items", actions = ["put"] }]
topics = ["news"]
queues = ["jobs"]

[bucket.in]
[queue.jobs]
[topic.news]
[table.items]
key = "id"
[table.seen]
key = "id"
"""
SOURCE = """
import json

def note(event, context):
    fields = {"source": event.source, "type": event.type, "subject": event.subject}
    shown = {**fields, "detail": event.detail, "data": event.data, "keys": sorted(event)}
    context.table("seen").put({"id": context.request_id, "shown": json.dumps(shown)})

def other(event, context):
    if event == "objects":
        context.bucket("in").put("photos/a.jpg", b"x")
    if event == "rows":
        context.table("items").put({"id": "a", "value": 1})
    if event == "news":
        context.topic("news").publish({"kind": "a", "sample": True})
    if event == "jobs":
        context.queue("jobs").send({"sample": True})
    return {"done": True}
"""


@pytest.fixture(scope="module")
def fired(node: TestNode) -> TestNode:
    node.deploy_project(MANIFEST, SOURCE)
    return node


def seen(node: TestNode) -> list[dict[str, Any]]:
    url = f"{node.url}/api/v1/tables/fired/seen/query"
    items = node.client.post(url, json={"limit": 1000}).json()["items"]
    return [json.loads(item["value"]["shown"]) | {"id": item["value"]["id"]} for item in items]


def fire(node: TestNode, trigger: str, **body: Any) -> dict[str, Any]:
    url = f"{node.url}/api/v1/functions/fired/note/triggers/{trigger}/fire"
    answer = node.client.post(url, json=body)
    assert answer.status_code == 202, answer.text
    identity = answer.json()["id"]
    found: list[dict[str, Any]] = []

    def arrived() -> bool:
        found[:] = [one for one in seen(node) if one["id"] == identity]
        return bool(found)

    node.wait_until(arrived)
    return found[0]


def shape(value: Any) -> Any:
    """Return the types of a value, of objects by name."""
    if isinstance(value, dict):
        return {name: shape(inside) for name, inside in value.items()}
    return type(value).__name__


@pytest.mark.parametrize("trigger", ["objects", "rows", "news", "jobs", "ended"])
def test_a_fired_event_is_as_a_real_one(fired: TestNode, trigger: str) -> None:
    sample = fire(fired, trigger)
    known = {one["id"] for one in seen(fired)}
    headers = {"prefer": "respond-async"} if trigger == "ended" else {}
    assert fired.invoke(trigger, function="fired/other", headers=headers).status_code < 300
    fired.wait_until(lambda: {one["id"] for one in seen(fired)} - known)
    [real] = [one for one in seen(fired) if one["id"] not in known]
    for name in ("keys", "type", "source"):
        assert sample[name] == real[name], name
    if trigger == "ended":
        sample["data"] = real["data"]
    assert shape(sample["detail"]) == shape(real["detail"])
    assert shape(sample["data"]) == shape(real["data"])


@pytest.mark.parametrize(
    ("trigger", "type_", "data"),
    [
        ("nightly", "casemate.schedule.tick", {"job": "x"}),
        ("news", "casemate.topic.message", {"sample": True, "kind": "a"}),
        ("jobs", "casemate.queue.message", {"sample": True}),
    ],
)
def test_messages_and_times(fired: TestNode, trigger: str, type_: str, data: Any) -> None:
    found = fire(fired, trigger)
    assert (found["type"], found["data"]) == (type_, data)
    assert fire(fired, trigger, data=[1, "two"])["data"] == [1, "two"]


def test_web_hooks(fired: TestNode) -> None:
    found = fire(fired, "code")
    assert found["type"] == "casemate.repository.push"
    assert found["detail"]["branch"] == "release/sample"
    assert fire(fired, "storage")["type"] == "casemate.s3.message"
    url = f"{fired.url}/api/v1/functions/fired/note/triggers/code/fire"
    assert fired.client.post(url, json={"data": {"not": "a push"}}).status_code == 422


def test_fields_of_a_bucket_are_chosen(fired: TestNode) -> None:
    found = fire(fired, "objects", data={"key": "photos/mine.jpg"})
    assert (found["subject"], found["detail"]["key"]) == ("photos/mine.jpg",) * 2
    url = f"{fired.url}/api/v1/functions/fired/note/triggers/objects/fire"
    for wrong in ({"bucket": "other"}, {"unknown": 1}, [1], "text"):
        assert fired.client.post(url, json={"data": wrong}).status_code == 422, wrong


def test_what_is_not_there_and_who_may_not(fired: TestNode) -> None:
    url = f"{fired.url}/api/v1/functions/fired/note/triggers"
    assert fired.client.post(f"{url}/absent/fire", json={}).status_code == 404
    assert fired.client.post(f"{url}/a%2Fb/fire", json={}).status_code in (400, 404)
    assert fired.client.post(f"{url}/nightly/fire", json={"other": 1}).status_code == 400
    made = fired.client.post(
        f"{fired.url}/api/v1/tokens", json={"name": "may-invoke", "roles": ["invoker@fired"]}
    )
    headers = {"authorization": f"Bearer {made.json()['text']}"}
    refused = httpx2.post(f"{url}/nightly/fire", json={}, headers=headers)
    assert refused.status_code == 403 and "trigger:fire" in refused.text


def test_by_the_command_line(fired: TestNode) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "trigger", "fire", "fired/note", "jobs",
         "--data", '{"n": 1}', "--json"],
        capture_output=True,
        env={**os.environ, "CASEMATE_URL": fired.url, "CASEMATE_KEY": fired.key},
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    identity = json.loads(done.stdout)["id"]
    fired.wait_until(lambda: any(one["id"] == identity for one in seen(fired)))
